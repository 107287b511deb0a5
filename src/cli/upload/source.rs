//! What the user named: a file or a reference.

use std::path::{Path, PathBuf};

use anyhow::bail;
use oci_client::Reference;

use super::archive::Archive;
use crate::api::{ArchiveSource, ImageSource, LocalRef, ReferenceSource};

/// What the user named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file that exists.
    Archive(PathBuf),
    /// A reference with a tag or a digest.
    Reference(String),
}

impl Source {
    /// A file that exists is an archive; anything else must not look like a file and must be a reference.
    pub fn of(text: &str) -> anyhow::Result<Self> {
        let path = Path::new(text);
        match std::fs::metadata(path) {
            Ok(found) if found.is_file() => return Ok(Self::Archive(path.to_owned())),
            Ok(found) if found.is_dir() => bail!(
                "{text} is a directory: an archive file is needed, as `docker save -o web.tar IMAGE` or `skopeo copy oci:DIR oci-archive:web.tar` write it"
            ),
            Ok(_) => bail!("{text} is no regular file: an upload that can be resumed needs one"),
            Err(error) if looks_like_a_path(text) => bail!("{text} cannot be read: {error}"),
            Err(_) => {}
        }
        match text.parse::<Reference>() {
            Ok(_) if names_a_version(text) => Ok(Self::Reference(text.to_owned())),
            Ok(_) => bail!(
                "{text} is neither a file here nor a reference with a tag or digest, as in registry.example/web:1.4.0"
            ),
            Err(error) => bail!("{text} is neither a file here nor a reference of an image: {error}"),
        }
    }

    /// The same in an ImageUpload's words. `archive` is what was read of the file.
    pub fn to_image_source(&self, archive: Option<&Archive>, pull_secret: Option<&str>) -> ImageSource {
        let reference = match self {
            Self::Archive(_) => None,
            Self::Reference(image) => Some(ReferenceSource {
                image: image.clone(),
                pull_secret_ref: pull_secret.map(|name| LocalRef { name: name.to_owned() }),
            }),
        };
        let archive = archive.map(|archive| ArchiveSource { sha256: archive.sha256, size: archive.size as i64 });
        ImageSource { reference, archive }
    }
}

/// Whether somebody who writes this means a file.
fn looks_like_a_path(text: &str) -> bool {
    const ENDINGS: [&str; 6] = [".tar", ".tgz", ".gz", ".zst", ".oci", ".zip"];
    ["/", "./", "../", "~"].iter().any(|start| text.starts_with(start))
        || text.contains('\\')
        || matches!(text, "-" | "." | "..")
        || ENDINGS.iter().any(|ending| text.to_ascii_lowercase().ends_with(ending))
}

/// Whether a tag or digest is written out: the default `latest` is no version.
fn names_a_version(reference: &str) -> bool {
    let last = reference.rsplit('/').next().unwrap_or(reference);
    last.contains(':') || last.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_exists_is_an_archive() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("image");
        std::fs::write(&file, "x").unwrap();
        assert_eq!(Source::of(file.to_str().unwrap()).unwrap(), Source::Archive(file));
        assert!(Source::of(directory.path().to_str().unwrap()).unwrap_err().to_string().contains("is a directory"));
    }

    #[test]
    fn a_missing_file_is_not_taken_for_a_reference() {
        for text in ["./web", "/no/such/web.tar", "web.tar", "images/web.TAR.GZ", "../web:1", "-", r"a\web"] {
            let error = Source::of(text).unwrap_err().to_string();
            assert!(error.contains("cannot be read"), "{text}: {error}");
        }
    }

    #[test]
    fn a_reference_has_a_tag_or_a_digest() {
        let digest = "registry.example/web@sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for text in ["web:1.4.0", "registry.example:5000/shop/web:1", digest] {
            assert_eq!(Source::of(text).unwrap(), Source::Reference(text.into()));
        }
        for text in ["web", "registry.example:5000/shop/web", "No Reference:1"] {
            assert!(Source::of(text).unwrap_err().to_string().contains("neither a file"), "{text}");
        }
    }
}
