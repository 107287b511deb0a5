//! Only the plane's own machine is answered, for as long as there are no credentials.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::{ConnectInfo, Request},
    http::{HeaderMap, Uri, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::problem::Problem;

/// Lets a request through that comes from a loopback address and was sent to one.
pub async fn only(request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    // Without a peer nothing is known of where it comes from.
    let from_here = peer.is_some_and(|ConnectInfo(peer)| peer.ip().to_canonical().is_loopback());
    if from_here && is_to_loopback(request.uri(), request.headers()) {
        next.run(request).await
    } else {
        Problem::not_from_here().into_response()
    }
}

/// A page of another site could send requests here under its own name (DNS rebinding): names are no addresses.
fn is_to_loopback(uri: &Uri, headers: &HeaderMap) -> bool {
    let of_header = || headers.get(header::HOST)?.to_str().ok()?.parse::<Authority>().ok();
    let Some(authority) = uri.authority().cloned().or_else(of_header) else { return false };
    let host = authority.host();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_sites_are_no_loopback() {
        for (host, expected) in [
            ("127.0.0.1:8080", true),
            ("127.3.2.1", true),
            ("localhost:1", true),
            ("[::1]:8080", true),
            ("rebound.example:8080", false),
            ("127.0.0.1.rebound.example", false),
            ("localhost.rebound.example", false),
            ("10.0.0.1", false),
        ] {
            let headers = HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
            assert_eq!(is_to_loopback(&Uri::from_static("/"), &headers), expected, "{host}");
        }
        assert!(!is_to_loopback(&Uri::from_static("/"), &HeaderMap::new()));
    }
}
