//! Getting bytes into and out of any Harbor.

use std::{io, ops::Range};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::io::AsyncBufRead;
use tokio_util::io::StreamReader;

use super::{ByteStream, HarborError, ImageHarbor, intake::Intake};
use crate::digest::Digest;

/// A stream of bytes that are in memory already.
pub fn stream_of(bytes: impl Into<Bytes>) -> ByteStream {
    let bytes = bytes.into();
    if bytes.is_empty() { stream::empty().boxed() } else { stream::iter([Ok(bytes)]).boxed() }
}

/// Stores bytes that are in memory already, and says how they are called.
pub async fn store_bytes(harbor: &dyn ImageHarbor, bytes: impl Into<Bytes>) -> Result<Digest, HarborError> {
    let bytes = bytes.into();
    let digest = Digest::of(&bytes);
    harbor.store(&digest, Some(bytes.len() as u64), stream_of(bytes)).await?;
    Ok(digest)
}

/// A blob of at most `max` bytes, whole and verified; a larger one is [`HarborError::TooLarge`] and not read.
pub async fn read_to_vec(harbor: &dyn ImageHarbor, digest: &Digest, max: u64) -> Result<Vec<u8>, HarborError> {
    let size = harbor.stat(digest).await?.ok_or(HarborError::NotFound(*digest))?;
    if size > max {
        return Err(HarborError::TooLarge { digest: *digest, size, max });
    }
    let mut bytes = harbor.read(digest, None).await?;
    let mut intake = Intake::new(*digest, Some(size));
    let mut content = Vec::with_capacity(size as usize);
    while let Some(chunk) = bytes.try_next().await? {
        intake.take(&chunk).map_err(damaged(harbor, digest))?;
        content.extend_from_slice(&chunk);
    }
    intake.finish().map_err(damaged(harbor, digest))?;
    Ok(content)
}

/// Reads a blob to its end and compares it with its digest: its size, or [`HarborError::Damaged`].
pub async fn verify(harbor: &dyn ImageHarbor, digest: &Digest) -> Result<u64, HarborError> {
    let mut bytes = harbor.read(digest, None).await?;
    let mut intake = Intake::new(*digest, None);
    while let Some(chunk) = bytes.try_next().await? {
        intake.take(&chunk)?;
    }
    intake.finish().map_err(damaged(harbor, digest))
}

/// What a Harbor gives, for code that reads from `AsyncRead`. A [`HarborError`] is found inside the `io::Error`.
pub fn reader(bytes: ByteStream) -> impl AsyncBufRead + Send + Unpin {
    StreamReader::new(bytes.map_err(io::Error::from))
}

/// A mismatch of what a store gave back is the store's fault, not the announcer's.
fn damaged<'a>(harbor: &'a dyn ImageHarbor, digest: &'a Digest) -> impl Fn(HarborError) -> HarborError + 'a {
    move |error| HarborError::Damaged { store: harbor.name(), digest: *digest, message: error.to_string() }
}

/// The range that was asked for, if there is such a one; all of it where none was.
pub(super) fn within(range: Option<Range<u64>>, size: u64) -> Result<Range<u64>, HarborError> {
    match range {
        None => Ok(0..size),
        Some(range) if range.start <= range.end && range.end <= size => Ok(range),
        Some(range) => Err(HarborError::OutOfRange { range, size }),
    }
}

/// Passes exactly `expected` bytes on, or ends in the error that `differs` makes of the number that came instead.
pub(super) fn exactly<F>(expected: u64, bytes: ByteStream, differs: F) -> ByteStream
where
    F: Fn(u64) -> HarborError + Send + 'static,
{
    stream::try_unfold((bytes, 0, differs), move |(mut bytes, seen, differs)| async move {
        let next = bytes.try_next().await?;
        let seen = seen + next.as_ref().map_or(0, |chunk| chunk.len() as u64);
        if seen > expected || (next.is_none() && seen < expected) {
            return Err(differs(seen));
        }
        Ok(next.map(|chunk| (chunk, (bytes, seen, differs))))
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(chunks: &'static [&'static str]) -> ByteStream {
        stream::iter(chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk.as_bytes())))).boxed()
    }

    async fn passed(expected: u64, bytes: ByteStream) -> Result<Vec<u8>, HarborError> {
        let differs = |seen| HarborError::Source(io::Error::other(format!("{seen} came")));
        exactly(expected, bytes, differs)
            .try_fold(Vec::new(), async |all, chunk| Ok([all, chunk.to_vec()].concat()))
            .await
    }

    #[tokio::test]
    async fn as_many_bytes_as_expected_pass() {
        assert_eq!(passed(5, chunks(&["or", "", "bit"])).await.unwrap(), b"orbit");
        assert_eq!(passed(0, chunks(&[])).await.unwrap(), b"");
    }

    #[tokio::test]
    async fn fewer_or_more_are_an_error() {
        for (expected, came) in [(6, "5 came"), (4, "5 came")] {
            let error = passed(expected, chunks(&["or", "bit"])).await.unwrap_err();
            assert!(error.to_string().ends_with(came), "{error}");
        }
    }

    #[test]
    fn a_range_lies_within() {
        assert_eq!(within(None, 5).unwrap(), 0..5);
        assert_eq!(within(Some(1..3), 5).unwrap(), 1..3);
        assert_eq!(within(Some(5..5), 5).unwrap(), 5..5);
        for range in [4..6, 6..6, Range { start: 3, end: 2 }] {
            assert!(matches!(within(Some(range), 5), Err(HarborError::OutOfRange { size: 5, .. })));
        }
    }

    #[tokio::test]
    async fn a_harbor_error_survives_the_reader() {
        let digest = Digest::of("orbit");
        let mut reader = reader(stream::iter([Err(HarborError::NotFound(digest))]).boxed());
        let error = tokio::io::AsyncReadExt::read_u8(&mut reader).await.unwrap_err();
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<HarborError>());
        assert!(matches!(cause, Some(HarborError::NotFound(found)) if *found == digest), "{error:?}");
    }
}
