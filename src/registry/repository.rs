//! How the repositories are called under which the plane serves what it stores.
//!
//! | repository | what it holds | its tags |
//! | --- | --- | --- |
//! | `<namespace>/<application>` | images | versions |
//! | `<namespace>/charts/<application>` | Helm charts | versions |
//! | `<namespace>/overlays/<application>` | rendered overlays | environments |

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::release::ApplicationKey;

/// What a repository holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Collection {
    /// Images, as they were uploaded.
    Images,
    /// The Helm charts of their releases.
    Charts,
    /// What environments run.
    Overlays,
}

impl Collection {
    /// The segment between namespace and application; images have none.
    fn segment(self) -> Option<&'static str> {
        match self {
            Self::Images => None,
            Self::Charts => Some("charts"),
            Self::Overlays => Some("overlays"),
        }
    }

    /// The resource whose subresource `content` somebody must be allowed to get in order to read here.
    pub fn resource(self) -> &'static str {
        match self {
            Self::Images => "imageuploads",
            Self::Charts => "helmcharts",
            Self::Overlays => "environmentoverlays",
        }
    }
}

/// A repository: what is served of an application under one name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Repository {
    /// What it holds.
    pub collection: Collection,
    /// Of which application.
    pub key: ApplicationKey,
}

/// What was not the name of a repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} cannot be a repository here: they are called <namespace>/<application>, <namespace>/charts/<application> and <namespace>/overlays/<application>"
)]
pub struct InvalidRepository(pub String);

impl Repository {
    /// Where it is found at a host, as Helm and Flux write it: `oci://registry.example/shop/charts/web`. None where the
    /// host is not known.
    pub fn url(&self, host: &str) -> Option<String> {
        (!host.is_empty()).then(|| format!("oci://{host}/{self}"))
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ApplicationKey { namespace, application } = &self.key;
        match self.collection.segment() {
            None => write!(f, "{namespace}/{application}"),
            Some(segment) => write!(f, "{namespace}/{segment}/{application}"),
        }
    }
}

impl From<Repository> for String {
    fn from(repository: Repository) -> Self {
        repository.to_string()
    }
}

impl TryFrom<String> for Repository {
    type Error = InvalidRepository;

    fn try_from(text: String) -> Result<Self, InvalidRepository> {
        text.parse()
    }
}

impl FromStr for Repository {
    type Err = InvalidRepository;

    fn from_str(text: &str) -> Result<Self, InvalidRepository> {
        let segments: Vec<&str> = text.split('/').collect();
        let (namespace, collection, application) = match segments[..] {
            [namespace, application] => (namespace, Collection::Images, application),
            [namespace, "charts", application] => (namespace, Collection::Charts, application),
            [namespace, "overlays", application] => (namespace, Collection::Overlays, application),
            _ => return Err(InvalidRepository(text.chars().take(80).collect())),
        };
        if !is_label(namespace) || !is_label(application) {
            return Err(InvalidRepository(text.chars().take(80).collect()));
        }
        Ok(Self { collection, key: ApplicationKey::new(namespace, application) })
    }
}

/// A DNS label: what namespaces are called, and what applications are called at most.
fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for (text, collection) in [
            ("shop/web", Collection::Images),
            ("shop/charts/web", Collection::Charts),
            ("shop/overlays/web", Collection::Overlays),
            ("shop/charts", Collection::Images),
            ("charts/charts/charts", Collection::Charts),
        ] {
            let repository: Repository = text.parse().unwrap();
            assert_eq!((repository.collection, repository.to_string().as_str()), (collection, text));
        }
        let charts: Repository = "shop/charts/web".parse().unwrap();
        assert_eq!(charts.url("r.example:5000").as_deref(), Some("oci://r.example:5000/shop/charts/web"));
        assert_eq!(charts.url(""), None);
    }

    #[test]
    fn refuses_other_names() {
        for text in [
            "",
            "web",
            "/web",
            "shop/",
            "shop//web",
            "shop/other/web",
            "Shop/web",
            "shop/../web",
            "shop/charts/web/x",
            "-a/b",
        ] {
            assert!(text.parse::<Repository>().is_err(), "{text:?}");
        }
        assert!(format!("shop/{}", "a".repeat(64)).parse::<Repository>().is_err());
    }
}
