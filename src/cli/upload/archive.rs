//! The file to be sent: its size and digest.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

use super::progress::Progress;
use crate::digest::{Digest, Hasher};

/// Bytes of the largest archive the schema takes (`spec.images[].source.archive.size`).
const MAX_SIZE: u64 = 64 << 30;

/// A file to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Where it is.
    pub path: PathBuf,
    /// Its bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Digest,
}

impl Archive {
    /// Reads the file once, to know its digest.
    pub async fn read(path: &Path, progress: &Progress) -> anyhow::Result<Self> {
        let (path, progress) = (path.to_owned(), progress.clone());
        tokio::task::spawn_blocking(move || Self::read_blocking(path, &progress)).await?
    }

    fn read_blocking(path: PathBuf, progress: &Progress) -> anyhow::Result<Self> {
        let reading = || format!("reading {}", path.display());
        let mut file = std::fs::File::open(&path).with_context(reading)?;
        let announced = file.metadata().with_context(reading)?.len();
        match announced {
            0 => bail!("{} is empty", path.display()),
            1..=MAX_SIZE => {}
            _ => bail!("{} is larger than 64 GiB, the most the plane takes", path.display()),
        }
        progress.begin("reading", announced);
        let (mut hasher, mut size, mut buffer) = (Hasher::new(), 0, vec![0; 1 << 20]);
        loop {
            let count = file.read(&mut buffer).with_context(reading)?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
            size += count as u64;
            progress.at(size);
        }
        if size != announced {
            bail!("{} changed while it was read: run the command again once it is complete", path.display());
        }
        Ok(Self { path, size, sha256: hasher.finish() })
    }
}
