//! The sender against the registry, over a real connection that does not always hold.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
};

use super::{
    archive::Archive,
    key::UploadKey,
    progress::Progress,
    send::{Patience, SendError, Sender},
};
use crate::{
    chart_store::{ChartStore, SessionState, SqliteTable, UploadSession},
    cli::trust::Trust,
    digest::Digest,
    image_harbor::LocalHarbor,
    listener,
    registry::{Limits, PieceLimits, Registry, readers::testing::Cluster, router},
    release::ApplicationKey,
};

const PIECE: usize = 64 << 10;

/// A registry on a port of its own, with a session for a file.
struct Bench {
    archive: Archive,
    sessions: ChartStore,
    address: SocketAddr,
    completed: mpsc::Receiver<ApplicationKey>,
    _directory: tempfile::TempDir,
}

impl Bench {
    async fn for_file_of(size: usize) -> Self {
        // Another run of this process's tests may have done it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("web.tar");
        std::fs::write(&path, (0..size).map(|i| (i / 7) as u8).collect::<Vec<_>>()).unwrap();
        let archive = Archive::read(&path, &Progress::new()).await.unwrap();

        let harbor = Arc::new(LocalHarbor::open(directory.path().join("harbor")).await.unwrap());
        let table = SqliteTable::open(directory.path()).await.unwrap();
        let sessions = ChartStore::on("orbit", Arc::new(table)).unwrap();
        let session = UploadSession {
            id: "one".into(),
            key: ApplicationKey::new("shop", "web"),
            expected: archive.sha256,
            size: archive.size,
            key_hash: Digest::of("key"),
            offset: 0,
            state: SessionState::Open,
            expires_at: Timestamp::now() + SignedDuration::from_hours(1),
        };
        sessions.open_session(&session).await.unwrap();
        let (sender, completed) = mpsc::channel(16);
        let limits = Limits { pieces: PieceLimits { size: PIECE, ..PieceLimits::default() }, ..Limits::default() };
        let readers = Arc::new(Cluster::default()).readers();
        let app = router(Registry::new(harbor, sessions.clone(), sender, readers, None, limits));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { archive, sessions, address, completed, _directory: directory }
    }

    async fn send(&self, to: SocketAddr, key: &str) -> Result<(), SendError> {
        let url = format!("http://{to}/v2/shop/web/blobs/uploads/one").parse().unwrap();
        sender().send(&self.archive, &url, &UploadKey::fixed(key), &Progress::new()).await
    }

    async fn state(&self) -> (u64, SessionState) {
        let session = self.sessions.session("one").await.unwrap().unwrap();
        (session.offset, session.state)
    }
}

fn sender() -> Sender {
    let mut sender = Sender::new(&Trust::default()).unwrap();
    sender.chunk = 256 << 10;
    sender.patience = Patience { first_answer: Duration::from_millis(300), ..Patience::default() };
    sender
}

