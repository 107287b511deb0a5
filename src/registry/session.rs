//! Which session a request is about, and whether it may touch it.

use axum::{
    extract::{FromRequestParts, Path},
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
};
use jiff::Timestamp;
use serde::Deserialize;

use super::{Registry, content_range::received_range, refusal::Refusal};
use crate::{chart_store::UploadSession, digest::Digest, release::ApplicationKey, requests::Sender};

/// How many bytes of the blob are durable: what `Range` says, without its ambiguity at the beginning.
pub const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("orbit-upload-offset");
/// The session's id, as docker clients know it.
const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// What the history calls whoever holds an upload key and is not signed in.
const UPLOAD_KEY_HOLDER: &str = "orbit:upload-key";

/// Longest session id that is looked up at all.
const MAX_ID: usize = 128;

/// Where a session stands: what a client needs in order to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    location: String,
    id: String,
    /// Bytes that are durable.
    pub offset: u64,
}

impl Position {
    /// `offset` bytes of this session are durable.
    pub fn of(session: &UploadSession, offset: u64) -> Self {
        let location = format!("/v2/{}/blobs/uploads/{}", session.key.repository(), session.id);
        Self { location, id: session.id.clone(), offset }
    }

    /// The same session, further on or elsewhere.
    pub fn moved_to(self, offset: u64) -> Self {
        Self { offset, ..self }
    }

    /// Writes it as headers: `Location`, `Range`, `Docker-Upload-UUID` and `Orbit-Upload-Offset`.
    pub fn describe(&self, headers: &mut HeaderMap) {
        headers.insert(UPLOAD_OFFSET, HeaderValue::from(self.offset));
        for (name, text) in [
            (header::LOCATION, self.location.as_str()),
            (header::RANGE, received_range(self.offset).as_str()),
            (UPLOAD_UUID, self.id.as_str()),
        ] {
            // Ids are the plane's own and of URL characters; one that were not would only go unsaid.
            if let Ok(value) = HeaderValue::from_str(text) {
                headers.insert(name, value);
            }
        }
    }
}

/// The session that a request names, held by somebody with its key.
///
/// The key is compared by its hash, in constant time, and neither kept nor logged. A session is found only under the
/// path of its own namespace and application: a key for one tenant opens nothing of another.
#[derive(Debug)]
pub struct Authorised(pub UploadSession);

#[derive(Deserialize)]
struct SessionPath {
    namespace: String,
    application: String,
    session: String,
}

impl FromRequestParts<Registry> for Authorised {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, registry: &Registry) -> Result<Self, Refusal> {
        let key_hash = bearer_key_hash(&parts.headers).ok_or(Refusal::KeyMissing)?;
        let Path(path) =
            Path::<SessionPath>::from_request_parts(parts, registry).await.map_err(|_| Refusal::SessionUnknown)?;
        if !is_session_id(&path.session) {
            return Err(Refusal::SessionUnknown);
        }
        let session = registry.sessions().session(&path.session).await?.ok_or(Refusal::SessionUnknown)?;
        let repository = ApplicationKey::new(path.namespace, path.application);
        if session.key != repository || session.expires_at <= Timestamp::now() {
            return Err(Refusal::SessionUnknown);
        }
        if !equal_in_constant_time(&key_hash, &session.key_hash) {
            return Err(Refusal::KeyWrong);
        }
        // Who that is, nobody knows; on the portal somebody is signed in.
        Sender::of(&parts.extensions).is(UPLOAD_KEY_HOLDER);
        Ok(Self(session))
    }
}

/// What the Harbor, too, takes for a session's name.
fn is_session_id(text: &str) -> bool {
    text.len() <= MAX_ID
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// The sha256 of the key in `Authorization: Bearer <key>`; the scheme is case-insensitive (RFC 9110, 11.1).
fn bearer_key_hash(headers: &HeaderMap) -> Option<Digest> {
    let (scheme, key) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then(|| Digest::of(key))
}

/// Compares digests of secrets; how long it takes does not tell how much of them is the same.
pub fn equal_in_constant_time(a: &Digest, b: &Digest) -> bool {
    let (a, b) = (a.hex(), b.hex());
    let difference = a.bytes().zip(b.bytes()).fold(0, |difference, (a, b)| difference | (a ^ b));
    std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authorization(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))])
    }

    #[test]
    fn reads_a_bearer_key_and_nothing_else() {
        assert_eq!(bearer_key_hash(&authorization("Bearer abc")), Some(Digest::of("abc")));
        assert_eq!(bearer_key_hash(&authorization("bearer  abc")), Some(Digest::of("abc")));
        for value in ["Bearer ", "Bearer", "Basic abc", "abc", ""] {
            assert_eq!(bearer_key_hash(&authorization(value)), None, "{value:?}");
        }
        assert_eq!(bearer_key_hash(&HeaderMap::new()), None);
    }

    #[test]
    fn compares_hashes() {
        assert!(equal_in_constant_time(&Digest::of("a"), &Digest::of("a")));
        assert!(!equal_in_constant_time(&Digest::of("a"), &Digest::of("b")));
    }

    #[test]
    fn looks_up_only_what_can_be_an_id() {
        assert!(is_session_id("0c9e4a2e-6d0f-4c4e-b6d5-1f7d3f1f1a11"));
        for text in ["", "..", "../x", "a/b", "-a", "a%2fb", &"a".repeat(MAX_ID + 1)] {
            assert!(!is_session_id(text), "{text:?}");
        }
    }
}
