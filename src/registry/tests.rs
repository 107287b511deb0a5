//! The protocol against real stores, in process.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Request, Response, StatusCode, header},
};
use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tower::ServiceExt;

use super::{
    memory::Memory,
    sessions::{SessionState, UploadSession},
    *,
};
use crate::digest::Digest;

const KEY: &str = "an-upload-key";
const SESSION: &str = "0c9e4a2e-6d0f-4c4e-b6d5-1f7d3f1f1a11";
const PATH: &str = "/v2/shop/web/blobs/uploads/0c9e4a2e-6d0f-4c4e-b6d5-1f7d3f1f1a11";

/// A registry with one open session for `archive`.
struct Bench {
    router: Router,
    registry: Registry,
    completed: mpsc::Receiver<ApplicationKey>,
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
        let stores = Arc::new(Memory::default());
        stores.sessions.lock().unwrap().insert(session.id.clone(), (session, Vec::new()));
        let (sender, completed) = mpsc::channel(16);
        let limits = Limits { pieces: PieceLimits { size: 4, ..PieceLimits::default() }, ..Limits::default() };
        let registry = Registry::new(stores.clone(), stores, sender, limits);
        Self { router: router(registry.clone()), registry, completed }
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
