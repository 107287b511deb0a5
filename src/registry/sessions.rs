//! The upload sessions as the registry needs them, until the Chart Store has them.

use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{digest::Digest, image_harbor::StagedChunk, release::ApplicationKey};

/// An upload that is under way, or complete and not yet read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadSession {
    /// Its id in URLs: random.
    pub id: String,
    /// Whose it is.
    pub key: ApplicationKey,
    /// What the bytes must hash to.
    pub expected: Digest,
    /// How many bytes there must be.
    pub size: u64,
    /// sha256 of the upload key.
    pub key_hash: Digest,
    /// How many bytes are durable.
    pub offset: u64,
    /// How far it is.
    pub state: SessionState,
    /// From then on it is unknown.
    pub expires_at: Timestamp,
}

/// How far a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// Bytes may come.
    Open,
    /// All bytes are there and are what was announced.
    Complete,
}

/// What became of an advance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advance {
    /// The piece is the session's next one.
    Advanced,
    /// Somebody else was faster.
    OffsetMoved {
        /// Where the session stands.
        offset: u64,
    },
}

/// Why sessions could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the Chart Store does not answer: {0}")]
pub struct SessionError(pub String);

/// A store of upload sessions.
#[async_trait]
pub trait Sessions: Send + Sync + Debug {
    /// The session of this id.
    async fn session(&self, id: &str) -> Result<Option<UploadSession>, SessionError>;
    /// Makes `chunk` the piece at `from`, if the session still stands there.
    async fn advance_session(&self, id: &str, from: u64, chunk: StagedChunk) -> Result<Advance, SessionError>;
    /// The pieces in order.
    async fn session_chunks(&self, id: &str) -> Result<Vec<StagedChunk>, SessionError>;
    /// Back to the beginning.
    async fn reset_session(&self, id: &str) -> Result<(), SessionError>;
    /// All is there.
    async fn complete_session(&self, id: &str) -> Result<(), SessionError>;
    /// Forgets it.
    async fn delete_session(&self, id: &str) -> Result<(), SessionError>;
}
