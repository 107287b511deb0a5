//! The upload key: who holds it may send the bytes of one archive.
//!
//! It stays in a file that only its owner can read, so that another run of the same command has the same key and can
//! go on with the same session. The plane knows its hash only.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::digest::Digest;

const KEY_BYTES: usize = 32;

/// A key, and where it is kept. Its `Debug` does not show it.
pub struct UploadKey {
    text: String,
    path: PathBuf,
}

impl std::fmt::Debug for UploadKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UploadKey").field("path", &self.path).finish_non_exhaustive()
    }
}

/// `$XDG_STATE_HOME/orbit/uploads`, or what stands in for it.
pub fn directory() -> anyhow::Result<PathBuf> {
    std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/state")))
        .map(|state| state.join("orbit/uploads"))
        .context("neither XDG_STATE_HOME nor HOME is set: there is no place to keep the upload key in")
}

impl UploadKey {
    /// The key for an archive on its way to `object` (the parts of an object's name); the same one each time.
    pub fn of(directory: &Path, object: &[&str], archive: &Digest) -> anyhow::Result<Self> {
        let path = directory.join(Digest::of_canonical(&(object, archive)).hex());
        let keeping = || format!("keeping the upload key in {}", path.display());
        create_private(directory).with_context(|| format!("creating {}", directory.display()))?;
        loop {
            match fs::read_to_string(&path) {
                Ok(text) if is_key(&text) && is_private(&path).with_context(keeping)? => {
                    return Ok(Self { text, path });
                }
                // Cut short, or read by others since: a new one does no harm.
                Ok(_) => fs::remove_file(&path).with_context(keeping)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    // Complete before it has its name; of two runs at once one wins, and the loop reads its key.
                    let mut file = tempfile::NamedTempFile::new_in(directory).with_context(keeping)?;
                    file.write_all(new_key()?.as_bytes())
                        .and_then(|()| file.as_file().sync_all())
                        .with_context(keeping)?;
                    match file.persist_noclobber(&path) {
                        Err(lost) if lost.error.kind() != io::ErrorKind::AlreadyExists => {
                            return Err(lost.error).with_context(keeping);
                        }
                        _ => {}
                    }
                }
                Err(error) => return Err(error).with_context(keeping),
            }
        }
    }

    /// The key itself, for the `Authorization` header only.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the ImageUpload's annotation says.
    pub fn hash(&self) -> Digest {
        Digest::of(&self.text)
    }

    /// Removes it from the disk: the archive is stored. If that fails, the key is of no use to anybody anyway.
    pub fn forget(self) {
        let _ = fs::remove_file(self.path);
    }

    /// A key that is kept nowhere.
    #[cfg(test)]
    pub fn fixed(text: &str) -> Self {
        Self { text: text.to_owned(), path: PathBuf::new() }
    }
}

fn new_key() -> anyhow::Result<String> {
    let mut bytes = [0; KEY_BYTES];
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| anyhow::anyhow!("the system has no random numbers to make an upload key from"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn is_key(text: &str) -> bool {
    URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == KEY_BYTES)
}

#[cfg(unix)]
fn create_private(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

#[cfg(unix)]
fn is_private(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::metadata(path)?.permissions().mode() & 0o077 == 0)
}

#[cfg(not(unix))]
fn create_private(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)
}

#[cfg(not(unix))]
fn is_private(_: &Path) -> io::Result<bool> {
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_archive_has_the_same_key_and_another_has_not() {
        let directory = tempfile::tempdir().unwrap();
        let key = |object: &[&str], archive: &str| {
            UploadKey::of(&directory.path().join("uploads"), object, &Digest::of(archive)).unwrap().text
        };
        let first = key(&["shop", "web"], "a");
        assert!(is_key(&first));
        assert_eq!(key(&["shop", "web"], "a"), first);
        assert_ne!(key(&["shop", "web"], "b"), first);
        assert_ne!(key(&["shopweb", ""], "a"), first);
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_could_read_is_replaced() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let key = || UploadKey::of(directory.path(), &["web"], &Digest::of("a")).unwrap();
        let first = key();
        assert!(is_private(&first.path).unwrap());
        fs::set_permissions(&first.path, fs::Permissions::from_mode(0o644)).unwrap();
        let second = key();
        assert_ne!(second.text, first.text);
        assert!(is_private(&second.path).unwrap());
        fs::write(&second.path, "cut").unwrap();
        assert!(is_key(&key().text));
    }

    #[test]
    fn a_key_does_not_show_in_debug_output() {
        assert!(!format!("{:?}", UploadKey::fixed("very-secret")).contains("very-secret"));
    }
}
