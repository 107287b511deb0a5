//! The Image Harbor contract: local layout and S3.

mod abandoned_uploads;
mod killed_writer;
mod listing;
mod unreliable_line;

use std::{collections::HashSet, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, future::join_all, stream};
use orbit_plane::{
    digest::Digest,
    image_harbor::{self, ByteStream, HarborError, ImageHarbor, StagedChunk, read_to_vec, store_bytes, stream_of},
    settings::StoreSettings,
};

/// What a store is tested in; the directory goes with it.
struct Under {
    harbor: Arc<dyn ImageHarbor>,
    _directory: Option<tempfile::TempDir>,
}

pub fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: start the stores and `eval \"$(testbed env)\"`"))
}

async fn local() -> Under {
    let directory = tempfile::tempdir().unwrap();
    let settings = StoreSettings { data_dir: Some(directory.path().to_owned()), ..Default::default() };
    Under { harbor: image_harbor::open(&settings).await.unwrap(), _directory: Some(directory) }
}

/// A plane of its own for every test, so that tests share a bucket and nothing in it.
async fn s3() -> Under {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let settings = StoreSettings {
        plane: Some(format!("test-{}", uuid::Uuid::new_v4())),
        s3_bucket: Some(setting("ORBIT_TEST_S3_BUCKET")),
        s3_endpoint: Some(setting("ORBIT_TEST_S3_ENDPOINT").parse().unwrap()),
        ..Default::default()
    };
    Under { harbor: image_harbor::open(&settings).await.unwrap(), _directory: None }
}

