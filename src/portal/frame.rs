//! What every answer of the portal has around it: an id to find it by in the log, and what browsers are told never to do.

use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};
use tracing::Instrument;

use super::{Portal, sessions::random};
use crate::{
    listener::Client,
    requests::{REQUEST_ID, RequestId},
};

/// What marks this answer's own styles: random, and good for this one answer.
#[derive(Debug, Clone)]
pub struct Nonce(pub String);

/// Around every request.
pub async fn around(State(portal): State<Portal>, mut request: Request, next: Next) -> Response {
    let id = uuid::Uuid::new_v4().to_string();
    let nonce = Nonce(random().expose().to_owned());
    request.extensions_mut().insert(nonce.clone());
    request.extensions_mut().insert(RequestId(id.clone()));
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let client = Client::or_anybody(request.extensions());
    let span = tracing::info_span!("request", id, %method, path, %client, user = tracing::field::Empty);
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    span.in_scope(|| {
        if method.is_safe() && !status.is_server_error() && status != 401 && status != 403 {
            tracing::debug!(status = status.as_u16(), "answered");
        } else {
            tracing::info!(status = status.as_u16(), "answered");
        }
    });
    let headers = response.headers_mut();
    let mut tell = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    tell(REQUEST_ID, &id);
    tell(header::CONTENT_SECURITY_POLICY, &content_security_policy(&nonce));
    tell(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    tell(header::REFERRER_POLICY, "no-referrer");
    if portal.cookie().secure {
        tell(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    tell(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    tell(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// What a page may load: what this host serves, and styles that bear this answer's nonce.
fn content_security_policy(Nonce(nonce): &Nonce) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; \
         font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; \
         form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types angular angular#components angular#unsafe-bypass orbit#worker"
    )
}
