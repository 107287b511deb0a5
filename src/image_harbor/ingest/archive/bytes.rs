//! Where an archive's bytes lie.

use std::{ops::Range, sync::Arc};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};

use crate::image_harbor::{ByteStream, HarborError, ImageHarbor, StagedChunk};

/// Random access to an archive's bytes, wherever they lie.
#[async_trait]
pub trait ArchiveBytes: Send + Sync {
    /// Bytes of the archive.
    fn size(&self) -> u64;

    /// The bytes of a range, which lies within the archive.
    async fn read(&self, range: Range<u64>) -> Result<ByteStream, HarborError>;
}

/// An upload session's staged chunks as one archive.
#[derive(Debug, Clone)]
pub struct StagedArchive {
    harbor: Arc<dyn ImageHarbor>,
    session: Arc<str>,
    /// Each with the offset of its first byte.
    chunks: Vec<(u64, StagedChunk)>,
    size: u64,
}

impl StagedArchive {
    /// The archive that `chunks` make up in this order.
    pub fn new(harbor: Arc<dyn ImageHarbor>, session: String, chunks: Vec<StagedChunk>) -> Self {
        let mut size = 0;
        let chunks = chunks
            .into_iter()
            .map(|chunk| {
                let start = size;
                size += chunk.size;
                (start, chunk)
            })
            .collect();
        Self { harbor, session: session.into(), chunks, size }
    }

    /// The pieces of chunks that make up a range, none of them empty.
    fn pieces(&self, range: &Range<u64>) -> Vec<(StagedChunk, Range<u64>)> {
        let first = self.chunks.partition_point(|(start, chunk)| start + chunk.size <= range.start);
        self.chunks[first..]
            .iter()
            .take_while(|(start, _)| *start < range.end)
            .map(|(start, chunk)| {
                let from = range.start.saturating_sub(*start);
                let to = (range.end - start).min(chunk.size);
                (chunk.clone(), from..to)
            })
            .filter(|(_, piece)| !piece.is_empty())
            .collect()
    }
}

#[async_trait]
impl ArchiveBytes for StagedArchive {
    fn size(&self) -> u64 {
        self.size
    }

    async fn read(&self, range: Range<u64>) -> Result<ByteStream, HarborError> {
        let (harbor, session) = (self.harbor.clone(), self.session.clone());
        // A chunk is opened when the one before it has been read.
        let pieces = stream::iter(self.pieces(&range)).then(move |(chunk, piece)| {
            let (harbor, session) = (harbor.clone(), session.clone());
            async move { harbor.read_staged(&session, &chunk, Some(piece)).await }
        });
        Ok(Box::pin(pieces.try_flatten()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_harbor::ingest::testing::{MemoryHarbor, bytes_of, stream_of};

    #[tokio::test]
    async fn any_range_over_any_chunks_is_what_a_file_would_give() {
        let harbor: Arc<dyn ImageHarbor> = Arc::new(MemoryHarbor::default());
        let content: Vec<u8> = (0..=99).collect();
        let mut chunks = Vec::new();
        for piece in [&content[..1], &content[1..40], &[], &content[40..41], &content[41..]] {
            chunks.push(harbor.stage("s", stream_of(piece.to_vec())).await.unwrap());
        }
        let archive = StagedArchive::new(harbor, "s".into(), chunks);
        assert_eq!(archive.size(), 100);
        for from in 0..=100_usize {
            for to in from..=100 {
                let read = archive.read(from as u64..to as u64).await.unwrap();
                assert_eq!(bytes_of(read).await.unwrap(), &content[from..to], "{from}..{to}");
            }
        }
    }
}
