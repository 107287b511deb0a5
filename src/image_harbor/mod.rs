//! Image Harbor (C16): the bytes of images, charts and rendered overlays, by digest.
//!
//! A blob has a name only once it is complete, verified and durable. Nothing is ever overwritten.
//!
//! Two stores keep this contract: [`S3Harbor`] for a plane of several replicas, and [`LocalHarbor`], an OCI image layout
//! in one directory. [`open`] gives the one that the settings name.

mod content;
mod error;
pub mod ingest;
mod intake;
mod local;
mod names;
mod open;
mod s3;

use std::{fmt::Debug, ops::Range, pin::Pin, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;
use serde::{Deserialize, Serialize};
use url::Url;

pub use self::{
    content::{read_to_vec, reader, store_bytes, stream_of, verify},
    error::HarborError,
    local::LocalHarbor,
    open::open,
    s3::{S3Harbor, S3Limits},
};
use crate::digest::Digest;

/// Bytes as they come. An error ends the stream: [`HarborError::Source`] where its origin failed.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, HarborError>> + Send>>;

/// A store of content-addressed blobs.
///
/// Every write is idempotent and safe to race and to be killed in: what a killed writer leaves behind has no name and is
/// reclaimed. A future that is dropped half-way is such a writer too.
#[async_trait]
pub trait ImageHarbor: Send + Sync + Debug {
    /// The size in bytes of a blob that is complete, or none.
    async fn stat(&self, digest: &Digest) -> Result<Option<u64>, HarborError>;

    /// The bytes of a blob, or those of a range of it that lies within the blob (else [`HarborError::OutOfRange`]).
    ///
    /// The stream gives exactly as many bytes as were asked for, or an error: never fewer without saying so. Whether
    /// they have the digest is for the reader to check ([`read_to_vec`] and [`verify`] do).
    async fn read(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<ByteStream, HarborError>;

    /// Where whoever has the address may fetch a blob from this store directly, for as long as `good_for`; none where
    /// the store has no such addresses, or not this blob.
    async fn download_url(&self, digest: &Digest, good_for: Duration) -> Result<Option<Url>, HarborError> {
        let _ = (digest, good_for);
        Ok(None)
    }

    /// Stores a blob. It becomes visible when its bytes have the digest (and, where given, the size) that was announced;
    /// otherwise nothing of it remains and the error says what differs; no more than one chunk beyond the announced size
    /// is ever read. A blob that is already there is not read from `bytes` at all. Errors of `bytes` are passed on as
    /// they are.
    async fn store(&self, digest: &Digest, size: Option<u64>, bytes: ByteStream) -> Result<Stored, HarborError>;

    /// Stores bytes on the way in, not yet known to be anything: a piece of an upload session. Durable on return.
    ///
    /// A session is named with at most 128 letters, digits, `-`, `_` and `.`, the first a letter or a digit.
    async fn stage(&self, session: &str, bytes: ByteStream) -> Result<StagedChunk, HarborError>;

    /// The bytes of a staged piece, or those of a range of it, as [`read`](Self::read) gives them.
    async fn read_staged(
        &self,
        session: &str,
        chunk: &StagedChunk,
        range: Option<Range<u64>>,
    ) -> Result<ByteStream, HarborError>;

    /// Forgets all that was staged for a session, known pieces or not. That there was none is no error.
    async fn discard_session(&self, session: &str) -> Result<(), HarborError>;

    /// Names a manifest for readers of the store itself (the local layout's index.json, which skopeo reads). A name that
    /// is announced again names the newer manifest. A store that no other tool reads has nothing to do.
    async fn announce(&self, name: &str, media_type: &str, digest: &Digest, size: u64) -> Result<(), HarborError>;

    /// Every complete blob with its size, in the order of their digests, a page at a time: `after` is the last
    /// digest of the page before, and a page of fewer than `limit` is the last.
    async fn blobs(&self, after: Option<&Digest>, limit: usize) -> Result<Vec<(Digest, u64)>, HarborError>;

    /// Clears what writers that were killed long ago left half done outside any name; how many things. A bounded piece
    /// of work, meant to be done at every start of a plane, beside everything else. A store that clears up when it is
    /// opened, as the local layout does, has nothing to do.
    async fn clear_abandoned(&self) -> Result<usize, HarborError> {
        Ok(0)
    }

    /// What this store is called in errors and conditions, as in "S3 bucket orbit".
    fn name(&self) -> String;

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
