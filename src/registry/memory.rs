//! Sessions in memory for the tests of the protocol's two sides, until the Chart Store has them.

use std::{collections::HashMap, sync::Mutex};

use async_trait::async_trait;

use super::sessions::{Advance, SessionError, SessionState, Sessions, UploadSession};
use crate::image_harbor::StagedChunk;

/// Sessions and the names of their pieces.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) sessions: Mutex<HashMap<String, (UploadSession, Vec<StagedChunk>)>>,
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
