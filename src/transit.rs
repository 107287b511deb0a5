//! Whether what is sent to a URL is safe in transit.

use url::{Host, Url};

/// Whether the URL speaks of the machine it is used on.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether nobody on the way reads or changes what is sent there and back.
pub fn is_private(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_is_private_by_tls_or_on_one_machine() {
        for (url, here, private) in [
            ("http://127.0.0.2:1/", true, true),
            ("http://[::1]/", true, true),
            ("http://localhost/", true, true),
            ("ftp://localhost/", true, false),
            ("https://orbit.example/", false, true),
            ("http://orbit.example/", false, false),
            ("http://localhost.example/", false, false),
            ("http://10.0.0.1/", false, false),
        ] {
            let url = url.parse().unwrap();
            assert_eq!((is_loopback(&url), is_private(&url)), (here, private), "{url}");
        }
    }
}
