//! The embedded Harbor: one directory that is an OCI image layout, so that other tools can read it.
//!
//! ```text
//! oci-layout                  says what this is (OCI image-spec, image-layout.md)
//! index.json                  the announced manifests by name
//! blobs/sha256/<hex>          complete blobs, read-only files
//! staging/<session>/<uuid>    pieces of upload sessions
//! tmp/                        what is being written; nothing in it has a name yet
//! ```

mod directory;
mod index;
mod read;

use std::{
    collections::BinaryHeap,
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use futures::TryStreamExt;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use self::directory::Directory;
use super::{
    ByteStream, HarborError, ImageHarbor, StagedChunk, Stored,
    content::within,
    intake::{Intake, announced},
    names,
};
use crate::{digest::Digest, failpoint};

/// The most bytes of a file that is written or read in one trip to a thread that may block: with so few, the trips are what
/// it costs.
const SMALL: u64 = 64 << 10;

/// A Harbor in a local directory, which several processes of one machine may share.
#[derive(Debug, Clone)]
pub struct LocalHarbor {
    directory: Arc<Directory>,
}

impl LocalHarbor {
    /// Opens the layout in this directory, which is made when missing, and clears what killed writers left behind.
    pub async fn open(root: impl Into<PathBuf>) -> Result<Self, HarborError> {
        let root = root.into();
        let store = store_name(&root);
        let opened = spawn_blocking(move || {
            let directory = Directory::open(&root)?;
            index::create(&directory)?;
            Ok(directory)
        });
        let directory = joined(opened.await).map_err(|error| unavailable(&store, "opening it", &error))?;
        Ok(Self { directory: Arc::new(directory) })
    }

    /// Runs file operations where they may block; `doing` says what they are for in errors.
    async fn blocking<T: Send + 'static>(
        &self,
        doing: &str,
        work: impl FnOnce(&Directory) -> io::Result<T> + Send + 'static,
    ) -> Result<T, HarborError> {
        let directory = Arc::clone(&self.directory);
        joined(spawn_blocking(move || work(&directory)).await).map_err(|error| self.unavailable(doing, &error))
    }

    fn unavailable(&self, doing: &str, error: &io::Error) -> HarborError {
        unavailable(&self.name(), doing, error)
    }

    /// Writes a stream to a file without a name, each chunk only after `check` has seen it, and makes it durable.
    async fn write(
        &self,
        mut bytes: ByteStream,
        mut check: impl FnMut(&[u8]) -> Result<(), HarborError> + Send,
    ) -> Result<tempfile::TempPath, HarborError> {
        use tokio::io::AsyncWriteExt;

        let (file, path) = self.blocking("making a file", |directory| directory.new_file()).await?.into_parts();
        let mut file = tokio::fs::File::from_std(file);
        while let Some(chunk) = bytes.try_next().await? {
            check(&chunk)?;
            file.write_all(&chunk).await.map_err(|error| self.unavailable("writing a file", &error))?;
        }
        file.flush().await.map_err(|error| self.unavailable("writing a file", &error))?;
        file.sync_all().await.map_err(|error| self.unavailable("making a file durable", &error))?;
        Ok(path)
    }
}

#[async_trait]
impl ImageHarbor for LocalHarbor {
    async fn stat(&self, digest: &Digest) -> Result<Option<u64>, HarborError> {
        let path = self.directory.blob(digest);
        self.blocking(&format!("looking for {digest}"), move |_| directory::size(&path)).await
    }

