//! What a client without credentials is told: where tokens are to be had, and for what to ask.

use axum::http::{HeaderMap, header, uri::Authority};

use super::Place;
use crate::registry::repository::Repository;

/// Writes challenges (distribution's "Token Authentication Specification").
#[derive(Debug)]
pub struct Challenger {
    place: Place,
}

impl Challenger {
    pub fn new(place: Place) -> Self {
        Self { place }
    }

    /// `WWW-Authenticate` for a request with these headers.
    pub fn challenge(&self, headers: &HeaderMap, repository: Option<&Repository>) -> String {
        let url = self.url(headers);
        let service = self.place.public_url.host_str().unwrap_or("orbit");
        let mut challenge = format!(r#"Bearer realm="{url}/v2/token",service="{service}""#);
        if let Some(repository) = repository {
            challenge.push_str(&format!(r#",scope="repository:{repository}:pull""#));
        }
        challenge
    }

    /// The registry as this client reaches it, which a port-forward or another name may make another one than the
    /// published. The host is the client's own word, and is told to nobody else.
    fn url(&self, headers: &HeaderMap) -> String {
        let public = self.place.public_url.as_str().trim_end_matches('/');
        let asked = headers.get(header::HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
        let Some(asked) = asked else { return public.to_owned() };
        let known = self.place.public_url.as_str().split("://").nth(1).unwrap_or_default();
        if known.trim_end_matches('/').eq_ignore_ascii_case(asked.as_str()) {
            return public.to_owned();
        }
        let scheme = if self.place.tls { "https" } else { "http" };
        format!("{scheme}://{}", asked.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(host: Option<&str>, public: &str, tls: bool) -> String {
        let challenger = Challenger::new(Place { public_url: public.parse().unwrap(), tls });
        let headers = host.map(|host| (header::HOST, host.parse().unwrap()));
        challenger.challenge(&HeaderMap::from_iter(headers), Some(&"shop/charts/web".parse().unwrap()))
    }

    #[test]
    fn tokens_are_to_be_had_where_the_client_came() {
        for (host, public, tls, realm) in [
            (Some("127.0.0.1:8480"), "http://127.0.0.1:8480", false, "http://127.0.0.1:8480"),
            (Some("localhost:9999"), "http://127.0.0.1:8480", false, "http://localhost:9999"),
            (Some("plane.orbit.svc:8480"), "https://registry.example", true, "https://plane.orbit.svc:8480"),
            // Something before the plane speaks TLS for it.
            (Some("registry.example"), "https://registry.example/", false, "https://registry.example"),
            (None, "https://registry.example", true, "https://registry.example"),
        ] {
            let expected = format!(r#"Bearer realm="{realm}/v2/token",service=""#);
            let challenge = challenge(host, public, tls);
            assert!(challenge.starts_with(&expected), "{challenge}");
            assert!(challenge.ends_with(r#",scope="repository:shop/charts/web:pull""#), "{challenge}");
        }
    }

    #[test]
    fn a_host_that_is_none_is_not_repeated() {
        let challenge = challenge(Some("a\"b"), "https://registry.example", true);
        assert!(challenge.starts_with(r#"Bearer realm="https://registry.example/v2/token""#), "{challenge}");
    }
}
