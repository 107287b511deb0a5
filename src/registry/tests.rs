//! The protocol against real stores, in process.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Request, Response, StatusCode, header},
};
use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tower::ServiceExt;

use super::*;
use crate::{
    chart_store::{SessionState, SqliteTable, UploadSession},
    digest::Digest,
    image_harbor::LocalHarbor,
};

const KEY: &str = "an-upload-key";
const SESSION: &str = "0c9e4a2e-6d0f-4c4e-b6d5-1f7d3f1f1a11";
const PATH: &str = "/v2/shop/web/blobs/uploads/0c9e4a2e-6d0f-4c4e-b6d5-1f7d3f1f1a11";

/// A registry with one open session for `archive`.
struct Bench {
    router: Router,
    registry: Registry,
    completed: mpsc::Receiver<ApplicationKey>,
    _directory: tempfile::TempDir,
}

impl Bench {
    async fn expecting(archive: &[u8]) -> Self {
        Self::with(archive, |_| {}).await
    }

    async fn with(archive: &[u8], change: impl FnOnce(&mut UploadSession)) -> Self {
        let mut session = UploadSession {
            id: SESSION.into(),
            key: ApplicationKey::new("shop", "web"),
            expected: Digest::of(archive),
            size: archive.len() as u64,
            key_hash: Digest::of(KEY),
            offset: 0,
            state: SessionState::Open,
            expires_at: Timestamp::now() + SignedDuration::from_hours(1),
        };
        change(&mut session);
        let directory = tempfile::tempdir().unwrap();
        let harbor = Arc::new(LocalHarbor::open(directory.path()).await.unwrap());
        let table = SqliteTable::open(directory.path()).await.unwrap();
        let sessions = ChartStore::on("orbit", Arc::new(table)).unwrap();
        sessions.open_session(&session).await.unwrap();
        let (sender, completed) = mpsc::channel(16);
        let limits = Limits {
            pieces: PieceLimits { size: 4, ..PieceLimits::default() },
            patience: Duration::from_millis(50),
            ..Limits::default()
        };
        let readers = Arc::new(readers::testing::Cluster::default()).readers();
        let registry = Registry::new(harbor, sessions, sender, readers, None, limits);
        Self { router: router(registry.clone()), registry, completed, _directory: directory }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        Answer::of(self.router.clone().oneshot(request).await.unwrap()).await
    }

    async fn get(&self) -> Answer {
        self.send(request("GET", PATH).body(Body::empty()).unwrap()).await
    }

    async fn patch(&self, range: &str, bytes: &'static str) -> Answer {
        let request = request("PATCH", PATH).header(header::CONTENT_RANGE, range);
        self.send(request.body(Body::from(bytes)).unwrap()).await
    }

    async fn put(&self, digest: &str) -> Answer {
        self.send(request("PUT", &format!("{PATH}?digest={digest}")).body(Body::empty()).unwrap()).await
    }

    /// All bytes of the pieces that the session names.
    async fn stored(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for chunk in self.registry.sessions().session_chunks(SESSION).await.unwrap() {
            let mut bytes = self.registry.harbor().read_staged(SESSION, &chunk, None).await.unwrap();
            while let Some(frame) = bytes.next().await {
                all.extend_from_slice(&frame.unwrap());
            }
        }
        all
    }
}

fn request(method: &str, uri: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(uri).header(header::AUTHORIZATION, format!("Bearer {KEY}"))
}

/// A response, read.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: axum::http::HeaderMap,
    body: serde_json::Value,
}

