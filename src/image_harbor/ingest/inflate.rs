//! Decompression with bounds: gzip and zstd, recognised by their first bytes as container runtimes do.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
};

use async_compression::{
    tokio::bufread::{GzipDecoder, ZstdDecoder},
    zstd::DParameter,
};
use tokio::io::{AsyncRead, AsyncReadExt, BufReader};

use super::Limits;

/// How many first bytes [`Compression::of`] wants to see.
pub(super) const MAGIC: usize = 4;

/// Largest zstd window that is accepted, as a power of two: 32 MiB, what encoders use at their highest usual levels.
/// The window is allocated before anything is known of the content.
const ZSTD_WINDOW_LOG: u32 = 25;

/// How bytes are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// The compression that these first bytes announce.
    pub(super) fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            // A skippable frame (RFC 8878, 3.1.2): some encoders begin with one.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::None,
        }
    }
}

/// A reader of the uncompressed bytes.
pub(super) type Inflated = Box<dyn AsyncRead + Send + Unpin>;

/// Uncompresses what is compressed and passes on what is not.
pub(super) async fn inflated(mut bytes: impl AsyncRead + Send + Unpin + 'static) -> io::Result<Inflated> {
    let mut head = [0; MAGIC];
    let mut filled = 0;
    while filled < MAGIC {
        match bytes.read(&mut head[filled..]).await? {
            0 => break,
            read => filled += read,
        }
    }
    let all = BufReader::with_capacity(64 * 1024, io::Cursor::new(head).take(filled as u64).chain(bytes));
    Ok(match Compression::of(&head[..filled]) {
        Compression::None => Box::new(all),
        Compression::Gzip => {
            let mut decoder = GzipDecoder::new(all);
            // eStargz layers are many members, one after the other.
            decoder.multiple_members(true);
            Box::new(decoder)
        }
        Compression::Zstd => {
            let mut decoder = ZstdDecoder::with_params(all, &[DParameter::window_log_max(ZSTD_WINDOW_LOG)]);
            // zstd:chunked layers are many frames, one after the other.
            decoder.multiple_members(true);
            Box::new(decoder)
        }
    })
}

/// What may still be inflated.
#[derive(Debug)]
pub(super) struct Budget {
    each: u64,
    together: u64,
    ratio: u64,
    floor: u64,
    spent: AtomicU64,
}

impl Budget {
    /// For the layers of one image.
    pub(super) fn for_layers(limits: &Limits) -> Self {
        Self::new(limits.layer_inflated, limits.image_inflated, limits)
    }

    /// For an archive file that is compressed as a whole.
    pub(super) fn for_archive(limits: &Limits) -> Self {
        Self::new(limits.archive, limits.archive, limits)
    }

    fn new(each: u64, together: u64, limits: &Limits) -> Self {
        let (ratio, floor) = (limits.inflation_ratio, limits.inflation_floor);
        Self { each, together, ratio, floor, spent: AtomicU64::new(0) }
    }

    /// Accounts for `more` bytes of a stream, of which `outcome` have come from `income` so far.
    pub(super) fn spend(&self, more: u64, income: u64, outcome: u64) -> Result<(), String> {
        let together = self.spent.fetch_add(more, Ordering::Relaxed).saturating_add(more);
        if outcome > self.each {
            return Err(format!("it is larger than {} bytes uncompressed, which is the limit", self.each));
        }
        if together > self.together {
            return Err(format!("the image is larger than {} bytes uncompressed, which is the limit", self.together));
        }
        if outcome > self.floor && outcome / self.ratio > income {
            return Err(format!(
                "it inflates more than {} times and is taken for a decompression bomb: store its content uncompressed",
                self.ratio
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use async_compression::tokio::write::{GzipEncoder, ZstdEncoder};
    use tokio::io::AsyncWriteExt;

    use super::*;

    async fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzipEncoder::new(Vec::new());
        encoder.write_all(content).await.unwrap();
        encoder.shutdown().await.unwrap();
        encoder.into_inner()
    }

    async fn zstd(content: &[u8]) -> Vec<u8> {
        let mut encoder = ZstdEncoder::new(Vec::new());
        encoder.write_all(content).await.unwrap();
        encoder.shutdown().await.unwrap();
        encoder.into_inner()
    }

    async fn inflate(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        inflated(io::Cursor::new(bytes)).await?.read_to_end(&mut content).await?;
        Ok(content)
    }

    #[tokio::test]
    async fn every_member_and_frame_is_read() {
        for (first, second) in [(gzip(b"one").await, gzip(b" two").await), (zstd(b"one").await, zstd(b" two").await)] {
            assert_eq!(inflate([first, second].concat()).await.unwrap(), b"one two");
        }
    }

    #[tokio::test]
    async fn skippable_frames_are_skipped() {
        let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
        let frame = zstd(b"one").await;
        assert_eq!(inflate([skippable.clone(), frame.clone()].concat()).await.unwrap(), b"one");
        assert_eq!(inflate([frame, skippable].concat()).await.unwrap(), b"one");
    }

    #[tokio::test]
    async fn what_is_not_compressed_passes() {
        for content in [&b""[..], b"a", b"a longer text"] {
            assert_eq!(inflate(content.to_vec()).await.unwrap(), content);
        }
    }

    #[tokio::test]
    async fn a_truncated_stream_is_an_error() {
        for whole in [gzip(&[7; 5000]).await, zstd(&[7; 5000]).await] {
            for end in MAGIC..whole.len() {
                assert!(inflate(whole[..end].to_vec()).await.is_err(), "cut at {end} of {}", whole.len());
            }
        }
    }

    #[tokio::test]
    async fn a_huge_zstd_window_is_refused() {
        // Frame header descriptor 0, window descriptor 0x88: 2^27 bytes; then an empty last raw block.
        let frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x88, 0x01, 0x00, 0x00];
        assert!(inflate(frame).await.is_err());
    }

    #[test]
    fn the_budget_knows_size_sum_and_ratio() {
        let limits = Limits {
            layer_inflated: 1000,
            image_inflated: 1500,
            inflation_ratio: 10,
            inflation_floor: 100,
            ..Limits::default()
        };
        let budget = Budget::for_layers(&limits);
        assert_eq!(budget.spend(100, 1, 100), Ok(()), "a ratio proves nothing below the floor");
        assert!(budget.spend(20, 1, 120).unwrap_err().contains("bomb"));
        assert!(budget.spend(0, 500, 1001).unwrap_err().contains("1000 bytes"));
        assert!(budget.spend(1400, 500, 900).unwrap_err().contains("1500 bytes"));
    }
}
