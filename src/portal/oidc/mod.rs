//! Signing in with an identity provider: OpenID Connect, authorization code with PKCE.
//!
//! The browser is sent to the provider with a state, a nonce and a challenge that are good once, for ten minutes, and in
//! this browser only. What it brings back is exchanged for an ID token, which has to be signed by the provider, for us,
//! and for this very sign-in ([`id_token`]). From then on the plane acts as the user and the groups that the token
//! names; those that are the cluster's own (`system:`) are never taken from a provider.

mod id_token;
mod keys;
mod pending;
mod provider;

#[cfg(test)]
mod tests;

use axum::{
    Extension,
    extract::{Query, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde::Deserialize;
use url::Url;

pub use self::provider::{Provider, Settings};
use self::{
    id_token::{Expected, IdToken},
    pending::{Pending, own_path},
};
use super::{
    Portal,
    authority::{Authority, impersonated, who_is},
    sessions::random,
    visitor::{COOKIE, by_cookie},
};
use crate::{digest::Digest, guesses::network, listener::Client, registry::readers::Secret, requests::Sender};

/// The path that the provider sends browsers back to.
pub const CALLBACK: &str = "/auth/callback";
/// The path that begins it.
pub const START: &str = "/auth/start";
/// The cookie that binds a sign-in to the browser that began it.
const BROWSER: &str = "orbit-sign-in";

/// Why it did not work, as the page `/sign-in` is told: `?problem=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Problem {
    /// The provider, or its user, does not want it.
    Refused,
    /// It took too long, was begun in another browser, or is over.
    Expired,
    /// The provider does not answer, or with nothing that could be believed.
    Failed,
    /// The provider names somebody whom the plane does not act as.
    Name,
}

impl Problem {
    fn code(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Failed => "failed",
            Self::Name => "name",
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        see_other(&format!("/sign-in?problem={}", self.code()))
    }
}

fn see_other(location: &str) -> Response {
    match HeaderValue::from_str(location) {
        Ok(location) => (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Where to come back to.
#[derive(Debug, Deserialize)]
pub struct Start {
    #[serde(rename = "return")]
    back: Option<String>,
}

/// `GET /auth/start`: sends the browser to the provider.
pub async fn start(State(portal): State<Portal>, Query(Start { back }): Query<Start>, request: Request) -> Response {
    let Some(provider) = portal.provider() else { return super::Problem::no_such_resource().into_response() };
    let metadata = match provider.metadata().await {
        Ok(metadata) => metadata,
        Err(error) => return failed(&error),
    };
    let (state, nonce, verifier, browser) = (random(), random(), random(), random());
    let location = provider.authorization(&metadata, &state, &nonce, &verifier);
    let pending = Pending {
        nonce,
        verifier,
        browser: Digest::of(browser.expose()),
        back: back.as_deref().and_then(own_path).unwrap_or_else(|| "/".to_owned()),
        since: Timestamp::now(),
        from: network(Client::or_anybody(request.extensions())),
    };
    provider.pending().keep(&state, pending);
    let mut response = see_other(location.as_str());
    if let Some(cookie) = portal.cookie().set_for(BROWSER, &browser, pending::LIFETIME.as_secs() as u32) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// What the provider sends along.
#[derive(Debug, Deserialize)]
pub struct Callback {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
}

/// `GET /auth/callback`: the provider sends the browser back.
pub async fn callback(
    State(portal): State<Portal>,
    sender: Option<Extension<Sender>>,
    Query(query): Query<Callback>,
    headers: HeaderMap,
) -> Response {
    let sender = sender.map(|Extension(sender)| sender).unwrap_or_default();
    let mut response = match signed_in(&portal, query, &headers, &sender).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    };
    if let Some(cookie) = portal.cookie().forget(BROWSER) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

async fn signed_in(
    portal: &Portal,
    query: Callback,
    headers: &HeaderMap,
    sender: &Sender,
) -> Result<Response, Problem> {
    let provider = portal.provider().ok_or(Problem::Failed)?;
    let state = query.state.map(Secret::new).ok_or(Problem::Expired)?;
    let browser = portal.cookie().read(BROWSER, headers).ok_or(Problem::Expired)?;
    let pending = provider.pending().take(&state, &browser, Timestamp::now()).ok_or(Problem::Expired)?;
    if let Some(error) = query.error {
        tracing::info!(error = error.chars().take(80).collect::<String>(), "the identity provider refuses to sign in");
        return Err(Problem::Refused);
    }
    let code = query.code.ok_or(Problem::Failed)?;
    let IdToken { user, expires_at } = match identify(provider, &code, &pending).await {
        Ok(token) => token,
        Err(error) => {
            tracing::warn!("signing in with the identity provider failed: {error:#}");
            return Err(Problem::Failed);
        }
    };
    let user = impersonated(user.name, user.groups).map_err(|error| {
        tracing::warn!("{error}");
        Problem::Name
    })?;
    let name = user.name.clone();
    let client = portal.cluster().client(&Authority::Impersonation(user)).map_err(|error| {
        tracing::error!("a client of the API server could not be made: {error:#}");
        Problem::Failed
    })?;
    // Whether the plane may act as this user at all, and what the API server makes of it.
    let user = who_is(&client).await.map_err(|error| {
        tracing::error!("the plane cannot act as a user of the identity provider: {error}");
        Problem::Failed
    })?;
    // Whoever else it is: nobody gets a session that acts as somebody whom the provider did not name.
    let user = user.filter(|user| user.name == name).ok_or_else(|| {
        tracing::error!(name, "the API server does not take the plane for the user that it acts as");
        Problem::Failed
    })?;
    if let Some(before) = by_cookie(portal, headers) {
        portal.sessions().end(&before.fingerprint);
    }
    sender.is(&user.name);
    tracing::info!(user = user.name, "signed in with the identity provider");
    let (id, _) = portal.sessions().begin(user, client, Some(expires_at), Timestamp::now());
    let mut response = see_other(&pending.back);
    if let Some(cookie) = portal.cookie().set(COOKIE, &id) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

async fn identify(provider: &Provider, code: &str, pending: &Pending) -> anyhow::Result<IdToken> {
    let metadata = provider.metadata().await?;
    let token = provider.exchange(&metadata, code, &pending.verifier).await?;
    let signed = id_token::parse(token.expose())?;
    let key = provider.key(&metadata, &signed.header).await?;
    let claims = signed.verified(&key)?;
    let expected = Expected { settings: provider.settings(), nonce: &pending.nonce, now: Timestamp::now() };
    Ok(expected.accept(&claims)?)
}

fn failed(error: &anyhow::Error) -> Response {
    tracing::warn!("the identity provider cannot be asked: {error:#}");
    Problem::Failed.into_response()
}

/// Where browsers come back to, as the provider has to know it.
pub fn redirect_uri(portal: &Url) -> Url {
    let mut url = portal.clone();
    url.set_path(CALLBACK);
    url
}
