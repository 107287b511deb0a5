//! Image Harbor (C16): the bytes of images, charts and rendered overlays, by digest.
//!
//! A blob has a name only once it is complete, verified and durable. Nothing is ever overwritten.

use std::{fmt::Debug, ops::Range, pin::Pin};

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// Bytes as they come.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, HarborError>> + Send>>;

/// A store of content-addressed blobs.
///
/// Every write is idempotent and safe to race and to be killed in.
#[async_trait]
pub trait ImageHarbor: Send + Sync + Debug {
    /// The size in bytes of a blob that is complete, or none.
    async fn stat(&self, digest: &Digest) -> Result<Option<u64>, HarborError>;

    /// The bytes of a blob, or those of a range of it.
    async fn read(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<ByteStream, HarborError>;

    /// Stores a blob. It becomes visible when its bytes have the digest (and, where given, the size) that was announced;
    /// otherwise nothing of it remains and the error says what differs. A blob that is already there is not read from
    /// `bytes` at all.
    async fn store(&self, digest: &Digest, size: Option<u64>, bytes: ByteStream) -> Result<Stored, HarborError>;

    /// Stores bytes on the way in, not yet known to be anything: a piece of an upload session. Durable on return.
    async fn stage(&self, session: &str, bytes: ByteStream) -> Result<StagedChunk, HarborError>;

    /// The bytes of a staged piece, or those of a range of it.
    async fn read_staged(
        &self,
        session: &str,
        chunk: &StagedChunk,
        range: Option<Range<u64>>,
    ) -> Result<ByteStream, HarborError>;

    /// Forgets all that was staged for a session, known pieces or not.
    async fn discard_session(&self, session: &str) -> Result<(), HarborError>;

    /// Names a manifest for readers of the store itself (the local layout's index.json, which skopeo reads).
    async fn announce(&self, name: &str, media_type: &str, digest: &Digest, size: u64) -> Result<(), HarborError>;

    /// Every complete blob with its size, a page at a time: `after` is the last digest of the page before.
    async fn blobs(&self, after: Option<&Digest>, limit: usize) -> Result<Vec<(Digest, u64)>, HarborError>;

    /// Whether the store answers.
    async fn ping(&self) -> Result<(), HarborError>;
}

/// What [`ImageHarbor::store`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Bytes of the blob.
    pub size: u64,
    /// Whether it was written now, or was there already.
    pub written: bool,
}

/// A piece of an upload session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StagedChunk {
    /// Its name in the session: unique, so that a writer that lost a race harms nobody.
    pub id: String,
    /// Its bytes.
    pub size: u64,
}

/// Why the Harbor could not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum HarborError {
    /// The blob is not here.
    #[error("{0} is not stored")]
    NotFound(Digest),
    /// The bytes are not what was announced.
    #[error("the content is {actual} of {actual_size} bytes, but {expected} was announced{}", .expected_size.map(|s| format!(" with {s} bytes")).unwrap_or_default())]
    Mismatch {
        /// The digest that was announced.
        expected: Digest,
        /// The size that was announced.
        expected_size: Option<u64>,
        /// The digest of what came.
        actual: Digest,
        /// The size of what came.
        actual_size: u64,
    },
    /// The source of the bytes failed; the store is well.
    #[error("reading the content failed: {0}")]
    Source(#[source] std::io::Error),
    /// The store does not answer as it should. Trying again later is right.
    #[error("{store}: {message}")]
    Unavailable {
        /// Which store, as in "S3 bucket orbit".
        store: String,
        /// What it said.
        message: String,
    },
}
