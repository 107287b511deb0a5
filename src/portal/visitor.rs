//! Who sends a request: the address it comes from, and the session it belongs to.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use axum::{
    extract::{ConnectInfo, FromRequestParts, Request, State},
    http::request::Parts,
    middleware::Next,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;

use super::{Portal, csrf, problem::Problem, sessions::Session};
use crate::{guesses::network, requests::Sender};

/// The cookie of a session.
pub const COOKIE: &str = "orbit";

/// Somebody who is signed in, for handlers behind [`signed_in`].
#[derive(Debug, Clone)]
pub struct Visitor(pub Arc<Session>);

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::not_signed_in)
    }
}

/// The address that a request comes from. One that is not known is everybody's.
pub fn peer(request: &Request) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    peer.map_or(Ipv6Addr::UNSPECIFIED.into(), |ConnectInfo(peer)| peer.ip().to_canonical())
}

/// Lets only those through who do not send too much.
pub async fn at_a_pace(State(portal): State<Portal>, request: Request, next: Next) -> Response {
    let peer = peer(&request);
    let session = portal.cookie().read(COOKIE, request.headers());
    // Somebody with a session has a bucket of her own; whoever invents ids all the time stays within the address's.
    let known = session.and_then(|id| portal.sessions().find(&id, Timestamp::now()));
    if let Some(session) = &known {
        Sender::of(request.extensions()).is(&session.user.name);
    }
    let taken = match &known {
        Some(session) => portal.pace_of_sessions().take(&session.fingerprint, Instant::now()),
        None => portal.pace_of_strangers().take(&network(peer), Instant::now()),
    };
    match taken {
        Ok(()) => next.run(request).await,
        Err(wait) => Problem::too_many_requests(wait).into_response(),
    }
}

/// Lets only those through who are signed in, and of what changes something only what they meant.
pub async fn signed_in(State(portal): State<Portal>, mut request: Request, next: Next) -> Response {
    let id = portal.cookie().read(COOKIE, request.headers());
    let Some(session) = id.and_then(|id| portal.sessions().find(&id, Timestamp::now())) else {
        return Problem::not_signed_in().into_response();
    };
    tracing::Span::current().record("user", session.user.name.as_str());
    if let Err(why) = csrf::check(request.method(), request.headers(), Some(&session.csrf)) {
        return Problem::forbidden(why.to_string()).into_response();
    }
    let fingerprint = session.fingerprint;
    request.extensions_mut().insert(Visitor(session));
    let response = next.run(request).await;
    // Whatever the API server no longer takes, the portal does not either.
    if response.extensions().get::<Rejected>().is_some() {
        portal.sessions().end(&fingerprint);
    }
    response
}

/// Marks an answer after which its session has ended: the API server did not know the user any more.
#[derive(Debug, Clone, Copy)]
pub struct Rejected;

/// Lets of what changes something only that through which another site cannot send: for signing in.
pub async fn meant(request: Request, next: Next) -> Response {
    match csrf::check(request.method(), request.headers(), None) {
        Ok(()) => next.run(request).await,
        Err(why) => Problem::forbidden(why.to_string()).into_response(),
    }
}
