//! Who sends a request: the address it comes from, and the session it belongs to.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;

use super::{
    Portal,
    authority::is_token,
    csrf,
    problem::Problem,
    sessions::Session,
    sign_in::{self, Identified},
};
use crate::{guesses::network, listener::Client, registry::readers::Secret, requests::Sender};

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

/// The session that a request belongs to by its cookie.
pub fn by_cookie(portal: &Portal, headers: &HeaderMap) -> Option<Arc<Session>> {
    let id = portal.cookie().read(COOKIE, headers)?;
    portal.sessions().find(&id, Timestamp::now())
}

/// The Kubernetes token that a request brings along (RFC 6750, 2.1). Of several none is believed.
fn bearer(headers: &HeaderMap) -> Option<Secret> {
    let mut all = headers.get_all(header::AUTHORIZATION).into_iter();
    let (scheme, token) = all.next()?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (all.next().is_none() && scheme.eq_ignore_ascii_case("bearer") && is_token(token)).then(|| Secret::new(token))
}

/// Lets only those through who do not send too much.
pub async fn at_a_pace(State(portal): State<Portal>, request: Request, next: Next) -> Response {
    // Somebody with a session has a bucket of her own; whoever invents ids all the time stays within the address's.
    let known = by_cookie(&portal, request.headers()).or_else(|| {
        bearer(request.headers()).and_then(|token| portal.sessions().find_by_token(&token, Timestamp::now()))
    });
    if let Some(session) = &known {
        Sender::of(request.extensions()).is(&session.user.name);
    }
    let taken = match &known {
        Some(session) => portal.pace_of_sessions().take(&session.fingerprint, Instant::now()),
        None => portal.pace_of_strangers().take(&network(Client::or_anybody(request.extensions())), Instant::now()),
    };
    match taken {
        Ok(()) => next.run(request).await,
        Err(wait) => Problem::too_many_requests(wait).into_response(),
    }
}

/// Lets only those through who are signed in, and of what changes something only what they meant.
pub async fn signed_in(State(portal): State<Portal>, request: Request, next: Next) -> Response {
    let Some(session) = by_cookie(&portal, request.headers()) else {
        return Problem::not_signed_in().into_response();
    };
    if let Err(why) = csrf::check(request.method(), request.headers(), Some(&session.csrf)) {
        return Problem::forbidden(why.to_string()).into_response();
    }
    serve(&portal, session, request, next).await
}

/// The same, and those who send a Kubernetes token with the request. That needs no proof that it was meant: what a page
/// of another site sends has no token.
pub async fn signed_in_or_bearer(State(portal): State<Portal>, request: Request, next: Next) -> Response {
    if by_cookie(&portal, request.headers()).is_some() {
        return signed_in(State(portal), request, next).await;
    }
    let Some(token) = bearer(request.headers()) else {
        return Problem::not_signed_in().into_response();
    };
    let session = match portal.sessions().find_by_token(&token, Timestamp::now()) {
        Some(session) => session,
        None => {
            let from = Client::or_anybody(request.extensions());
            let Identified { user, client, until } = match sign_in::with_token(&portal, &token, from).await {
                Ok(signed_in) => signed_in,
                Err(problem) => return problem.into_response(),
            };
            Sender::of(request.extensions()).is(&user.name);
            portal.sessions().begin_by_token(&token, user, client, until, Timestamp::now())
        }
    };
    serve(&portal, session, request, next).await
}

async fn serve(portal: &Portal, session: Arc<Session>, mut request: Request, next: Next) -> Response {
    tracing::Span::current().record("user", session.user.name.as_str());
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
