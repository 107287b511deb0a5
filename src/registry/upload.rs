//! The four requests on a blob upload session.
//!
//! What changes something runs as a task of its own: a client that goes away takes its request with it, but not the
//! write that is half done on its behalf.

use axum::{
    body::{Body, HttpBody},
    extract::{Query, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::{
    Registry,
    complete::complete,
    receive::{Announced, receive},
    refusal::Refusal,
    session::{Authorised, Position},
};
use crate::{chart_store::SessionState, digest::Digest};

/// Names the digest of what an answer carries, or has stored.
pub const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// `GET`: how far is it?
pub async fn status(Authorised(session): Authorised) -> Response {
    stands_at(StatusCode::NO_CONTENT, &Position::of(&session, session.offset))
}

/// `PATCH`: the next bytes.
pub async fn append(
    State(registry): State<Registry>,
    Authorised(session): Authorised,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    require_octets(&headers)?;
    let announced = Announced::by(&headers)?;
    let at = to_the_end(async move { receive(&registry, &session, announced, body).await }).await?;
    Ok(stands_at(StatusCode::ACCEPTED, &at))
}

/// The query of a `PUT`.
#[derive(Debug, Deserialize)]
pub struct Completion {
    digest: Option<String>,
}

/// `PUT`: the last bytes, if there are some yet, and that is all. Repeating it changes nothing.
pub async fn finish(
    State(registry): State<Registry>,
    Authorised(session): Authorised,
    Query(completion): Query<Completion>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let asked: Digest = completion.digest.and_then(|text| text.parse().ok()).ok_or(Refusal::DigestMalformed)?;
    if asked != session.expected {
        return Err(Refusal::DigestOther { expected: session.expected, asked });
    }
    let blob = format!("/v2/{}/blobs/{}", session.key.repository(), session.expected);
    let last_bytes = match body.is_end_stream() || session.state == SessionState::Complete {
        true => None,
        false => Some(Announced::by(&headers)?),
    };
    to_the_end(async move {
        if let Some(announced) = last_bytes {
            receive(&registry, &session, announced, body).await?;
        }
        complete(&registry, &session.id).await
    })
    .await?;

    let mut response = StatusCode::CREATED.into_response();
    for (name, text) in [(header::LOCATION, blob), (CONTENT_DIGEST, asked.to_string())] {
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

/// `DELETE`: the sender gives up.
pub async fn cancel(State(registry): State<Registry>, Authorised(session): Authorised) -> Result<StatusCode, Refusal> {
    if session.state == SessionState::Complete {
        return Err(Refusal::AlreadyComplete);
    }
    to_the_end(async move {
        // The session first: without its pieces it would be a promise that cannot be kept.
        registry.sessions().delete_session(&session.id).await?;
        registry.harbor().discard_session(&session.id).await?;
        registry.wake(session.key).await;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// `POST` to where sessions are started elsewhere.
pub async fn start() -> Refusal {
    Refusal::StartUnsupported
}

/// Every other method.
pub async fn unsupported() -> Refusal {
    Refusal::MethodUnsupported
}

fn stands_at(status: StatusCode, at: &Position) -> Response {
    let mut response = status.into_response();
    at.describe(response.headers_mut());
    response
}

fn require_octets(headers: &HeaderMap) -> Result<(), Refusal> {
    match headers.get(header::CONTENT_TYPE) {
        Some(value) if value != "application/octet-stream" => Err(Refusal::MediaType),
        _ => Ok(()),
    }
}

/// Runs `work` to its end, even when nobody waits for it any more.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::spawn(work).await.unwrap_or_else(|stopped| Err(Refusal::Unavailable(stopped.into())))
}
