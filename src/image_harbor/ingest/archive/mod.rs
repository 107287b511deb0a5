//! Images from archives: `docker save` of any age, podman, buildah, kaniko, Bazel, and OCI layouts, compressed or not.
//!
//! One pass over the archive hashes it and notes where its entries lie; then the image is read by ranges.

mod bytes;
mod docker;
mod layout;
mod tar_index;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use ::bytes::{Bytes, BytesMut};
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use tokio_util::io::{ReaderStream, StreamReader};

pub use self::bytes::{ArchiveBytes, StagedArchive};
use self::tar_index::{File, Indexer, TarIndex};
use super::{
    IngestError, Limits,
    inflate::{Budget, Compression, MAGIC, inflated},
    intake::{self, ImageSource, Plan, Root, Unplanned},
};
use crate::{
    digest::{Digest, Hasher},
    image_harbor::{ByteStream, HarborError, ImageHarbor},
    release::StoredImage,
};

/// Stores the image that an archive holds.
///
/// `name` is the container it is for, `expected` the sha256 of the archive file: an archive that is another one is
/// refused before anything is stored. An archive that is compressed as a whole is staged uncompressed in the Harbor for
/// the time of the call, in a session named after it, so that a repetition clears what a killed call left.
pub async fn from_archive(
    harbor: &Arc<dyn ImageHarbor>,
    name: &str,
    archive: &dyn ArchiveBytes,
    expected: &Digest,
    limits: &Limits,
) -> Result<StoredImage, IngestError> {
    if archive.size() == 0 {
        return Err(IngestError::ArchiveInvalid("the archive is empty: save the image again".into()));
    }
    if archive.size() > limits.archive {
        return Err(IngestError::ArchiveInvalid(format!(
            "the archive has {} bytes, {} are allowed",
            archive.size(),
            limits.archive
        )));
    }
    let head = collect(archive.read(0..archive.size().min(MAGIC as u64)).await.map_err(IngestError::Store)?).await?;
    if Compression::of(&head) == Compression::None {
        let index = scan(archive, Some(expected), limits).await?;
        return from_tar(harbor, name, &Archived { bytes: archive, index }, limits).await;
    }
    let session = format!("inflated-{}", expected.hex());
    let outcome = from_compressed(harbor, name, archive, &session, expected, limits).await;
    if let Err(error) = harbor.discard_session(&session).await {
        // The bytes are in nobody's way and expire.
        tracing::warn!(%session, %error, "the uncompressed archive could not be discarded");
    }
    outcome
}

async fn from_compressed(
    harbor: &Arc<dyn ImageHarbor>,
    name: &str,
    archive: &dyn ArchiveBytes,
    session: &str,
    expected: &Digest,
    limits: &Limits,
) -> Result<StoredImage, IngestError> {
    let tar = inflate(harbor, session, archive, expected, limits).await?;
    let index = scan(&tar, None, limits).await?;
    from_tar(harbor, name, &Archived { bytes: &tar, index }, limits).await
}

async fn from_tar(
    harbor: &Arc<dyn ImageHarbor>,
    name: &str,
    archive: &Archived<'_>,
    limits: &Limits,
) -> Result<StoredImage, IngestError> {
    let (plan, image) = plan(archive, limits).await?;
    intake::carry_out(plan, harbor, name, &ArchiveSource { archive, image }, limits).await
}

/// Today's `docker save` writes an OCI layout and `manifest.json` side by side. The layout is preferred, because it has
/// the manifests that a registry has; but it may list platforms that were not saved, and then `manifest.json` counts.
async fn plan(archive: &Archived<'_>, limits: &Limits) -> Result<(Plan, ArchiveImage), IngestError> {
    let has_layout = archive.file(layout::INDEX)?.is_some();
    let has_docker = archive.file(docker::MANIFEST)?.is_some();
    if has_layout {
        let image = layout::image(archive, limits).await?;
        let source = ArchiveSource { archive, image };
        match intake::plan(&source, &source.image.root, limits).await {
            Ok(plan) => return Ok((plan, source.image)),
            Err(Unplanned::Failed(error)) => return Err(error),
            Err(Unplanned::Incomplete(fault)) if !has_docker => return Err(IngestError::ArchiveInvalid(fault)),
            Err(Unplanned::Incomplete(_)) => {}
        }
    }
    if !has_docker {
        return Err(IngestError::ArchiveInvalid(archive.without_image()));
    }
    let source = ArchiveSource { archive, image: docker::image(archive, limits).await? };
    match intake::plan(&source, &source.image.root, limits).await {
        Ok(plan) => Ok((plan, source.image)),
        Err(Unplanned::Failed(error)) => Err(error),
        Err(Unplanned::Incomplete(fault)) => Err(IngestError::ArchiveInvalid(fault)),
    }
}

