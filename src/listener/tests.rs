//! Real sockets: slow clients, silent ones, many of them, and the end of the server under them.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::routing::{get, post};
use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::*;

/// Far longer than any limit below, and far shorter than for ever.
const AT_MOST: Duration = Duration::from_secs(20);

fn limits() -> Limits {
    Limits {
        connections: 64,
        of_address: 64,
        trusted: TrustedProxies::default(),
        headers: Duration::from_millis(300),
        pace: Pace { bytes: 1 << 10, within: Duration::from_millis(300) },
        grace: Duration::from_millis(300),
    }
}

/// A server that is under way.
struct Server {
    address: SocketAddr,
    shutdown: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Server {
    async fn new(app: Router, limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, asked) = oneshot::channel();
        let serving = tokio::spawn(serve(listener, None, app, limits, async { asked.await.unwrap_or_default() }));
        Self { address, shutdown, serving }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A connection on which something was sent.
    async fn sent(&self, text: &str) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    timeout(AT_MOST, what).await.expect("it happens in time")
}

/// All that comes until the server ends the connection.
async fn until_the_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A connection that is reset has ended as well.
    in_time(stream.read_to_end(&mut bytes)).await.ok();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Sends a byte now and then until the server ends the connection.
async fn trickle(stream: &mut TcpStream) {
    let (mut reading, mut writing) = stream.split();
    let trickling = async {
        while writing.write_all(b"a").await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let ended = async { while reading.read_u8().await.is_ok() {} };
    in_time(async {
        tokio::select! {
            () = trickling => {}
            () = ended => {}
        }
    })
    .await;
}

#[tokio::test]
async fn headers_that_trickle_in_are_not_waited_for() {
    let server = Server::new(Router::new(), limits()).await;
    let mut stream = server.sent("GET / HTTP/1.1\r\nHost: x\r\nX: ").await;
    trickle(&mut stream).await;
}

#[tokio::test]
async fn silence_is_not_waited_for() {
    let server = Server::new(Router::new().route("/", get(async || "here")), limits()).await;
    assert_eq!(until_the_end(&mut server.connect().await).await, "");
    // Nor after an answer.
    let mut stream = server.sent("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(until_the_end(&mut stream).await.ends_with("here"));
}

#[tokio::test]
async fn a_body_that_trickles_in_is_not_waited_for() {
    let read = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&read);
    let app = post(async move |_: Bytes| count.fetch_add(1, Ordering::SeqCst).to_string());
    let server = Server::new(Router::new().route("/", app), limits()).await;
    let mut stream = server.sent("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n").await;
    trickle(&mut stream).await;
    assert_eq!(read.load(Ordering::SeqCst), 0, "the handler never had the body");
}

#[tokio::test]
async fn a_body_that_keeps_the_pace_may_take_longer_than_any_limit() {
    let app = post(async |body: Bytes| body.len().to_string());
    let pace = Pace { bytes: 1 << 10, within: Duration::from_secs(1) };
    let server = Server::new(Router::new().route("/", app), Limits { pace, ..limits() }).await;
    let mut stream = server.sent("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20480\r\n\r\n").await;
    for _ in 0..10 {
        sleep(Duration::from_millis(150)).await;
        stream.write_all(&[b'a'; 2048]).await.unwrap();
    }
    let answer = until_the_end(&mut stream).await;
    assert!(answer.ends_with("20480"), "{answer}");
}

/// Tells when it is dropped.
struct Dropped(Option<oneshot::Sender<()>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.take().map(|sender| sender.send(()));
    }
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_given_up() {
    let (sender, given_up) = mpsc::channel(1);
    let app = get(async move || {
        let (dropped, was_dropped) = oneshot::channel();
        sender.send(was_dropped).await.unwrap();
        let guard = Dropped(Some(dropped));
        let endless = stream::repeat_with(move || {
            let _held = &guard;
            Ok::<_, io::Error>(Bytes::from_static(&[0; 1 << 16]))
        });
        Body::from_stream(endless.boxed())
    });
    let server = Server::new(Router::new().route("/", app), limits()).await;
    let _never_read = server.sent("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut given_up = given_up;
    let was_dropped = in_time(given_up.recv()).await.unwrap();
    in_time(was_dropped).await.unwrap();
}

/// A handler that says when it begins, and ends when it is told to.
fn held() -> (Router, mpsc::Receiver<oneshot::Sender<()>>) {
    let (sender, begun) = mpsc::channel(8);
    let app = get(async move || {
        let (release, released) = oneshot::channel();
        sender.send(release).await.unwrap();
        released.await.unwrap();
        "done"
    });
    (Router::new().route("/", app), begun)
}

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn a_connection_too_many_waits_for_its_turn() {
    let (app, mut begun) = held();
    let server = Server::new(app, Limits { connections: 2, ..limits() }).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(server.sent(REQUEST).await);
    }
    let first = in_time(begun.recv()).await.unwrap();
    let second = in_time(begun.recv()).await.unwrap();
    assert!(timeout(Duration::from_millis(300), begun.recv()).await.is_err(), "the third waits");
    first.send(()).unwrap();
    in_time(begun.recv()).await.unwrap().send(()).unwrap();
    second.send(()).unwrap();
    for mut stream in streams {
        assert!(until_the_end(&mut stream).await.ends_with("done"));
    }
}

#[tokio::test]
async fn a_shutdown_lets_a_request_end() {
    let (app, mut begun) = held();
    let server = Server::new(app, Limits { headers: AT_MOST * 3, grace: AT_MOST * 3, ..limits() }).await;
    let mut idle = server.connect().await;
    // It is accepted before the next one: its end is the shutdown's doing.
    let mut busy = server.sent("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let release = in_time(begun.recv()).await.unwrap();
    server.shutdown.send(()).unwrap();
    assert_eq!(until_the_end(&mut idle).await, "");
    let refused = TcpStream::connect(server.address).await;
    assert!(refused.is_err(), "nothing is accepted any more");
    assert!(!server.serving.is_finished());
    release.send(()).unwrap();
    let answer = until_the_end(&mut busy).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
    in_time(server.serving).await.unwrap();
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_ever() {
    let (app, mut begun) = held();
    let server = Server::new(app, limits()).await;
    let mut busy = server.sent(REQUEST).await;
    let _never_released = in_time(begun.recv()).await.unwrap();
    server.shutdown.send(()).unwrap();
    in_time(server.serving).await.unwrap();
    assert_eq!(until_the_end(&mut busy).await, "");
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_a_proxy_more() {
    let (app, mut begun) = held();
    let server = Server::new(app, Limits { of_address: 1, ..limits() }).await;
    let mut first = server.sent(REQUEST).await;
    let release = in_time(begun.recv()).await.unwrap();
    let mut second = server.sent(REQUEST).await;
    assert_eq!(until_the_end(&mut second).await, "", "it is closed, and did not wait");
    release.send(()).unwrap();
    assert!(until_the_end(&mut first).await.ends_with("done"));
    let mut third = server.sent(REQUEST).await;
    in_time(begun.recv()).await.unwrap().send(()).unwrap();
    assert!(until_the_end(&mut third).await.ends_with("done"));

    let (app, mut begun) = held();
    let trusted = TrustedProxies(vec!["127.0.0.0/8".parse().unwrap()]);
    let server = Server::new(app, Limits { of_address: 1, trusted, ..limits() }).await;
    let _streams = [server.sent(REQUEST).await, server.sent(REQUEST).await];
    for _ in 0..2 {
        in_time(begun.recv()).await.unwrap().send(()).unwrap();
    }
}

#[tokio::test]
async fn handlers_are_told_who_asks() {
    const FORWARDED: &str = "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.7\r\nConnection: close\r\n\r\n";
    for (proxies, expected) in [(vec![], "127.0.0.1"), (vec!["127.0.0.1".parse().unwrap()], "192.0.2.7")] {
        let app = get(async |request: Request| Client::or_anybody(request.extensions()).to_string());
        let limits = Limits { trusted: TrustedProxies(proxies), ..limits() };
        let server = Server::new(Router::new().route("/", app), limits).await;
        let answer = until_the_end(&mut server.sent(FORWARDED).await).await;
        assert!(answer.ends_with(expected), "{answer}");
    }
}