macro_rules! contract {
    ($($name:ident),* $(,)?) => {
        mod on_the_local_layout {
            $(#[tokio::test] async fn $name() { let under = super::local().await; super::$name(&*under.harbor).await; })*
        }
        mod on_s3 {
            $(#[tokio::test] async fn $name() { let under = super::s3().await; super::$name(&*under.harbor).await; })*
        }
    };
}

contract!(
    what_is_stored_is_read_back,
    an_empty_blob_is_a_blob,
    a_large_blob_comes_back_by_ranges,
    a_blob_is_stored_once,
    other_content_leaves_nothing,
    a_failing_source_leaves_nothing,
    more_than_announced_is_refused_early,
    racing_writers_agree,
    blobs_are_listed_in_pages,
    staged_pieces_come_back_until_discarded,
    names_stay_inside,
    a_missing_blob_is_not_found,
    an_address_to_fetch_from_needs_nothing_else,
    it_answers,
);

async fn collect(bytes: ByteStream) -> Result<Vec<u8>, HarborError> {
    bytes
        .try_fold(Vec::new(), async |mut all, chunk| {
            all.extend_from_slice(&chunk);
            Ok(all)
        })
        .await
}

/// A source that must not be touched.
fn untouchable() -> ByteStream {
    stream::once(async { panic!("a blob that is there was read from its source") }).boxed()
}

/// 20 MiB that repeat nowhere, in chunks of odd sizes.
fn large() -> Vec<u8> {
    (0..5 * 1024 * 1024_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

fn in_chunks(bytes: Vec<u8>) -> ByteStream {
    let bytes = Bytes::from(bytes);
    let starts = (0..bytes.len()).step_by(777_777);
    let chunks: Vec<_> = starts.map(|at| Ok(bytes.slice(at..(at + 777_777).min(bytes.len())))).collect();
    stream::iter(chunks).boxed()
}

async fn what_is_stored_is_read_back(harbor: &dyn ImageHarbor) {
    let digest = store_bytes(harbor, "orbit").await.unwrap();
    assert_eq!(harbor.stat(&digest).await.unwrap(), Some(5));
    assert_eq!(read_to_vec(harbor, &digest, 5).await.unwrap(), b"orbit");
    assert!(matches!(read_to_vec(harbor, &digest, 4).await, Err(HarborError::TooLarge { size: 5, .. })));
    assert_eq!(collect(harbor.read(&digest, Some(1..3)).await.unwrap()).await.unwrap(), b"rb");
    assert_eq!(collect(harbor.read(&digest, Some(5..5)).await.unwrap()).await.unwrap(), b"");
    let beyond = harbor.read(&digest, Some(2..6)).await.map(drop);
    assert!(matches!(beyond, Err(HarborError::OutOfRange { size: 5, .. })), "{beyond:?}");
}

/// Where there is one; its signature is all that it takes.
async fn an_address_to_fetch_from_needs_nothing_else(harbor: &dyn ImageHarbor) {
    let digest = store_bytes(harbor, "orbit, fetched").await.unwrap();
    let good_for = std::time::Duration::from_secs(60);
    assert_eq!(harbor.download_url(&Digest::of("nothing"), good_for).await.unwrap(), None);
    let Some(url) = harbor.download_url(&digest, good_for).await.unwrap() else {
        assert!(!harbor.name().starts_with("S3"));
        return;
    };
    let fetched = reqwest::get(url.clone()).await.unwrap();
    assert!(fetched.status().is_success(), "{fetched:?}");
    assert_eq!(fetched.bytes().await.unwrap(), "orbit, fetched");
    let mut unsigned = url;
    unsigned.set_query(None);
    assert!(!reqwest::get(unsigned).await.unwrap().status().is_success());
}

async fn an_empty_blob_is_a_blob(harbor: &dyn ImageHarbor) {
    let digest = store_bytes(harbor, "").await.unwrap();
    assert_eq!(harbor.stat(&digest).await.unwrap(), Some(0));
    assert_eq!(collect(harbor.read(&digest, None).await.unwrap()).await.unwrap(), b"");
}

async fn a_large_blob_comes_back_by_ranges(harbor: &dyn ImageHarbor) {
    let content = large();
    let digest = Digest::of(&content);
    let stored = harbor.store(&digest, None, in_chunks(content.clone())).await.unwrap();
    assert_eq!((stored.size, stored.written), (content.len() as u64, true));
    let middle = collect(harbor.read(&digest, Some(8_388_600..8_388_620)).await.unwrap()).await.unwrap();
    assert_eq!(middle, &content[8_388_600..8_388_620]);
    assert_eq!(image_harbor::verify(harbor, &digest).await.unwrap(), content.len() as u64);
}

async fn a_blob_is_stored_once(harbor: &dyn ImageHarbor) {
    let digest = store_bytes(harbor, "once").await.unwrap();
    let again = harbor.store(&digest, Some(4), untouchable()).await.unwrap();
    assert!(!again.written);
    let other_size = harbor.store(&digest, Some(5), untouchable()).await;
    assert!(matches!(other_size, Err(HarborError::Mismatch { .. })), "{other_size:?}");
}

async fn other_content_leaves_nothing(harbor: &dyn ImageHarbor) {
    let digest = Digest::of("announced");
    for (size, content) in [(None, "something"), (Some(4), "some"), (Some(9), "some")] {
        let refused = harbor.store(&digest, size, stream_of(content)).await;
        assert!(matches!(refused, Err(HarborError::Mismatch { .. })), "{refused:?}");
        assert_eq!(harbor.stat(&digest).await.unwrap(), None);
    }
    // Also when it takes more than one request.
    let refused = harbor.store(&digest, None, in_chunks(large())).await;
    assert!(matches!(refused, Err(HarborError::Mismatch { .. })), "{refused:?}");
    assert!(harbor.blobs(None, 10).await.unwrap().is_empty());
    harbor.store(&digest, Some(9), stream_of("announced")).await.unwrap();
}

async fn a_failing_source_leaves_nothing(harbor: &dyn ImageHarbor) {
    let content = large();
    let digest = Digest::of(&content);
    for whole_chunks in [0, 1, 20] {
        let failure = stream::iter([Err(HarborError::Source(std::io::Error::other("the line went dead")))]);
        let cut_off = in_chunks(content.clone()).take(whole_chunks).chain(failure).boxed();
        let failed = harbor.store(&digest, Some(content.len() as u64), cut_off).await;
        assert!(matches!(failed, Err(HarborError::Source(_))), "{failed:?}");
        assert_eq!(harbor.stat(&digest).await.unwrap(), None);
    }
}

async fn more_than_announced_is_refused_early(harbor: &dyn ImageHarbor) {
    let endless = stream::repeat_with(|| Ok(Bytes::from_static(&[0; 1024]))).boxed();
    let refused = harbor.store(&Digest::of("x"), Some(10_000), endless).await;
    assert!(matches!(refused, Err(HarborError::TooLong { expected_size: 10_000, .. })), "{refused:?}");
    assert!(harbor.blobs(None, 10).await.unwrap().is_empty());
}

async fn racing_writers_agree(harbor: &dyn ImageHarbor) {
    let content = "raced for".repeat(1000);
    let digest = Digest::of(&content);
    let writers = (0..16).map(|_| harbor.store(&digest, None, stream_of(content.clone())));
    let stored: Vec<_> = join_all(writers).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(stored.iter().filter(|stored| stored.written).count(), 1, "{stored:?}");
    assert_eq!(image_harbor::verify(harbor, &digest).await.unwrap(), content.len() as u64);
    assert_eq!(harbor.blobs(None, 10).await.unwrap(), [(digest, content.len() as u64)]);
}

async fn blobs_are_listed_in_pages(harbor: &dyn ImageHarbor) {
    let mut stored = HashSet::new();
    for n in 0..25 {
        stored.insert(store_bytes(harbor, format!("blob {n}")).await.unwrap());
    }
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = harbor.blobs(after.as_ref(), 10).await.unwrap();
        listed.extend(page.iter().map(|(digest, _)| *digest));
        after = listed.last().copied();
        if page.len() < 10 {
            break;
        }
    }
    assert!(listed.is_sorted());
    assert_eq!(listed.len(), 25);
    assert_eq!(listed.into_iter().collect::<HashSet<_>>(), stored);
}

async fn staged_pieces_come_back_until_discarded(harbor: &dyn ImageHarbor) {
    let first = harbor.stage("session-1", stream_of("first ")).await.unwrap();
    let second = harbor.stage("session-1", stream_of("second")).await.unwrap();
    let other = harbor.stage("session-10", stream_of("other")).await.unwrap();
    assert_eq!((first.size, second.size), (6, 6));
    assert_ne!(first.id, second.id);
    let part = harbor.read_staged("session-1", &second, Some(3..6)).await.unwrap();
    assert_eq!(collect(part).await.unwrap(), b"ond");
    assert!(harbor.blobs(None, 10).await.unwrap().is_empty(), "what is staged has no name");

    for _ in 0..2 {
        harbor.discard_session("session-1").await.unwrap();
    }
    let gone = async { collect(harbor.read_staged("session-1", &first, None).await?).await }.await;
    assert!(matches!(gone, Err(HarborError::NotStaged { .. })), "{gone:?}");
    let kept = harbor.read_staged("session-10", &other, None).await.unwrap();
    assert_eq!(collect(kept).await.unwrap(), b"other");
}

async fn names_stay_inside(harbor: &dyn ImageHarbor) {
    for session in ["", "..", "../x", "a/b", "/etc", ".hidden", "a\0"] {
        let refused = harbor.stage(session, stream_of("x")).await;
        assert!(matches!(refused, Err(HarborError::InvalidName { .. })), "{session:?}: {refused:?}");
        assert!(harbor.discard_session(session).await.is_err(), "{session:?}");
    }
    let outside = StagedChunk { id: "../../index.json".into(), size: 1 };
    assert!(harbor.read_staged("session", &outside, None).await.is_err());
}

async fn a_missing_blob_is_not_found(harbor: &dyn ImageHarbor) {
    let digest = Digest::of("nowhere");
    assert_eq!(harbor.stat(&digest).await.unwrap(), None);
    assert!(matches!(harbor.read(&digest, None).await.map(drop), Err(HarborError::NotFound(d)) if d == digest));
}

async fn it_answers(harbor: &dyn ImageHarbor) {
    harbor.ping().await.unwrap();
}

#[tokio::test]
async fn an_s3_server_that_is_away_is_said_to_be() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Nothing listens on the port of a listener that is gone.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings = StoreSettings {
        s3_bucket: Some("orbit".into()),
        s3_endpoint: Some(format!("http://127.0.0.1:{port}").parse().unwrap()),
        ..Default::default()
    };
    let harbor = image_harbor::open(&settings).await.unwrap();
    let away = harbor.ping().await.unwrap_err();
    assert!(matches!(&away, HarborError::Unavailable { store, .. } if store == "S3 bucket orbit"), "{away}");
}

#[tokio::test]
async fn skopeo_reads_the_local_layout() {
    let under = local().await;
    let harbor = &*under.harbor;
    let config =
        serde_json::json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}});
    let config = serde_json::to_vec(&config).unwrap();
    let config_digest = store_bytes(harbor, config.clone()).await.unwrap();
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = serde_json::to_vec(&serde_json::json!({
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config_digest, "size": config.len()},
        "layers": [],
    }))
    .unwrap();
    let digest = store_bytes(harbor, manifest.clone()).await.unwrap();
    for _ in 0..2 {
        harbor.announce("shop/web:1.4.0", media_type, &digest, manifest.len() as u64).await.unwrap();
    }
    let layout = under._directory.as_ref().unwrap().path().join("harbor");
    let index: serde_json::Value = serde_json::from_slice(&std::fs::read(layout.join("index.json")).unwrap()).unwrap();
    assert_eq!(index["manifests"].as_array().unwrap().len(), 1);
    let inspected = std::process::Command::new("skopeo")
        .args(["inspect", "--format", "{{.Digest}}"])
        .arg(format!("oci:{}:shop/web:1.4.0", layout.display()))
        .output()
        .expect("skopeo is installed: `testbed tools`");
    assert!(inspected.status.success(), "{}", String::from_utf8_lossy(&inspected.stderr));
    assert_eq!(String::from_utf8_lossy(&inspected.stdout).trim(), digest.to_string());
}
