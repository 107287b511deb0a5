//! What a path below `/v2` speaks of.

use super::refusal::Refusal;
use crate::{digest::Digest, registry::repository::Repository};

/// What a request wants to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Whether there is a registry at all, and whether the credentials are good.
    Base,
    /// A manifest, byte for byte.
    Manifest(Repository, Reference),
    /// A blob.
    Blob(Repository, Digest),
    /// The tags of a repository.
    Tags(Repository),
    /// What refers to a manifest.
    Referrers(Repository, Digest),
}

/// How a manifest is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// By a name that may come to mean another one.
    Tag(String),
    /// By what it is.
    Digest(Digest),
}

impl Target {
    /// What `path`, which begins after `/v2`, speaks of.
    pub fn of(path: &str) -> Result<Self, Refusal> {
        let path = path.trim_start_matches('/');
        if path.is_empty() {
            return Ok(Self::Base);
        }
        // The end tells what it is: a repository's name may hold any word.
        if let Some(name) = path.strip_suffix("/tags/list") {
            return Ok(Self::Tags(name.parse()?));
        }
        let (rest, last) = path.rsplit_once('/').ok_or(Refusal::PathUnknown)?;
        let (name, kind) = rest.rsplit_once('/').ok_or(Refusal::PathUnknown)?;
        match kind {
            "manifests" => Ok(Self::Manifest(name.parse()?, last.parse()?)),
            "blobs" => Ok(Self::Blob(name.parse()?, digest(last)?)),
            "referrers" => Ok(Self::Referrers(name.parse()?, digest(last)?)),
            _ => Err(Refusal::PathUnknown),
        }
    }

    /// The repository that it lies in.
    pub fn repository(&self) -> Option<&Repository> {
        match self {
            Self::Base => None,
            Self::Manifest(repository, _)
            | Self::Blob(repository, _)
            | Self::Tags(repository)
            | Self::Referrers(repository, _) => Some(repository),
        }
    }
}

impl std::str::FromStr for Reference {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        if text.contains(':') {
            return digest(text).map(Self::Digest);
        }
        let tag = text.len() <= 128
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
            && !text.starts_with(['.', '-']);
        if tag { Ok(Self::Tag(text.to_owned())) } else { Err(Refusal::ManifestUnknown) }
    }
}

fn digest(text: &str) -> Result<Digest, Refusal> {
    // The colon may come escaped, as some clients write it in a path.
    text.replace("%3A", ":").replace("%3a", ":").parse().map_err(Refusal::DigestInvalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_meant() {
        let (web, digest) = ("shop/web".parse::<Repository>().unwrap(), Digest::of("x"));
        let charts: Repository = "shop/charts/web".parse().unwrap();
        let odd: Repository = "shop/manifests".parse().unwrap();
        for (path, expected) in [
            ("".to_owned(), Target::Base),
            ("/".to_owned(), Target::Base),
            ("/shop/web/manifests/1.4.0".to_owned(), Target::Manifest(web.clone(), Reference::Tag("1.4.0".into()))),
            (format!("/shop/web/manifests/{digest}"), Target::Manifest(web.clone(), Reference::Digest(digest))),
            (format!("/shop/charts/web/blobs/{digest}"), Target::Blob(charts.clone(), digest)),
            (format!("/shop/web/blobs/sha256%3A{}", digest.hex()), Target::Blob(web.clone(), digest)),
            (format!("/shop/web/referrers/{digest}"), Target::Referrers(web.clone(), digest)),
            ("/shop/charts/web/tags/list".to_owned(), Target::Tags(charts)),
            ("/shop/manifests/tags/list".to_owned(), Target::Tags(odd.clone())),
            ("/shop/manifests/manifests/tags".to_owned(), Target::Manifest(odd, Reference::Tag("tags".into()))),
        ] {
            assert_eq!(Target::of(&path).unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn refuses_what_nothing_can_be_under() {
        for path in
            ["/_catalog", "/shop", "/shop/web", "/shop/web/other/1", "/a/b/c/manifests/1", "/../web/manifests/1"]
        {
            assert!(matches!(Target::of(path), Err(Refusal::PathUnknown | Refusal::NameInvalid(_))), "{path}");
        }
        assert!(matches!(Target::of("/shop/web/blobs/sha256:00"), Err(Refusal::DigestInvalid(_))));
        assert!(matches!(Target::of("/shop/web/manifests/md5:00"), Err(Refusal::DigestInvalid(_))));
        assert!(matches!(Target::of("/shop/web/manifests/.hidden"), Err(Refusal::ManifestUnknown)));
    }
}
