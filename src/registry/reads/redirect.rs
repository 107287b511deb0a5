//! Whether a client fetches a blob from where the Harbor keeps it.
//!
//! The address that it is sent to carries a signature and needs no other credentials. Clients keep their credentials
//! to themselves when they are sent to another host, but several (Go's among them) send them on to a subdomain of the
//! host that they were meant for. Nobody is sent there.

use std::time::Duration;

use axum::http::{HeaderMap, header, uri::Authority};
use url::Url;

use crate::{digest::Digest, image_harbor::HarborError, registry::Registry};

/// How long the address of a blob is good: for the start of the transfer, not its end.
const GOOD_FOR: Duration = Duration::from_secs(300);

/// That clients are sent on, and under which names they know the registry.
#[derive(Debug, Clone)]
pub struct Redirects {
    /// The registry's own hosts, without ports.
    pub own_hosts: Vec<String>,
    /// Whether clients reach the registry with TLS, which they must not lose on the way.
    pub tls: bool,
}

impl Registry {
    /// Where a blob is fetched from, if not here.
    pub(super) async fn elsewhere(&self, digest: &Digest, headers: &HeaderMap) -> Result<Option<Url>, HarborError> {
        let Some(redirects) = self.redirects() else { return Ok(None) };
        let url = self.harbor().download_url(digest, GOOD_FOR).await?;
        Ok(url.filter(|url| redirects.allow(url, headers)))
    }
}

impl Redirects {
    fn allow(&self, url: &Url, headers: &HeaderMap) -> bool {
        let Some(target) = url.host_str() else { return false };
        let asked = headers.get(header::HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
        let own = self.own_hosts.iter().map(String::as_str).chain(asked.as_ref().map(Authority::host));
        let elsewhere = own.into_iter().all(|own| !is_within(target, own));
        elsewhere && (!self.tls || url.scheme() == "https")
    }
}

/// Whether a host is the domain or lies below it.
fn is_within(host: &str, domain: &str) -> bool {
    let (host, domain) = (host.trim_end_matches('.').to_lowercase(), domain.trim_end_matches('.').to_lowercase());
    host == domain || host.strip_suffix(&domain).is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_where_credentials_would_follow() {
        let redirects = Redirects { own_hosts: vec!["registry.example".into()], tls: true };
        let plain = Redirects { tls: false, ..redirects.clone() };
        for (url, host, with_tls, without) in [
            ("https://bucket.s3.example/x", "registry.example", true, true),
            ("http://bucket.s3.example/x", "registry.example", false, true),
            ("https://registry.example:9000/x", "registry.example", false, false),
            ("https://s3.registry.example/x", "registry.example", false, false),
            ("https://S3.Registry.Example./x", "registry.example", false, false),
            ("https://notregistry.example/x", "registry.example", true, true),
            ("https://s3.plane.svc/x", "plane.svc:8480", false, false),
            ("http://127.0.0.1:7070/x", "127.0.0.1:8480", false, false),
        ] {
            let headers = HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
            let url = url.parse().unwrap();
            assert_eq!(redirects.allow(&url, &headers), with_tls, "{url} from {host} with TLS");
            assert_eq!(plain.allow(&url, &headers), without, "{url} from {host}");
        }
    }
}
