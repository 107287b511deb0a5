//! Who sends a request: the other end of its connection, or whom a trusted proxy there says that it sends it for.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use axum::http::{Extensions, HeaderMap, HeaderName};
use ipnet::IpNet;
use serde::Deserialize;

/// Whom proxies send a request for, each after those that were there already.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address that a request comes from, among its extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client(pub IpAddr);

impl Client {
    /// As the listener put it there; none where no listener did.
    pub fn of(extensions: &Extensions) -> Option<IpAddr> {
        extensions.get::<Self>().map(|Self(address)| *address)
    }

    /// The same. One that is not known is everybody's.
    pub fn or_anybody(extensions: &Extensions) -> IpAddr {
        Self::of(extensions).unwrap_or(Ipv6Addr::UNSPECIFIED.into())
    }
}

/// Addresses, as in `10.0.0.0/8` or `192.0.2.7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network(IpNet);

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let single = text.parse::<IpAddr>().map(IpNet::from);
        let network = single.or_else(|_| text.parse::<IpNet>());
        network.map(Self).map_err(|_| format!("{text:?} is no address or network, as in 192.0.2.7 or 10.0.0.0/8"))
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Proxies whose word is taken for whom they send a request for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(pub Vec<Network>);

impl TrustedProxies {
    /// Whether this is one of them.
    pub fn has(&self, address: IpAddr) -> bool {
        self.0.iter().any(|Network(network)| network.contains(&address))
    }

    /// Who sends a request over a connection from `peer`: the last one named whom no trusted proxy would have been sent
    /// for. What stands before that was written by whoever sent it.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Client {
        let mut client = peer.to_canonical();
        let named: Vec<_> = headers.get_all(FORWARDED_FOR).into_iter().map(|value| value.to_str().ok()).collect();
        let named = named.iter().rev().flat_map(|value| value.unwrap_or("?").rsplit(','));
        for name in named {
            if !self.has(client) {
                break;
            }
            let Some(address) = address(name.trim()) else { break };
            client = address.to_canonical();
        }
        Client(client)
    }
}

/// Some proxies name the port as well.
fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn client(trusted: &[&str], peer: &str, headers: &[&str]) -> String {
        let trusted = TrustedProxies(trusted.iter().map(|network| network.parse().unwrap()).collect());
        let headers =
            headers.iter().map(|value| (FORWARDED_FOR, HeaderValue::from_bytes(value.as_bytes()).unwrap())).collect();
        let Client(address) = trusted.client(peer.parse().unwrap(), &headers);
        address.to_string()
    }

    #[test]
    fn a_client_is_who_connects() {
        assert_eq!(client(&[], "192.0.2.7", &[]), "192.0.2.7");
        assert_eq!(client(&[], "::ffff:192.0.2.7", &[]), "192.0.2.7");
        // Whatever it says of itself.
        assert_eq!(client(&[], "192.0.2.7", &["198.51.100.1"]), "192.0.2.7");
        assert_eq!(client(&["10.0.0.0/8"], "192.0.2.7", &["198.51.100.1"]), "192.0.2.7");
    }

    #[test]
    fn a_trusted_proxy_says_for_whom_it_asks() {
        let trusted = ["10.0.0.0/8", "fd00::1"];
        for (headers, expected) in [
            (&["198.51.100.1"][..], "198.51.100.1"),
            (&["198.51.100.1:4711"], "198.51.100.1"),
            (&["[2001:db8::1]:4711"], "2001:db8::1"),
            // What the client wrote itself is before what the proxy added.
            (&["203.0.113.9, 198.51.100.1"], "198.51.100.1"),
            (&["203.0.113.9", "198.51.100.1"], "198.51.100.1"),
            // A proxy behind a proxy.
            (&["203.0.113.9, 198.51.100.1, 10.2.3.4", "fd00::1"], "198.51.100.1"),
            (&["10.9.9.9"], "10.9.9.9"),
            // As far as it can be read.
            (&["198.51.100.1, unknown"], "10.1.1.1"),
            (&["198.51.100.1, unknown, 10.2.3.4"], "10.2.3.4"),
            (&["198.51.100.1", "\u{fc}"], "10.1.1.1"),
            (&[""], "10.1.1.1"),
            (&[], "10.1.1.1"),
        ] {
            assert_eq!(client(&trusted, "10.1.1.1", headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn a_network_is_read() {
        assert!("10.0.0.0/8".parse::<Network>().is_ok() && "::1".parse::<Network>().is_ok());
        let error = "proxy.example".parse::<Network>().unwrap_err();
        assert!(error.contains("as in 192.0.2.7 or 10.0.0.0/8"), "{error}");
    }
}
