//! What the unit tests of this module share: a Harbor in memory, archives in memory, and images made by hand.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use async_compression::tokio::write::{GzipEncoder, ZstdEncoder};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::ArchiveBytes;
use crate::{
    digest::{Digest, Hasher},
    image_harbor::{ByteStream, HarborError, ImageHarbor, StagedChunk, Stored},
};

/// The contract of [`ImageHarbor`] on maps.
#[derive(Debug, Default)]
pub(super) struct MemoryHarbor {
    blobs: Mutex<BTreeMap<Digest, Bytes>>,
    staged: Mutex<BTreeMap<(String, String), Bytes>>,
    next: AtomicU64,
}

impl MemoryHarbor {
    pub(super) fn held(&self) -> MutexGuard<'_, BTreeMap<Digest, Bytes>> {
        self.blobs.lock().unwrap()
    }

    pub(super) fn staged(&self) -> usize {
        self.staged.lock().unwrap().len()
    }
}

/// In small pieces, so that nothing relies on how bytes are cut.
pub(super) fn stream_of(bytes: impl Into<Bytes>) -> ByteStream {
    let bytes = bytes.into();
    let step = 1000;
    let pieces: Vec<_> =
        (0..bytes.len()).step_by(step).map(|at| Ok(bytes.slice(at..bytes.len().min(at + step)))).collect();
    Box::pin(stream::iter(pieces))
}

pub(super) async fn bytes_of(stream: ByteStream) -> Result<Vec<u8>, HarborError> {
    stream.try_fold(Vec::new(), |all, chunk| async move { Ok([&all[..], &chunk].concat()) }).await
}

#[async_trait]
impl ImageHarbor for MemoryHarbor {
    fn name(&self) -> String {
        "memory".into()
    }

    async fn stat(&self, digest: &Digest) -> Result<Option<u64>, HarborError> {
        Ok(self.held().get(digest).map(|b| b.len() as u64))
    }

    async fn read(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<ByteStream, HarborError> {
        let bytes = self.held().get(digest).cloned().ok_or(HarborError::NotFound(*digest))?;
        Ok(stream_of(match range {
            Some(range) => bytes.slice(range.start as usize..range.end as usize),
            None => bytes,
        }))
    }

    async fn store(&self, digest: &Digest, size: Option<u64>, mut bytes: ByteStream) -> Result<Stored, HarborError> {
        if let Some(size) = self.stat(digest).await? {
            return Ok(Stored { size, written: false });
        }
        let (mut hasher, mut all) = (Hasher::new(), Vec::new());
        while let Some(chunk) = bytes.next().await {
            let chunk = chunk?;
            hasher.update(&chunk);
            all.extend_from_slice(&chunk);
        }
        let (actual, actual_size) = (hasher.finish(), all.len() as u64);
        if actual != *digest || size.is_some_and(|size| size != actual_size) {
            return Err(HarborError::Mismatch { expected: *digest, expected_size: size, actual, actual_size });
        }
        self.held().insert(*digest, all.into());
        Ok(Stored { size: actual_size, written: true })
    }

    async fn stage(&self, session: &str, bytes: ByteStream) -> Result<StagedChunk, HarborError> {
        let bytes = bytes_of(bytes).await?;
        let chunk = StagedChunk { id: self.next.fetch_add(1, Ordering::SeqCst).to_string(), size: bytes.len() as u64 };
        self.staged.lock().unwrap().insert((session.into(), chunk.id.clone()), bytes.into());
        Ok(chunk)
    }

    async fn read_staged(
        &self,
        session: &str,
        chunk: &StagedChunk,
        range: Option<Range<u64>>,
    ) -> Result<ByteStream, HarborError> {
        let key = (session.to_owned(), chunk.id.clone());
        let bytes = self.staged.lock().unwrap().get(&key).cloned().expect("a staged chunk");
        let range = range.unwrap_or(0..bytes.len() as u64);
        Ok(stream_of(bytes.slice(range.start as usize..range.end as usize)))
    }

    async fn discard_session(&self, session: &str) -> Result<(), HarborError> {
        self.staged.lock().unwrap().retain(|(of, _), _| of != session);
        Ok(())
    }

    async fn announce(&self, _: &str, _: &str, _: &Digest, _: u64) -> Result<(), HarborError> {
        Ok(())
    }

    async fn blobs(&self, _: Option<&Digest>, _: usize) -> Result<Vec<(Digest, u64)>, HarborError> {
        Ok(self.held().iter().map(|(d, b)| (*d, b.len() as u64)).collect())
    }

    async fn ping(&self) -> Result<(), HarborError> {
        Ok(())
    }
}

#[async_trait]
impl ArchiveBytes for Vec<u8> {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    async fn read(&self, range: Range<u64>) -> Result<ByteStream, HarborError> {
        Ok(stream_of(self[range.start as usize..range.end as usize].to_vec()))
    }
}

pub(super) async fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzipEncoder::new(Vec::new());
    encoder.write_all(content).await.unwrap();
    encoder.shutdown().await.unwrap();
    encoder.into_inner()
}

pub(super) async fn zstd(content: &[u8]) -> Vec<u8> {
    let mut encoder = ZstdEncoder::new(Vec::new());
    encoder.write_all(content).await.unwrap();
    encoder.shutdown().await.unwrap();
    encoder.into_inner()
}

/// A tar file, entry by entry.
#[derive(Default)]
pub(super) struct Tar(Vec<u8>);

impl Tar {
    pub(super) fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.entry(path, tokio_tar::EntryType::Regular, "", content.as_ref())
    }

    pub(super) fn json(self, path: &str, value: &Value) -> Self {
        self.file(path, value.to_string())
    }

    pub(super) fn link(self, path: &str, target: &str) -> Self {
        self.entry(path, tokio_tar::EntryType::Symlink, target, b"")
    }

    /// Any entry, its names as they are: libraries refuse to write the bad ones.
    pub(super) fn entry(mut self, path: &str, kind: tokio_tar::EntryType, target: &str, content: &[u8]) -> Self {
        let mut header = tokio_tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        let gnu = header.as_gnu_mut().unwrap();
        gnu.name[..path.len()].copy_from_slice(path.as_bytes());
        gnu.linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

/// A file system layer with one file in it.
pub(super) fn layer(content: &str) -> Vec<u8> {
    Tar::default().file("content", content).finish()
}

/// The config of an image with these uncompressed layers.
pub(super) fn config(platform: &str, layers: &[Vec<u8>]) -> Value {
    let mut parts = platform.split('/');
    let diff_ids: Vec<_> = layers.iter().map(|l| Digest::of(l).to_string()).collect();
    let mut config = json!({
        "os": parts.next(), "architecture": parts.next(),
        "config": {"Cmd": ["/app"], "ExposedPorts": {"8080/tcp": {}}},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    if let Some(variant) = parts.next() {
        config["variant"] = variant.into();
    }
    config
}

/// A descriptor of bytes.
pub(super) fn descriptor(media_type: &str, bytes: impl AsRef<[u8]>) -> Value {
    json!({"mediaType": media_type, "digest": Digest::of(bytes.as_ref()).to_string(), "size": bytes.as_ref().len()})
}