impl Answer {
    async fn of(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let body = if body.is_empty() { serde_json::Value::Null } else { serde_json::from_slice(&body).unwrap() };
        Self { status: parts.status, headers: parts.headers, body }
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}")).to_str().unwrap()
    }

    fn offset(&self) -> u64 {
        self.header("orbit-upload-offset").parse().unwrap()
    }

    #[track_caller]
    fn refused(&self, status: StatusCode, code: &str) {
        assert_eq!((self.status, self.body["errors"][0]["code"].as_str()), (status, Some(code)), "{self:?}");
        assert!(!self.body["errors"][0]["message"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn an_archive_arrives_in_chunks() {
    let mut bench = Bench::expecting(b"hello, world").await;
    let digest = Digest::of("hello, world").to_string();

    let empty = bench.get().await;
    assert_eq!(empty.status, StatusCode::NO_CONTENT);
    assert_eq!((empty.header("range"), empty.offset()), ("0-0", 0));
    assert_eq!(empty.header("docker-upload-uuid"), SESSION);

    let first = bench.patch("0-6", "hello, ").await;
    assert_eq!(first.status, StatusCode::ACCEPTED, "{first:?}");
    assert_eq!((first.header("range"), first.offset(), first.header("location")), ("0-6", 7, PATH));
    assert_eq!(bench.patch("7-11", "world").await.offset(), 12);

    let done = bench.put(&digest).await;
    assert_eq!(done.status, StatusCode::CREATED, "{done:?}");
    assert_eq!(done.header("docker-content-digest"), digest);
    assert_eq!(done.header("location"), format!("/v2/shop/web/blobs/{digest}"));
    assert_eq!(bench.completed.recv().await, Some(ApplicationKey::new("shop", "web")));
    assert_eq!(bench.stored().await, b"hello, world");

    assert_eq!(bench.put(&digest).await.status, StatusCode::CREATED, "repeating it changes nothing");
}

#[tokio::test]
async fn the_last_bytes_may_come_with_the_completion() {
    let bench = Bench::expecting(b"hello, world").await;
    bench.patch("0-6", "hello, ").await;
    let request =
        request("PUT", &format!("{PATH}?digest={}", Digest::of("hello, world"))).header(header::CONTENT_RANGE, "7-11");
    let done = bench.send(request.body(Body::from("world")).unwrap()).await;
    assert_eq!(done.status, StatusCode::CREATED, "{done:?}");
    assert_eq!(bench.stored().await, b"hello, world");
}

#[tokio::test]
async fn a_chunk_that_is_not_the_next_one_is_told_what_is() {
    let bench = Bench::expecting(b"hello, world").await;
    bench.patch("0-6", "hello, ").await;
    for (range, bytes) in [("0-6", "hello, "), ("8-11", "orld")] {
        let refused = bench.patch(range, bytes).await;
        refused.refused(StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID");
        assert_eq!((refused.offset(), refused.header("range")), (7, "0-6"));
    }
    let without_range = bench.send(request("PATCH", PATH).body(Body::from("world")).unwrap()).await;
    without_range.refused(StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID");
    assert_eq!(bench.stored().await, b"hello, ");
}

#[tokio::test]
async fn what_came_before_a_cut_counts() {
    let bench = Bench::expecting(b"hello, world").await;
    let broken = stream::iter([Ok("hello,"), Err(std::io::Error::other("reset"))]);
    let request = request("PATCH", PATH).header(header::CONTENT_RANGE, "0-11");
    let answer = bench.send(request.body(Body::from_stream(broken)).unwrap()).await;
    answer.refused(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID");
    assert_eq!(bench.get().await.offset(), 6);
    assert_eq!(bench.patch("6-11", " world").await.offset(), 12);
    assert_eq!(bench.put(&Digest::of("hello, world").to_string()).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_request_that_is_given_up_still_brings_what_it_brought() {
    let mut bench = Bench::expecting(b"hello, world").await;
    let (frames, body) = mpsc::channel::<Result<bytes::Bytes, std::io::Error>>(1);
    let request = request("PATCH", PATH).header(header::CONTENT_RANGE, "0-11");
    let body = Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(body));
    let handler = tokio::spawn(bench.router.clone().oneshot(request.body(body).unwrap()));
    frames.send(Ok("hello".into())).await.unwrap();
    frames.reserve().await.unwrap();
    handler.abort();
    assert!(handler.await.unwrap_err().is_cancelled());
    frames.send(Ok(", world".into())).await.unwrap();
    drop(frames);
    // The permit that the request holds comes back when its work is done.
    let all = bench.registry.limits().receiving as u32;
    drop(bench.registry.0.receiving.acquire_many(all).await.unwrap());
    assert_eq!(bench.stored().await, b"hello, world");
    assert!(bench.completed.try_recv().is_err());
}

#[tokio::test]
async fn of_racing_writers_one_wins_and_the_archive_is_right() {
    let archive = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let bench = Bench::expecting(archive).await;
    let writers = (0..4).map(|_| async {
        loop {
            let offset = bench.get().await.offset() as usize;
            if offset == archive.len() {
                return bench.put(&Digest::of(archive).to_string()).await.status;
            }
            let end = (offset + 7).min(archive.len());
            let request = request("PATCH", PATH).header(header::CONTENT_RANGE, format!("{offset}-{}", end - 1));
            let answer = bench.send(request.body(Body::from(&archive[offset..end])).unwrap()).await;
            assert!([StatusCode::ACCEPTED, StatusCode::RANGE_NOT_SATISFIABLE].contains(&answer.status), "{answer:?}");
        }
    });
    assert_eq!(futures::future::join_all(writers).await, [StatusCode::CREATED; 4]);
    assert_eq!(bench.stored().await, archive);
}

#[tokio::test]
async fn only_the_key_opens_the_session() {
    let bench = Bench::expecting(b"hello").await;
    for authorization in [None, Some("Bearer wrong"), Some("Basic an-upload-key"), Some("an-upload-key")] {
        for method in ["GET", "PATCH", "PUT", "DELETE"] {
            let mut request = Request::builder().method(method).uri(PATH);
            if let Some(value) = authorization {
                request = request.header(header::AUTHORIZATION, value);
            }
            let refused = bench.send(request.body(Body::from("hello")).unwrap()).await;
            refused.refused(StatusCode::UNAUTHORIZED, "UNAUTHORIZED");
            assert!(refused.header("www-authenticate").starts_with("Bearer "));
            assert!(!refused.body.to_string().contains("wrong"));
        }
    }
    assert_eq!(bench.get().await.offset(), 0);
}

#[tokio::test]
async fn a_session_is_found_under_its_own_path_only() {
    let bench = Bench::expecting(b"hello").await;
    for path in [
        format!("/v2/other/web/blobs/uploads/{SESSION}"),
        format!("/v2/shop/api/blobs/uploads/{SESSION}"),
        "/v2/shop/web/blobs/uploads/0c9e4a2e-0000-4c4e-b6d5-1f7d3f1f1a11".to_owned(),
        "/v2/shop/web/blobs/uploads/..%2f..".to_owned(),
    ] {
        let refused = bench.send(request("GET", &path).body(Body::empty()).unwrap()).await;
        refused.refused(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN");
    }
}

#[tokio::test]
async fn an_expired_session_is_unknown() {
    let bench = Bench::with(b"hello", |session| session.expires_at = Timestamp::now()).await;
    bench.get().await.refused(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test]
async fn nothing_goes_beyond_the_announced_size() {
    let bench = Bench::expecting(b"hello").await;
    bench.patch("0-5", "hello!").await.refused(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID");
    assert_eq!(bench.get().await.offset(), 0, "it was refused before anything was read");

    // Without a length the excess is noticed on the way, behind a piece (of 4 bytes here) that was in order.
    let body = Body::from_stream(stream::iter([Ok::<_, std::io::Error>("hello!!!")]));
    let refused = bench.send(request("PATCH", PATH).body(body).unwrap()).await;
    refused.refused(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID");
    assert_eq!(refused.offset(), 4);
    assert_eq!(bench.patch("4-4", "o").await.offset(), 5);
    bench.patch("5-5", "!").await.refused(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID");
    assert_eq!(bench.put(&Digest::of("hello").to_string()).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_range_that_lies_about_its_length_is_refused() {
    let bench = Bench::expecting(b"hello").await;
    bench.patch("0-3", "hel").await.refused(StatusCode::BAD_REQUEST, "SIZE_INVALID");
    assert_eq!(bench.get().await.offset(), 3, "what came counts");
    bench.patch("3-3", "lo").await.refused(StatusCode::BAD_REQUEST, "SIZE_INVALID");
    bench.patch("lo", "lo").await.refused(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID");
    assert_eq!(bench.patch("3-4", "lo").await.offset(), 5);
}

#[tokio::test]
async fn wrong_content_starts_over() {
    let mut bench = Bench::expecting(b"hello").await;
    let digest = Digest::of("hello").to_string();
    bench.patch("0-4", "jello").await;
    let refused = bench.put(&digest).await;
    refused.refused(StatusCode::BAD_REQUEST, "DIGEST_INVALID");
    assert_eq!(refused.offset(), 0);
    assert!(bench.completed.try_recv().is_err());
    assert_eq!(bench.stored().await, b"");

    bench.patch("0-4", "hello").await;
    assert_eq!(bench.put(&digest).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn another_digest_is_refused_and_costs_nothing() {
    let bench = Bench::expecting(b"hello").await;
    bench.patch("0-4", "hello").await;
    bench.put(&Digest::of("jello").to_string()).await.refused(StatusCode::BAD_REQUEST, "DIGEST_INVALID");
    bench.put("md5:0").await.refused(StatusCode::BAD_REQUEST, "DIGEST_INVALID");
    let without = bench.send(request("PUT", PATH).body(Body::empty()).unwrap()).await;
    without.refused(StatusCode::BAD_REQUEST, "DIGEST_INVALID");
    assert_eq!(bench.get().await.offset(), 5);
}

#[tokio::test]
async fn an_upload_completes_only_when_all_is_there() {
    let bench = Bench::expecting(b"hello").await;
    bench.patch("0-2", "hel").await;
    let refused = bench.put(&Digest::of("hello").to_string()).await;
    refused.refused(StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID");
    assert_eq!(refused.offset(), 3);
}

#[tokio::test]
async fn lost_pieces_are_asked_for_again() {
    let bench = Bench::expecting(b"hello").await;
    bench.patch("0-4", "hello").await;
    bench.registry.harbor().discard_session(SESSION).await.unwrap();
    let refused = bench.put(&Digest::of("hello").to_string()).await;
    refused.refused(StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID");
    assert_eq!(refused.offset(), 0);
    bench.patch("0-4", "hello").await;
    assert_eq!(bench.put(&Digest::of("hello").to_string()).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_sender_may_give_up_until_all_is_there() {
    let delete = || request("DELETE", PATH).body(Body::empty()).unwrap();
    let mut bench = Bench::expecting(b"hello").await;
    bench.patch("0-2", "hel").await;
    assert_eq!(bench.send(delete()).await.status, StatusCode::NO_CONTENT);
    bench.get().await.refused(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN");
    assert_eq!(bench.completed.recv().await, Some(ApplicationKey::new("shop", "web")));

    let bench = Bench::expecting(b"hello").await;
    bench.patch("0-4", "hello").await;
    bench.put(&Digest::of("hello").to_string()).await;
    bench.send(delete()).await.refused(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN");
    assert_eq!(bench.stored().await, b"hello");
}

#[tokio::test]
async fn what_is_not_of_the_protocol_is_refused() {
    let bench = Bench::expecting(b"hello").await;
    for path in ["/v2/shop/web/blobs/uploads/", "/v2/shop/web/blobs/uploads"] {
        let refused = bench.send(request("POST", path).body(Body::empty()).unwrap()).await;
        refused.refused(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED");
        assert!(refused.body.to_string().contains("ImageUpload"));
    }
    let refused = bench.send(request("POST", PATH).body(Body::empty()).unwrap()).await;
    refused.refused(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED");
    let json = request("PATCH", PATH).header(header::CONTENT_TYPE, "application/json");
    let refused = bench.send(json.body(Body::from("{}")).unwrap()).await;
    refused.refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "BLOB_UPLOAD_INVALID");
}

#[tokio::test]
async fn a_busy_registry_says_when_to_come_back() {
    let bench = Bench::expecting(b"hello").await;
    let all = bench.registry.limits().receiving as u32;
    let taken = bench.registry.0.receiving.clone().acquire_many_owned(all).await.unwrap();
    let refused = bench.patch("0-4", "hello").await;
    refused.refused(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS");
    assert!(!refused.header("retry-after").is_empty());
    drop(taken);
    assert_eq!(bench.patch("0-4", "hello").await.offset(), 5);
}