    async fn read(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<ByteStream, HarborError> {
        let path = self.directory.blob(digest);
        let opened = self.blocking(&format!("opening {digest}"), move |_| read::open(&path)).await?;
        let opened = opened.ok_or(HarborError::NotFound(*digest))?;
        let (store, digest) = (self.name(), *digest);
        let range = within(range, opened.size())?;
        Ok(opened.stream(range, self.name(), move |seen| HarborError::Damaged {
            store: store.clone(),
            digest,
            message: format!("its file ended {seen} bytes after the start of the range"),
        }))
    }

    async fn store(&self, digest: &Digest, size: Option<u64>, bytes: ByteStream) -> Result<Stored, HarborError> {
        if let Some(there) = self.stat(digest).await? {
            announced(*digest, size, there)?;
            // Its writer may have been killed, or may be just about, to make the name durable.
            self.blocking("making a name durable", Directory::sync_blobs).await?;
            return Ok(Stored { size: there, written: false });
        }
        let mut intake = Intake::new(*digest, size);
        let name = self.directory.blob(digest);
        let storing = format!("storing {digest}");
        let (size, written) = match size {
            Some(small) if small <= SMALL => {
                let content = collect(bytes, &mut intake).await?;
                let size = intake.finish()?;
                let write = move |directory: &Directory| directory.name(directory.durable(&content)?, &name);
                (size, self.blocking(&storing, write).await?)
            }
            _ => {
                let file = self.write(bytes, |chunk| intake.take(chunk)).await?;
                let size = intake.finish()?;
                (size, self.blocking(&storing, move |directory| directory.name(file, &name)).await?)
            }
        };
        if written {
            failpoint::after_write("blob");
        }
        Ok(Stored { size, written })
    }

    async fn stage(&self, session: &str, bytes: ByteStream) -> Result<StagedChunk, HarborError> {
        names::check_session(session)?;
        let mut size = 0;
        let file = self
            .write(bytes, |chunk| {
                size += chunk.len() as u64;
                Ok(())
            })
            .await?;
        let chunk = StagedChunk { id: Uuid::new_v4().to_string(), size };
        let (folder, id) = (self.directory.session(session), chunk.id.clone());
        self.blocking(&format!("staging a piece of {session}"), move |directory| directory.stage(file, &folder, &id))
            .await?;
        failpoint::after_write("staged piece");
        Ok(chunk)
    }

    async fn read_staged(
        &self,
        session: &str,
        chunk: &StagedChunk,
        range: Option<Range<u64>>,
    ) -> Result<ByteStream, HarborError> {
        names::check_chunk(session, chunk)?;
        let path = self.directory.session(session).join(&chunk.id);
        let opened = self.blocking(&format!("opening a piece of {session}"), move |_| read::open(&path)).await?;
        let opened = opened.ok_or_else(|| names::not_staged(session, chunk))?;
        let (session, chunk) = (session.to_owned(), chunk.clone());
        let range = within(range, opened.size())?;
        Ok(opened.stream(range, self.name(), move |_| names::not_staged(&session, &chunk)))
    }

    async fn discard_session(&self, session: &str) -> Result<(), HarborError> {
        names::check_session(session)?;
        let folder = self.directory.session(session);
        let discarded =
            self.blocking(&format!("discarding {session}"), move |directory| directory.discard(&folder)).await?;
        if discarded {
            failpoint::after_write("discarded session");
        }
        Ok(())
    }

    async fn announce(&self, name: &str, media_type: &str, digest: &Digest, size: u64) -> Result<(), HarborError> {
        let entry = index::Entry::new(name, media_type, digest, size);
        let announced = self
            .blocking(&format!("announcing {name} in index.json"), move |directory| index::announce(directory, &entry))
            .await?;
        if announced {
            failpoint::after_write("announced manifest");
        }
        Ok(())
    }

    async fn blobs(&self, after: Option<&Digest>, limit: usize) -> Result<Vec<(Digest, u64)>, HarborError> {
        let after = after.copied();
        self.blocking("listing blobs", move |directory| page(directory, after, limit)).await
    }

    fn name(&self) -> String {
        store_name(self.directory.root())
    }

    async fn ping(&self) -> Result<(), HarborError> {
        self.blocking("making a file", |directory| directory.new_file().map(drop)).await
    }
}

/// All bytes of a blob that is announced as small.
async fn collect(mut bytes: ByteStream, intake: &mut Intake) -> Result<Vec<u8>, HarborError> {
    let mut content = Vec::new();
    while let Some(chunk) = bytes.try_next().await? {
        intake.take(&chunk)?;
        content.extend_from_slice(&chunk);
    }
    Ok(content)
}

/// The `limit` first blobs after one, without ever holding more of them.
fn page(directory: &Directory, after: Option<Digest>, limit: usize) -> io::Result<Vec<(Digest, u64)>> {
    let mut first = BinaryHeap::new();
    for entry in directory.blobs()? {
        let name = entry?.file_name();
        let digest = name.to_str().and_then(|hex| format!("sha256:{hex}").parse::<Digest>().ok());
        let Some(digest) = digest.filter(|digest| after.is_none_or(|after| *digest > after)) else { continue };
        first.push(digest);
        if first.len() > limit {
            first.pop();
        }
    }
    let sizes = first
        .into_sorted_vec()
        .into_iter()
        .map(|digest| Ok(directory::size(&directory.blob(&digest))?.map(|size| (digest, size))));
    sizes.filter_map(io::Result::transpose).collect()
}

fn store_name(root: &Path) -> String {
    format!("Image Harbor in {}", root.display())
}

fn unavailable(store: &str, doing: &str, error: &io::Error) -> HarborError {
    HarborError::Unavailable { store: store.to_owned(), message: format!("{doing} failed: {error}") }
}

/// File operations that panicked or were stopped with the runtime have failed like any other.
fn joined<T>(result: Result<io::Result<T>, tokio::task::JoinError>) -> io::Result<T> {
    result.unwrap_or_else(|error| Err(io::Error::other(error)))
}
