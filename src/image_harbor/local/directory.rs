//! The directory: where things are, how they get their names, and what becomes of what a killed writer left.

use std::{
    fs::{self, DirBuilder, File, ReadDir, TryLockError},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::{NamedTempFile, TempPath};
use uuid::Uuid;

use crate::digest::Digest;

/// An open directory. As long as one is open in any process, nothing in `tmp` is taken for a leftover.
#[derive(Debug)]
pub(super) struct Directory {
    root: PathBuf,
    _in_use: File,
}

impl Directory {
    /// Opens the directory, which is made when missing, and clears `tmp` if nobody else has it open.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        for part in ["blobs/sha256", "staging", "tmp"] {
            DirBuilder::new().recursive(true).create(root.join(part))?;
        }
        for parent in [root, &root.join("blobs")] {
            sync(parent)?;
        }
        let in_use = lock_file(&root.join("in-use.lock"))?;
        match in_use.try_lock() {
            Ok(()) => {
                clear(&root.join("tmp"))?;
                in_use.unlock()?;
            }
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Between the two locks another process may clear `tmp` again: nothing of ours is in it yet.
        in_use.lock_shared()?;
        Ok(Self { root: root.to_owned(), _in_use: in_use })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn blob(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.hex())
    }

    pub(super) fn blobs(&self) -> io::Result<ReadDir> {
        fs::read_dir(self.root.join("blobs/sha256"))
    }

    /// Makes the names of all blobs durable.
    pub(super) fn sync_blobs(&self) -> io::Result<()> {
        sync(&self.root.join("blobs/sha256"))
    }

    pub(super) fn session(&self, session: &str) -> PathBuf {
        self.root.join("staging").join(session)
    }

    /// A file in `tmp`, which goes when it is dropped without having got a name.
    pub(super) fn new_file(&self) -> io::Result<NamedTempFile> {
        // What is stored is never written again, and other users' tools may read it as far as the umask lets them.
        tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o444)).tempfile_in(self.root.join("tmp"))
    }

    /// A file in `tmp` with this content, durably.
    pub(super) fn durable(&self, content: &[u8]) -> io::Result<TempPath> {
        let mut file = self.new_file()?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        Ok(file.into_temp_path())
    }

    /// Gives a finished file the name of a blob, durably, unless it is taken; whether it did.
    pub(super) fn name(&self, file: TempPath, blob: &Path) -> io::Result<bool> {
        let named = publish(file, blob)?;
        self.sync_blobs()?;
        Ok(named)
    }

    /// Gives a finished file its place in a session.
    pub(super) fn stage(&self, file: TempPath, folder: &Path, id: &str) -> io::Result<()> {
        DirBuilder::new().recursive(true).create(folder)?;
        publish(file, &folder.join(id))?;
        sync(folder)?;
        sync(&self.root.join("staging"))
    }

    /// Forgets a session's folder at once; whether there was one.
    pub(super) fn discard(&self, folder: &Path) -> io::Result<bool> {
        let discarded = self.root.join("tmp").join(Uuid::new_v4().to_string());
        match fs::rename(folder, &discarded) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        }
        sync(&self.root.join("staging"))?;
        fs::remove_dir_all(discarded)?;
        Ok(true)
    }
}

/// Gives a finished file its name, unless the name is taken; whether it did. The folder is not synced yet.
pub(super) fn publish(file: TempPath, name: &Path) -> io::Result<bool> {
    match file.persist_noclobber(name) {
        Ok(()) => Ok(true),
        Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(failed) => Err(failed.error),
    }
}

/// The size in bytes of a file, if it is there.
pub(super) fn size(path: &Path) -> io::Result<Option<u64>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
        Ok(_) => Err(io::Error::other(format!("{} is no regular file", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes the names in a folder durable.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A file that is only there to be locked.
pub(super) fn lock_file(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).write(true).open(path)
}

fn clear(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) }?;
    }
    Ok(())
}
