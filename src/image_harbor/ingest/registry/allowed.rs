//! Which registries references may name: the plane connects to them from where it runs, and tells what came of it.

use std::{fmt, str::FromStr};

use serde::Deserialize;

use super::address::{Address, canonical};

/// A registry that references may name: `host`, `host:port`, or `*.domain` for all hosts below it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct AllowedRegistry(String);

impl AllowedRegistry {
    fn admits(&self, host: &str) -> bool {
        match self.0.strip_prefix('*') {
            Some(domain) => host.ends_with(domain),
            None => canonical(&self.0) == canonical(host),
        }
    }
}

/// Whether an address may be asked, where only some may; in words if not.
pub(super) fn admit(address: &Address, registries: &[AllowedRegistry]) -> Result<(), String> {
    if registries.is_empty() || registries.iter().any(|registry| registry.admits(&address.host)) {
        return Ok(());
    }
    let names: Vec<_> = registries.iter().map(ToString::to_string).collect();
    Err(format!(
        "images of {} are not taken in here, only those of {}: send an archive, or have whoever installed the plane add the registry (--pull-from)",
        address.host,
        names.join(", ")
    ))
}

impl fmt::Display for AllowedRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for AllowedRegistry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let host = text.strip_prefix("*.").unwrap_or(text);
        // What a registry is, the grammar of references decides.
        match Address::parse(&format!("{host}/image")) {
            Ok(address) if address.host == host => Ok(Self(text.to_owned())),
            _ => {
                Err(format!("{text:?} is no registry: write registry.example, registry.example:5000 or *.example.com"))
            }
        }
    }
}

impl TryFrom<String> for AllowedRegistry {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(reference: &str, registries: &[&str]) -> bool {
        let registries: Vec<_> = registries.iter().map(|registry| registry.parse().unwrap()).collect();
        admit(&Address::parse(reference).unwrap(), &registries).is_ok()
    }

    #[test]
    fn references_name_only_the_registries_that_they_may() {
        assert!(may("169.254.169.254/web", &[]), "any, where none is named");
        let some = ["docker.io", "registry.example:5000", "*.registry.example"];
        for reference in ["nginx", "index.docker.io/team/web", "registry.example:5000/web", "eu.registry.example/web"] {
            assert!(may(reference, &some), "{reference}");
        }
        for reference in [
            "169.254.169.254/web",
            "registry.example/web",
            "registry.example:5001/web",
            "eu.registry.example:5000/web",
            "evilregistry.example/web",
            "eu.registry.example.evil.example/web",
        ] {
            assert!(!may(reference, &some), "{reference}");
        }
    }

    #[test]
    fn what_is_no_registry_is_refused() {
        for text in ["", "*", "*.", "*.*.example.com", "https://registry.example", "registry.example/team", "a b"] {
            assert!(text.parse::<AllowedRegistry>().is_err(), "{text:?}");
        }
        assert!("[::1]:5000".parse::<AllowedRegistry>().is_ok());
    }
}
