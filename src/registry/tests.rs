//! The protocol against real stores, in process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use axum::{
    body::Body,
    http::{Request, Response, StatusCode, header},
};
use bytes::Bytes;
use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tower::ServiceExt;

use super::{
    sessions::{Advance, SessionError, SessionState, Sessions, UploadSession},
    *,
};
use crate::{
    digest::Digest,
    image_harbor::{ByteStream, HarborError, StagedChunk, Stored},
};

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

/// Stores in memory, until the real ones are merged.
#[derive(Debug, Default)]
struct Memory {
    sessions: Mutex<HashMap<String, (UploadSession, Vec<StagedChunk>)>>,
    staged: Mutex<HashMap<(String, String), Bytes>>,
}

#[async_trait]
impl Sessions for Memory {
    async fn session(&self, id: &str) -> Result<Option<UploadSession>, SessionError> {
        Ok(self.sessions.lock().unwrap().get(id).map(|(session, _)| session.clone()))
    }
    async fn advance_session(&self, id: &str, from: u64, chunk: StagedChunk) -> Result<Advance, SessionError> {
        let mut sessions = self.sessions.lock().unwrap();
        let (session, chunks) = sessions.get_mut(id).ok_or_else(|| SessionError("no session".into()))?;
        if session.offset != from {
            return Ok(Advance::OffsetMoved { offset: session.offset });
        }
        session.offset += chunk.size;
        chunks.push(chunk);
        Ok(Advance::Advanced)
    }
    async fn session_chunks(&self, id: &str) -> Result<Vec<StagedChunk>, SessionError> {
        Ok(self.sessions.lock().unwrap().get(id).map(|(_, chunks)| chunks.clone()).unwrap_or_default())
    }
    async fn reset_session(&self, id: &str) -> Result<(), SessionError> {
        if let Some((session, chunks)) = self.sessions.lock().unwrap().get_mut(id) {
            session.offset = 0;
            chunks.clear();
        }
        Ok(())
    }
    async fn complete_session(&self, id: &str) -> Result<(), SessionError> {
        if let Some((session, _)) = self.sessions.lock().unwrap().get_mut(id) {
            session.state = SessionState::Complete;
        }
        Ok(())
    }
    async fn delete_session(&self, id: &str) -> Result<(), SessionError> {
        self.sessions.lock().unwrap().remove(id);
        Ok(())
    }
}

#[async_trait]
impl ImageHarbor for Memory {
    async fn stat(&self, _: &Digest) -> Result<Option<u64>, HarborError> {
        unimplemented!()
    }
    async fn read(&self, _: &Digest, _: Option<std::ops::Range<u64>>) -> Result<ByteStream, HarborError> {
        unimplemented!()
    }
    async fn store(&self, _: &Digest, _: Option<u64>, _: ByteStream) -> Result<Stored, HarborError> {
        unimplemented!()
    }
    async fn stage(&self, session: &str, mut bytes: ByteStream) -> Result<StagedChunk, HarborError> {
        let mut all = Vec::new();
        while let Some(frame) = bytes.next().await {
            all.extend_from_slice(&frame?);
        }
        let chunk = StagedChunk { id: uuid::Uuid::new_v4().to_string(), size: all.len() as u64 };
        self.staged.lock().unwrap().insert((session.into(), chunk.id.clone()), all.into());
        Ok(chunk)
    }
    async fn read_staged(
        &self,
        session: &str,
        chunk: &StagedChunk,
        _: Option<std::ops::Range<u64>>,
    ) -> Result<ByteStream, HarborError> {
        match self.staged.lock().unwrap().get(&(session.to_owned(), chunk.id.clone())).cloned() {
            Some(bytes) => Ok(Box::pin(stream::once(async { Ok(bytes) }))),
            None => Err(HarborError::NotFound(Digest::of(&chunk.id))),
        }
    }
    async fn discard_session(&self, session: &str) -> Result<(), HarborError> {
        self.staged.lock().unwrap().retain(|(s, _), _| s != session);
        Ok(())
    }
    async fn announce(&self, _: &str, _: &str, _: &Digest, _: u64) -> Result<(), HarborError> {
        unimplemented!()
    }
    async fn blobs(&self, _: Option<&Digest>, _: usize) -> Result<Vec<(Digest, u64)>, HarborError> {
        unimplemented!()
    }
    async fn ping(&self) -> Result<(), HarborError> {
        Ok(())
    }
}
