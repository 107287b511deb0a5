//! Why the Harbor could not do as asked.

use std::{io, ops::Range};

use crate::digest::Digest;

/// Why the Harbor could not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum HarborError {
    /// The blob is not here.
    #[error("{0} is not stored")]
    NotFound(Digest),
    /// The staged piece is not here: it was discarded, or never was.
    #[error("piece {id:?} of upload session {session} is not stored: start the upload again")]
    NotStaged {
        /// The upload session.
        session: String,
        /// The piece's name in it.
        id: String,
    },
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
    /// More bytes came than were announced; the rest was not read.
    #[error("the content is longer than the {expected_size} bytes that were announced for {expected}")]
    TooLong {
        /// The digest that was announced.
        expected: Digest,
        /// The size that was announced.
        expected_size: u64,
    },
    /// A blob is larger than the reader is ready to hold.
    #[error("{digest} has {size} bytes: at most {max} are read here")]
    TooLarge {
        /// The blob.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
        /// How many bytes the reader takes.
        max: u64,
    },
    /// A range reaches beyond the end, or ends before it starts.
    #[error("bytes {} to {} were asked for, but there are {size}", .range.start, .range.end)]
    OutOfRange {
        /// The range, in bytes.
        range: Range<u64>,
        /// How many bytes there are.
        size: u64,
    },
    /// A name that becomes part of a path or key is none.
    #[error(
        "{name:?} cannot name {what}: use at most 128 letters, digits, '-', '_' and '.', the first a letter or digit"
    )]
    InvalidName {
        /// What it should name, with its article.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The source of the bytes failed; the store is well.
    #[error("reading the content failed: {0}")]
    Source(#[source] io::Error),
    /// The store has lost or changed bytes that it had confirmed. Trying again does not help: they must be restored.
    #[error("{store}: {digest} is damaged, restore it from a backup or store its content anew elsewhere: {message}")]
    Damaged {
        /// Which store, as in "S3 bucket orbit".
        store: String,
        /// The blob.
        digest: Digest,
        /// What is wrong with it.
        message: String,
    },
    /// The store does not answer as it should. Trying again later is right.
    #[error("{store}: {message}")]
    Unavailable {
        /// Which store, as in "S3 bucket orbit".
        store: String,
        /// What it said.
        message: String,
    },
}

/// For readers and copiers that speak `std::io`.
impl From<HarborError> for io::Error {
    fn from(error: HarborError) -> Self {
        match error {
            HarborError::Source(error) => error,
            HarborError::NotFound(_) | HarborError::NotStaged { .. } => Self::new(io::ErrorKind::NotFound, error),
            HarborError::Damaged { .. } | HarborError::Mismatch { .. } | HarborError::TooLong { .. } => {
                Self::new(io::ErrorKind::InvalidData, error)
            }
            _ => Self::other(error),
        }
    }
}
