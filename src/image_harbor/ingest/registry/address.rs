//! Where a reference points to.

use oci_spec::distribution::Reference;

use crate::digest::Digest;

/// A reference, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// The registry as written, `docker.io` when left out: `host` or `host:port`.
    pub host: String,
    /// Repository in the registry, `library/nginx` for `nginx`.
    pub repository: String,
    /// Tag or digest: what the manifest is asked for by.
    pub object: String,
    /// The digest, where the reference has one.
    pub digest: Option<Digest>,
}

impl Address {
    /// Takes a reference apart. A tag beside a digest is a comment.
    pub(super) fn parse(reference: &str) -> Result<Self, String> {
        let malformed = |fault: String| {
            let shown: String = reference.chars().take(200).collect();
            format!("{shown:?} is no image reference ({fault}): write it as registry.example/web:1.4.0")
        };
        // The library's grammar lacks IPv6 literals.
        let (v6, rest) = match reference.strip_prefix('[').and_then(|r| r.split_once(']')) {
            Some((host, rest)) if host.parse::<std::net::Ipv6Addr>().is_ok() && rest.starts_with([':', '/']) => {
                (Some(format!("[{host}]")), format!("localhost{rest}"))
            }
            _ => (None, reference.to_owned()),
        };
        let parsed: Reference = rest.parse().map_err(|error| malformed(format!("{error}")))?;
        let host = match v6 {
            Some(v6) => parsed.registry().replacen("localhost", &v6, 1),
            None => parsed.registry().to_owned(),
        };
        if parsed.repository().bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(malformed("upper-case letters in the repository".into()));
        }
        let digest = parsed.digest().map(|text| text.parse().map_err(|e| malformed(format!("{e}")))).transpose()?;
        let object = parsed.digest().or(parsed.tag()).unwrap_or("latest").to_owned();
        Ok(Self { host, repository: parsed.repository().to_owned(), object, digest })
    }

    /// The repository's place in the registry's API. TLS is left out only on loopback and where it is allowed by name.
    ///
    /// A check of the addresses that a host resolves to (no private ones, say) belongs here and into redirects.
    pub(super) fn base(&self, plain_http: &[String]) -> String {
        let host = if canonical(&self.host) == DOCKER_HUB { "registry-1.docker.io" } else { &self.host };
        let scheme = if is_plain(&self.host, plain_http) { "http" } else { "https" };
        format!("{scheme}://{host}/v2/{}", self.repository)
    }
}

const DOCKER_HUB: &str = "docker.io";

/// One name for hosts that are the same registry.
pub(super) fn canonical(host: &str) -> &str {
    match host {
        "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => DOCKER_HUB,
        other => other,
    }
}

/// Whether a host (with or without a port) may be spoken to without TLS.
pub(super) fn is_plain(host: &str, plain_http: &[String]) -> bool {
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(v6),
        None => host.split(':').next().unwrap_or(host),
    };
    name == "localhost"
        || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        || plain_http.iter().any(|allowed| allowed == host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_taken_apart() {
        let digest = Digest::of("x");
        for (reference, base, object) in [
            ("nginx", "https://registry-1.docker.io/v2/library/nginx", "latest"),
            ("registry.example/team/web:1.4.0", "https://registry.example/v2/team/web", "1.4.0"),
            ("localhost:5000/web", "http://localhost:5000/v2/web", "latest"),
            ("127.0.0.1:5000/web:1", "http://127.0.0.1:5000/v2/web", "1"),
            ("[::1]:5000/web:1", "http://[::1]:5000/v2/web", "1"),
            ("plain.example:80/web:1", "http://plain.example:80/v2/web", "1"),
            (&format!("registry.example/web:1@{digest}"), "https://registry.example/v2/web", &digest.to_string()),
        ] {
            let address = Address::parse(reference).unwrap();
            let base_of = address.base(&["plain.example:80".into()]);
            assert_eq!((base_of.as_str(), address.object.as_str()), (base, object));
        }
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for reference in [
            "",
            "UPPER/case",
            "a b",
            "https://registry.example/web",
            "../web",
            "web@sha256:12",
            "[x]/web",
            "[::1].x/web",
        ] {
            let fault = Address::parse(reference).unwrap_err();
            assert!(fault.contains("is no image reference"), "{reference}: {fault}");
        }
    }
}
