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
        let host = spelled_in_one_way(host);
        match self.0.strip_prefix('*') {
            Some(domain) => host.ends_with(domain),
            None => self.0 == host,
        }
    }
}

/// One spelling of a registry's host: names are the same in capitals, and 443 is the port of none.
fn spelled_in_one_way(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    canonical(host.strip_suffix(":443").unwrap_or(&host)).to_owned()
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
        let malformed =
            || format!("{text:?} is no registry: write registry.example, registry.example:5000 or *.example.com");
        let host = text.strip_prefix("*.").unwrap_or(text);
        // What a registry is, the grammar of references decides.
        let address = Address::parse(&format!("{host}/image")).map_err(|_| malformed())?;
        let spelled = spelled_in_one_way(host);
        // What is below an address, or below a part of one?
        let name = spelled.split(':').next().unwrap_or_default();
        let is_domain = name.rsplit('.').next().is_some_and(|top| top.bytes().any(|byte| byte.is_ascii_alphabetic()));
        match host.len() < text.len() {
            _ if spelled_in_one_way(&address.host) != spelled => Err(malformed()),
            true if !is_domain => Err(malformed()),
            true => Ok(Self(format!("*.{spelled}"))),
            false => Ok(Self(spelled)),
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
        let some = ["index.docker.io", "Registry.example:5000", "*.registry.example"];
        for reference in [
            "nginx",
            "docker.io/team/web",
            "registry.example:5000/web",
            "eu.registry.example/web",
            "EU.Registry.example:443/web",
        ] {
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
        // It is Docker Hub by another name, and Docker Hub is asked for it.
        assert!(!may("registry.hub.docker.com/library/nginx", &["*.docker.com"]));
    }

    #[test]
    fn what_is_no_registry_is_refused() {
        for text in ["", "*", "*.", "*.*.example.com", "https://registry.example", "registry.example/team", "a b"] {
            assert!(text.parse::<AllowedRegistry>().is_err(), "{text:?}");
        }
        for text in ["*.0.0.1", "*.[::1]:5000", "*.1:5000", "*.example.com:x"] {
            assert!(text.parse::<AllowedRegistry>().is_err(), "{text:?}");
        }
        assert!("[::1]:5000".parse::<AllowedRegistry>().is_ok());
    }
}
