//! What is compared: a version or an environment.

use std::{collections::BTreeMap, convert::Infallible, fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{image::Image, manifests::Documents};

/// What a person asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Side {
    /// A release.
    Version(String),
    /// What was rendered last for an environment.
    Environment(String),
}

impl FromStr for Side {
    type Err = Infallible;

    /// What reads as a version is one. An environment's name never does: it has no dots.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.split_once(':') {
            Some(("env", name)) => Self::Environment(name.to_owned()),
            Some(("version", version)) => Self::Version(version.to_owned()),
            _ if semver::Version::parse(text).is_ok() => Self::Version(text.to_owned()),
            _ => Self::Environment(text.to_owned()),
        })
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "version {version}"),
            Self::Environment(environment) => write!(f, "environment {environment}"),
        }
    }
}

/// All that is known of a side.
#[derive(Debug, Clone)]
pub struct Content {
    /// What was asked for.
    pub side: Side,
    /// The version; none for an environment whose overlay brings manifests of its own.
    pub version: Option<String>,
    /// The values that it is rendered with: the chart's own, with those of the overlay laid over them where it is an
    /// environment; or why they are not known.
    pub values: Result<Value, String>,
    /// Its objects, or the files of its chart, or why there are none to compare.
    pub objects: Result<Documents, String>,
    /// Its images by the container they are for, or else by the reference they are pulled by.
    pub images: BTreeMap<String, Image>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_as_a_version_is_one() {
        for (text, side) in [
            ("1.4.0", Side::Version("1.4.0".into())),
            ("1.4.0-rc.1", Side::Version("1.4.0-rc.1".into())),
            ("prod", Side::Environment("prod".into())),
            ("1.4", Side::Environment("1.4".into())),
            ("env:1.4.0", Side::Environment("1.4.0".into())),
            ("version:prod", Side::Version("prod".into())),
        ] {
            assert_eq!(text.parse::<Side>().unwrap(), side, "{text}");
        }
    }
}
