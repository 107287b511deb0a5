//! The read side of the OCI Distribution API 1.1: manifests, blobs, tags and referrers.
//!
//! Who may read is asked first, so that no answer tells anybody else what there is ([`Readers`](super::Readers)). What a
//! repository holds is what the Chart Store links to its application, and of that the manifests of its own kind: one
//! who may read charts learns of no image's layers.

mod blobs;
mod byte_range;
mod manifests;
mod redirect;
mod referrers;
mod refusal;
mod tags;
mod target;

#[cfg(test)]
mod shelf;
#[cfg(test)]
mod tests;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};

pub use self::{redirect::Redirects, referrers::Known as KnownReferrers};
use self::{refusal::Refusal, target::Target};
use super::{Registry, readers::Credentials, repository::Repository};
use crate::{listener::Client, requests::Sender};

/// Says of an answer that it is a registry's; Docker's clients look for it.
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// The repository that a path, which begins after `/v2`, lies in.
pub fn repository(path: &str) -> Option<Repository> {
    Target::of(path).ok()?.repository().cloned()
}

/// Every request below `/v2` that is about neither an upload session nor a token.
pub async fn serve(State(registry): State<Registry>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let target = Target::of(parts.uri.path());
    respond(&registry, &parts, target).await
}

/// Requests for `/v2/` itself.
pub async fn base(State(registry): State<Registry>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    respond(&registry, &parts, Ok(Target::Base)).await
}

async fn respond(registry: &Registry, parts: &Parts, target: Result<Target, Refusal>) -> Response {
    let repository = target.as_ref().ok().and_then(Target::repository).cloned();
    let mut response = match answer(registry, parts, target, repository.as_ref()).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    };
    if response.status() == StatusCode::UNAUTHORIZED {
        let challenge = registry.readers().challenge(&parts.headers, repository.as_ref());
        describe(response.headers_mut(), [(header::WWW_AUTHENTICATE, challenge)]);
    }
    response.headers_mut().insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    response
}

async fn answer(
    registry: &Registry,
    parts: &Parts,
    target: Result<Target, Refusal>,
    repository: Option<&Repository>,
) -> Result<Response, Refusal> {
    if ![Method::GET, Method::HEAD].contains(&parts.method) {
        return Err(Refusal::ReadOnly);
    }
    let sender = Sender::of(&parts.extensions);
    let client = Client::or_anybody(&parts.extensions);
    registry.readers().admit(&Credentials::of(&parts.headers), client, repository, &sender).await?;
    let query = parts.uri.query().unwrap_or_default();
    match target? {
        Target::Base => Ok(axum::Json(serde_json::json!({})).into_response()),
        Target::Manifest(repository, reference) => manifests::get(registry, &repository, &reference).await,
        Target::Blob(repository, digest) => blobs::get(registry, &repository, &digest, parts).await,
        Target::Tags(repository) => tags::list(registry, &repository, query).await,
        Target::Referrers(repository, digest) => referrers::list(registry, &repository, &digest, query).await,
    }
}

/// Puts texts into headers. They are the plane's own; one that could not stand in a header would only go unsaid.
fn describe<const N: usize>(headers: &mut HeaderMap, texts: [(HeaderName, String); N]) {
    for (name, text) in texts {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    }
}

/// The first value of a query's parameter, decoded.
fn parameter(query: &str, name: &str) -> Option<String> {
    url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