/// Passes connections on to `server`, and breaks off each after it has carried its share of bytes: the first `cuts`
/// connections `allowance` bytes, later ones any number.
async fn flaky(server: SocketAddr, cuts: u32, allowance: i64) -> (SocketAddr, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let broken = Arc::new(AtomicU32::new(0));
    let count = broken.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let allowance = if count.load(Ordering::SeqCst) < cuts { allowance } else { i64::MAX };
            let count = count.clone();
            tokio::spawn(async move {
                if carry(client, server, allowance).await {
                    count.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    (address, broken)
}

/// Carries one connection; whether it was broken off.
async fn carry(client: TcpStream, server: SocketAddr, allowance: i64) -> bool {
    let server = TcpStream::connect(server).await.unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let left = AtomicI64::new(allowance);
    let forth = async {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
            if left.fetch_sub(count as i64, Ordering::SeqCst) < count as i64 {
                return true;
            }
            if to_server.write_all(&buffer[..count]).await.is_err() {
                break;
            }
        }
        false
    };
    let back = async {
        let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
        false
    };
    tokio::select! {
        broken = forth => broken,
        broken = back => broken,
    }
}

#[tokio::test]
async fn an_archive_arrives() {
    let mut bench = Bench::for_file_of(1_000_003).await;
    bench.send(bench.address, "key").await.unwrap();
    assert_eq!(bench.state().await, (1_000_003, SessionState::Complete));
    assert_eq!(bench.completed.recv().await, Some(ApplicationKey::new("shop", "web")));
    bench.send(bench.address, "key").await.expect("sending what is there is no mistake");
}

#[tokio::test]
async fn an_archive_arrives_over_connections_that_break() {
    let bench = Bench::for_file_of(2_000_003).await;
    let (proxy, broken) = flaky(bench.address, 4, 150_000).await;
    bench.send(proxy, "key").await.unwrap();
    assert_eq!(broken.load(Ordering::SeqCst), 4);
    assert_eq!(bench.state().await, (2_000_003, SessionState::Complete));
}

#[tokio::test]
async fn another_run_goes_on_where_the_last_one_was_killed() {
    let bench = Bench::for_file_of(2_000_003).await;
    let (proxy, broken) = flaky(bench.address, u32::MAX, 300_000).await;
    {
        // The run is dropped, as a killed process is, once a connection has broken in the middle of a chunk.
        let run = bench.send(proxy, "key");
        tokio::pin!(run);
        while broken.load(Ordering::SeqCst) == 0 {
            tokio::select! {
                end = &mut run => panic!("it cannot end: {end:?}"),
                () = tokio::time::sleep(Duration::from_millis(1)) => {}
            }
        }
    }
    let (offset, state) = bench.state().await;
    assert!(offset > 0 && offset < 2_000_003, "{offset}");
    assert_eq!(state, SessionState::Open);

    let pieces = bench.sessions.session_chunks("one").await.unwrap();
    bench.send(bench.address, "key").await.unwrap();
    assert_eq!(bench.state().await, (2_000_003, SessionState::Complete));
    assert_eq!(bench.sessions.session_chunks("one").await.unwrap()[..pieces.len()], pieces, "nothing is sent twice");
}

#[tokio::test]
async fn two_runs_at_once_both_end_well() {
    let bench = Bench::for_file_of(2_000_003).await;
    let (one, other) = tokio::join!(bench.send(bench.address, "key"), bench.send(bench.address, "key"));
    one.unwrap();
    other.unwrap();
    assert_eq!(bench.state().await, (2_000_003, SessionState::Complete));
}

#[tokio::test]
async fn another_key_is_refused() {
    let bench = Bench::for_file_of(1_000).await;
    assert!(matches!(bench.send(bench.address, "another").await, Err(SendError::KeyRefused)));
    assert_eq!(bench.state().await, (0, SessionState::Open));
}

#[tokio::test]
async fn a_session_that_is_gone_is_said_to_be() {
    let bench = Bench::for_file_of(1_000).await;
    bench.sessions.delete_session("one").await.unwrap();
    assert!(matches!(bench.send(bench.address, "key").await, Err(SendError::SessionGone)));
}

#[tokio::test]
async fn a_file_that_changes_is_noticed() {
    let bench = Bench::for_file_of(1_000).await;
    std::fs::write(&bench.archive.path, vec![b'x'; 1_000]).unwrap();
    assert!(matches!(bench.send(bench.address, "key").await, Err(SendError::Changed)));
    assert_eq!(bench.state().await, (0, SessionState::Open));
    std::fs::write(&bench.archive.path, "shorter").unwrap();
    assert!(matches!(bench.send(bench.address, "key").await, Err(SendError::Changed)));
}

#[tokio::test]
async fn an_address_of_another_machine_is_explained() {
    let bench = Bench::for_file_of(1_000).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = bench.send(closed, "key").await.unwrap_err();
    assert!(matches!(error, SendError::Unreachable { loopback: true, .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("port-forward") && text.contains("--public-url") && text.contains("--server"), "{text}");
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_said_at_once() {
    let bench = Bench::for_file_of(1_000).await;
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (pem, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let certificate = listener::Certificate::from_pem(pem.as_bytes(), key.as_bytes()).unwrap();
    let (_shown, certificates) = watch::channel(Some(certificate));
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/v2/shop/web/blobs/uploads/one", server.local_addr().unwrap()).parse().unwrap();
    let certificates = Some(listener::Certificates::new(certificates));
    let limits = listener::Limits::default();
    tokio::spawn(listener::serve(server, certificates, axum::Router::new(), limits, std::future::pending()));
    let sent = sender().send(&bench.archive, &url, &UploadKey::fixed("key"), &Progress::new()).await;
    let error = sent.unwrap_err();
    assert!(matches!(error, SendError::Untrusted { .. }), "{error:?}");
    assert!(error.to_string().contains("put that of its authority into the plane's TLS Secret as ca.crt"), "{error}");
}
