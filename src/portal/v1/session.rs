//! Signing in and out.

use std::time::Instant;

use axum::{
    Json,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    listener::Client,
    portal::{
        Portal,
        authority::{MAX_TOKEN, is_token},
        extract::Unread,
        oidc,
        problem::Problem,
        sessions::Session,
        sign_in,
        visitor::{self, COOKIE, Visitor},
    },
    registry::readers::Secret,
    requests::Sender,
};

/// Bytes of what one signs in with, at most: nobody is known yet who could be told to send less.
const MAX_CREDENTIALS: usize = 2 * MAX_TOKEN;

/// How one can sign in.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SignIn {
    /// The ways, the preferred one first.
    methods: Vec<Way>,
}

/// A way to sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Way {
    /// With a token that the API server knows.
    Token,
    /// With an identity provider.
    Oidc {
        /// What it is called.
        name: String,
        /// Where to send the browser; `?return=` takes a path of the portal to come back to.
        url: String,
    },
}

impl Way {
    /// With an identity provider, from this path on.
    pub fn of(provider: &oidc::Settings, path: &str) -> Self {
        Self::Oidc { name: provider.name.clone(), url: path.to_owned() }
    }
}

/// What one signs in with.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// A Kubernetes bearer token.
    token: String,
}

/// Who is signed in.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignedIn {
    /// The user, as the API server knows them.
    user: Person,
    /// What to send as X-Orbit-CSRF with everything that changes something.
    csrf_token: String,
    /// When the session ends at the latest.
    #[schemars(with = "String", extend("format" = "date-time"))]
    expires_at: Timestamp,
}

/// A user.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Person {
    /// The name.
    name: String,
    /// The groups.
    groups: Vec<String>,
}

impl SignedIn {
    fn of(session: &Session) -> Self {
        let user = Person { name: session.user.name.clone(), groups: session.user.groups.clone() };
        Self { user, csrf_token: session.csrf.expose().to_owned(), expires_at: session.expires_at }
    }
}

/// `GET /sign-in`
pub async fn ways(State(portal): State<Portal>) -> Json<SignIn> {
    Json(SignIn { methods: portal.ways() })
}

/// `POST /session`
pub async fn begin(State(portal): State<Portal>, request: Request) -> Result<Response, Problem> {
    let (peer, sender) = (Client::or_anybody(request.extensions()), Sender::of(request.extensions()));
    // A session that one had ends: its id is never one of somebody else's.
    let before = visitor::by_cookie(&portal, request.headers());
    if let Some(wait) = portal.guesses().wait(peer, Instant::now()) {
        return Err(Problem::too_many_requests(wait));
    }
    let Credentials { token } = Unread::of(request, MAX_CREDENTIALS).await?.json()?;
    let token = token.trim();
    if !is_token(token) {
        return Err(sign_in::wrong(&portal, peer));
    }
    let sign_in::Identified { user, client, until } = sign_in::with_token(&portal, &Secret::new(token), peer).await?;
    if let Some(before) = before {
        portal.sessions().end(&before.fingerprint);
    }
    sender.is(&user.name);
    let (id, session) = portal.sessions().begin(user, client, until, Timestamp::now());
    let mut response = Json(SignedIn::of(&session)).into_response();
    if let Some(cookie) = portal.cookie().set(COOKIE, &id) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// `GET /session`
pub async fn show(Visitor(session): Visitor) -> Json<SignedIn> {
    Json(SignedIn::of(&session))
}

/// `DELETE /session`
pub async fn end(State(portal): State<Portal>, Visitor(session): Visitor) -> Response {
    portal.sessions().end(&session.fingerprint);
    tracing::info!(user = session.user.name, "signed out");
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Some(cookie) = portal.cookie().forget(COOKIE) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