/// A tar file and where its entries lie.
struct Archived<'a> {
    bytes: &'a dyn ArchiveBytes,
    index: TarIndex,
}

impl Archived<'_> {
    fn file(&self, path: &str) -> Result<Option<File>, IngestError> {
        self.index.file(path).map_err(IngestError::ArchiveInvalid)
    }

    async fn open(&self, file: &File) -> Result<ByteStream, IngestError> {
        self.bytes.read(file.offset..file.offset + file.size).await.map_err(IngestError::Store)
    }

    /// The content of a small file.
    async fn document(&self, path: &str, limit: u64) -> Result<Bytes, IngestError> {
        let file = self.file(path)?.ok_or_else(|| {
            IngestError::ArchiveInvalid(format!("the archive lacks the entry {path:?}: save the image again"))
        })?;
        if file.size > limit {
            return Err(IngestError::ArchiveInvalid(format!(
                "the entry {path:?} has {} bytes, {limit} are allowed",
                file.size
            )));
        }
        collect(self.open(&file).await?).await
    }

    async fn digest(&self, file: &File) -> Result<Digest, IngestError> {
        let mut bytes = self.open(file).await?;
        let mut hasher = Hasher::new();
        while let Some(chunk) = bytes.try_next().await.map_err(IngestError::Store)? {
            hasher.update(&chunk);
        }
        Ok(hasher.finish())
    }

    /// What the archive is, when it is no image.
    fn without_image(&self) -> String {
        let advice = "save one with docker save or podman save, or as an OCI archive";
        let has = |path: &str| self.index.paths().any(|p| p == path);
        if has("repositories") {
            return format!("the archive was written by a Docker older than 1.10: {advice}");
        }
        if self.index.paths().any(|p| p.starts_with("etc/") || p.starts_with("usr/")) {
            return format!("the archive holds a file system (docker export?), not an image: {advice}");
        }
        format!("the archive holds no image, neither {} nor {}: {advice}", layout::INDEX, docker::MANIFEST)
    }
}

/// Where an image's content lies in an archive.
struct ArchiveImage {
    root: Root,
    contents: BTreeMap<Digest, Content>,
}

enum Content {
    File(File),
    /// Bytes that were made or read already.
    Made(Bytes),
}

struct ArchiveSource<'a> {
    archive: &'a Archived<'a>,
    image: ArchiveImage,
}

#[async_trait]
impl ImageSource for ArchiveSource<'_> {
    fn lacks(&self, digest: &Digest) -> bool {
        !self.image.contents.contains_key(digest)
    }

    async fn manifest(&self, digest: &Digest, limit: u64) -> Result<Bytes, IngestError> {
        if let Some(Content::File(file)) = self.image.contents.get(digest)
            && file.size > limit
        {
            return Err(self.unsound(format!("the manifest {digest} has {} bytes, {limit} are allowed", file.size)));
        }
        collect(self.blob(digest).await?).await
    }

    async fn blob(&self, digest: &Digest) -> Result<ByteStream, IngestError> {
        match self.image.contents.get(digest) {
            Some(Content::File(file)) => self.archive.open(file).await,
            Some(Content::Made(bytes)) => Ok(Box::pin(futures::stream::once(std::future::ready(Ok(bytes.clone()))))),
            None => Err(self.unsound(format!("the archive lacks {digest}: save the image again"))),
        }
    }

    fn unsound(&self, fault: String) -> IngestError {
        IngestError::ArchiveInvalid(fault)
    }

    fn interrupted(&self, error: io::Error) -> IngestError {
        IngestError::Store(HarborError::Source(error))
    }
}

async fn collect(mut stream: ByteStream) -> Result<Bytes, IngestError> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = stream.try_next().await.map_err(IngestError::Store)? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

