//! Small packages (charts, rendered overlays) as tar.gz: the same files give the same bytes, anywhere and at any time.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    path::Path,
};

use flate2::{Compression, GzBuilder, read::GzDecoder};

/// Packs files, in the order of their names, with fixed times, owners and modes.
///
/// # Errors
/// A name that does not fit a tar header (empty, absolute, with `..`).
pub fn pack<C: AsRef<[u8]>>(files: &BTreeMap<String, C>) -> io::Result<Vec<u8>> {
    // mtime 0 and no operating system: gzip's own header would otherwise differ between machines (RFC 1952, 2.3.1).
    let gzip = GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::best());
    let mut tar = tar::Builder::new(gzip);
    for (name, content) in files {
        let content = content.as_ref();
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        tar.append_data(&mut header, name, content)?;
    }
    tar.into_inner()?.finish()
}

/// The files of a package by name, of at most `max` bytes together. What is no regular file is left out.
///
/// # Errors
/// What is no tar.gz, or is larger.
pub fn unpack(package: &[u8], max: u64) -> io::Result<BTreeMap<String, Vec<u8>>> {
    // One byte more than allowed tells that there are more.
    let mut content = Vec::new();
    GzDecoder::new(package).take(max.saturating_add(1)).read_to_end(&mut content)?;
    if content.len() as u64 > max {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {max} bytes unpacked")));
    }
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(content.as_slice()).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_file() {
            let name = entry.path()?.to_string_lossy().into_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            files.insert(name, bytes);
        }
    }
    Ok(files)
}

/// One file of a package, of at most `max` bytes; none where there is no such file. The others are passed over.
///
/// # Errors
/// What is no tar.gz, or a file that is larger.
pub fn file(package: &[u8], name: &str, max: u64) -> io::Result<Option<Vec<u8>>> {
    for entry in tar::Archive::new(GzDecoder::new(package)).entries()? {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() || *entry.path()? != *Path::new(name) {
            continue;
        }
        if entry.size() > max {
            let message = format!("{name} has {} bytes, more than {max}", entry.size());
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        return Ok(Some(bytes));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    #[test]
    fn the_same_files_give_the_same_bytes() {
        let files = BTreeMap::from([("b/c.yaml".to_owned(), "two"), ("a.yaml".to_owned(), "one")]);
        let golden = "sha256:57a2371c633e79faf301c335cb25a8ee250e9a5518c9269b062210a3f53850f9";
        let packed = pack(&files).unwrap();
        assert_eq!(Digest::of(&packed).to_string(), golden);
    }

    #[test]
    fn what_is_packed_is_unpacked_again() {
        let files = BTreeMap::from([("b/c.yaml".to_owned(), b"two".to_vec()), ("a.yaml".to_owned(), b"one".to_vec())]);
        let packed = pack(&files).unwrap();
        assert_eq!(unpack(&packed, 1 << 20).unwrap(), files);
        assert_eq!(unpack(&packed, 1000).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert!(unpack(b"no archive", 1000).is_err());
    }

    #[test]
    fn one_file_is_found_among_others() {
        let packed = pack(&BTreeMap::from([("a/c.yaml".to_owned(), "one"), ("c.yaml".to_owned(), "three")])).unwrap();
        assert_eq!(file(&packed, "c.yaml", 5).unwrap().unwrap(), b"three");
        assert_eq!(file(&packed, "d.yaml", 5).unwrap(), None);
        assert_eq!(file(&packed, "c.yaml", 4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert!(file(b"no archive", "c.yaml", 5).is_err());
    }

    #[test]
    fn names_stay_inside() {
        for name in ["../a", "/a", ""] {
            assert!(pack(&BTreeMap::from([(name.to_owned(), "x")])).is_err(), "{name}");
        }
    }
}
