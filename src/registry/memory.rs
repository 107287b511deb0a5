//! Stores in memory for the tests of the protocol's two sides, until the real ones are merged.

use std::{collections::HashMap, sync::Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};

use super::sessions::{Advance, SessionError, SessionState, Sessions, UploadSession};
use crate::{
    digest::Digest,
    image_harbor::{ByteStream, HarborError, ImageHarbor, StagedChunk, Stored},
};

/// Sessions and their staged pieces.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) sessions: Mutex<HashMap<String, (UploadSession, Vec<StagedChunk>)>>,
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