/// Indexes a tar file and, where its digest was announced, verifies it. A wrong digest is the better explanation of
/// anything else that is wrong, so all bytes are read before anything is said.
async fn scan(archive: &dyn ArchiveBytes, expected: Option<&Digest>, limits: &Limits) -> Result<TarIndex, IngestError> {
    let mut bytes = archive.read(0..archive.size()).await.map_err(IngestError::Store)?;
    let mut hasher = Hasher::new();
    let mut indexer = Ok(Indexer::new(limits));
    let mut head = Vec::new();
    while let Some(chunk) = bytes.try_next().await.map_err(IngestError::Store)? {
        if expected.is_some() {
            hasher.update(&chunk);
        }
        head.extend_from_slice(&chunk[..chunk.len().min(512 - head.len())]);
        indexer = indexer.and_then(|mut indexer: Indexer| indexer.update(&chunk).map(|()| indexer));
        if indexer.is_err() && expected.is_none() {
            break;
        }
    }
    if let Some(expected) = expected {
        verify(hasher, expected)?;
    }
    indexer
        .and_then(Indexer::finish)
        .map_err(|fault| IngestError::ArchiveInvalid(not_a_tar(&head).map_or(fault, str::to_owned)))
}

fn verify(hasher: Hasher, expected: &Digest) -> Result<(), IngestError> {
    match hasher.finish() {
        actual if actual == *expected => Ok(()),
        actual => Err(IngestError::ArchiveInvalid(format!(
            "the archive is {actual}, but {expected} was announced: the file was changed or damaged, upload it again"
        ))),
    }
}

/// What the first bytes are known to be instead of a tar file.
fn not_a_tar(head: &[u8]) -> Option<&'static str> {
    let text = head.trim_ascii_start();
    match head {
        [b'P', b'K', 3 | 5 | 7, ..] => Some("the file is a ZIP file, not an image archive: use docker save"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some("the archive is compressed with xz: use gzip, zstd or nothing"),
        [b'B', b'Z', b'h', ..] => Some("the archive is compressed with bzip2: use gzip, zstd or nothing"),
        [0x7f, b'E', b'L', b'F', ..] => Some("the file is a program, not an image archive: use docker save"),
        _ if text.starts_with(b"<") => {
            Some("the file is an HTML or XML page, not an image archive: was it downloaded?")
        }
        _ if text.starts_with(b"{") => Some("the file is a JSON document, not an image archive: use docker save"),
        _ => None,
    }
}

/// Stages the content of a compressed archive, and verifies the archive on the way.
async fn inflate(
    harbor: &Arc<dyn ImageHarbor>,
    session: &str,
    archive: &dyn ArchiveBytes,
    expected: &Digest,
    limits: &Limits,
) -> Result<StagedArchive, IngestError> {
    let hasher = Arc::new(Mutex::new(Hasher::new()));
    let income = Arc::new(AtomicU64::new(0));
    let compressed = archive.read(0..archive.size()).await.map_err(IngestError::Store)?;
    let compressed = compressed
        .inspect_ok({
            let (hasher, income) = (hasher.clone(), income.clone());
            move |chunk| {
                income.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                lock(&hasher).update(chunk);
            }
        })
        .map_err(io::Error::other);
    // Read errors of the store and faults of the content both come out of the decoder; they are told apart by this.
    let fault = Arc::new(Mutex::new(None::<String>));
    let unreadable = |error: &io::Error| {
        let from_store = error.get_ref().is_some_and(|inner| inner.is::<HarborError>());
        (!from_store).then(|| format!("the archive cannot be decompressed ({error}): it is damaged, upload it again"))
    };
    let content = inflated(StreamReader::new(compressed)).await.map_err(|error| match unreadable(&error) {
        Some(fault) => IngestError::ArchiveInvalid(fault),
        None => IngestError::Store(HarborError::Source(error)),
    })?;
    let budget = Budget::for_archive(limits);
    let mut outcome = 0;
    let content = ReaderStream::with_capacity(content, 64 * 1024).map({
        let (fault, income) = (fault.clone(), income.clone());
        move |chunk| {
            let found = match &chunk {
                Ok(chunk) => {
                    outcome += chunk.len() as u64;
                    budget
                        .spend(chunk.len() as u64, income.load(Ordering::Relaxed), outcome)
                        .err()
                        .map(|fault| format!("the archive is refused: {fault}"))
                }
                Err(error) => unreadable(error),
            };
            match found {
                Some(found) => {
                    let error = io::Error::new(io::ErrorKind::InvalidData, found.clone());
                    *lock(&fault) = Some(found);
                    Err(HarborError::Source(error))
                }
                None => chunk.map_err(HarborError::Source),
            }
        }
    });
    let staged = harbor.stage(session, Box::pin(content)).await;
    if let Some(fault) = lock(&fault).take() {
        return Err(IngestError::ArchiveInvalid(fault));
    }
    let staged = staged.map_err(IngestError::Store)?;
    verify(lock(&hasher).clone(), expected)?;
    Ok(StagedArchive::new(harbor.clone(), session.to_owned(), vec![staged]))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Names for a message, not too many of them.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut text = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}
