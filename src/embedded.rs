//! Database files of the embedded stores: readable to their owner only, opened by one process at a time.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

/// Makes the directory of the embedded stores the caller's alone, until what is returned is dropped or the process ends,
/// however it ends.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] where another process has it.
pub fn claim(directory: &Path) -> io::Result<File> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let claim = OpenOptions::new().create(true).append(true).mode(0o600).open(directory.join("controller.lock"))?;
    claim.try_lock().map_err(io::Error::from)?;
    Ok(claim)
}

/// Makes a database's file and the directory it lies in where they are missing, and takes the lock that is held while
/// its schema is brought up to date: sqlx's migrator takes none on SQLite. Blocks until the lock is free.
pub fn prepare(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let private = |path: &Path| OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    // SQLite gives its own files beside this one (-wal, -shm) the same mode.
    private(path)?;
    let lock = private(&path.with_extension("lock"))?;
    lock.lock()?;
    Ok(lock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_one_controllers_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("data");
        let claimed = claim(&directory).unwrap();
        assert_eq!(claim(&directory).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(claimed);
        claim(&directory).unwrap();
    }
}
