//! What a request says, or the problem with it.

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{self, FromRequest, FromRequestParts, Request},
    http::{header, request::Parts},
};
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// Bytes of a request's body at most, but for what is uploaded: as many as the API server takes of an object, and more.
pub const MAX_BODY: usize = 1 << 20;

/// The names in the path.
#[derive(Debug)]
pub struct Named<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let extract::Path(names) = extract::Path::from_request_parts(parts, state)
            .await
            .map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
        Ok(Self(names))
    }
}

/// What stands after the question mark.
#[derive(Debug)]
pub struct Asked<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let extract::Query(parameters) =
            extract::Query::from_request_parts(parts, state).await.map_err(|rejection| {
                let text = rejection.body_text();
                // What a program does with it is nobody's business; what is wrong with which parameter is.
                let what = text.split_once("query string: ").map_or(text.as_str(), |(_, what)| what);
                Problem::bad_request(format!("after the question mark: {what}"))
            })?;
        Ok(Self(parameters))
    }
}

/// A body of JSON as it came. What it says may take a hundred times as much memory ([`turns`](super::turns)).
#[derive(Debug)]
pub struct Unread(Bytes);

impl Unread {
    /// The body of a request, if it is JSON of no more than so many bytes.
    ///
    /// # Errors
    /// 413, 415, or 400 where it breaks off.
    pub async fn of(request: Request, most: usize) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.split(';').next().unwrap_or_default().trim() != "application/json" {
            return Err(Problem::unsupported_media_type());
        }
        read(request.into_body(), most).await.map(Self)
    }

    /// What it says.
    ///
    /// # Errors
    /// 400.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.0)
            .map_err(|error| Problem::bad_request(format!("the request's body cannot be read: {error}")))
    }
}

impl<S: Send + Sync> FromRequest<S> for Unread {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        Self::of(request, MAX_BODY).await
    }
}

async fn read(body: Body, most: usize) -> Result<Bytes, Problem> {
    to_bytes(body, most).await.map_err(|error| {
        let too_long = std::error::Error::source(&error).is_some_and(|cause| cause.is::<LengthLimitError>());
        if too_long {
            Problem::too_large(most)
        } else {
            Problem::bad_request("the request's body broke off, or came too slowly")
        }
    })
}

/// A name as Kubernetes takes it, so that nothing else gets into the path of a request to the API server.
///
/// # Errors
/// 400.
pub fn name<'a>(what: &str, text: &'a str) -> Result<&'a str, Problem> {
    let sound = |part: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !part.is_empty() && !part.starts_with('-') && !part.ends_with('-') && part.bytes().all(inner)
    };
    if text.len() <= 253 && text.split('.').all(sound) {
        return Ok(text);
    }
    let shown: String = text.chars().take(80).collect();
    Err(Problem::bad_request(format!(
        "{shown:?} cannot be the name of {what}: such names are of lower-case letters, digits, - and ."
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_kubernetes() {
        for good in ["shop", "web.1.4.0", "a-b", "0"] {
            assert_eq!(name("a namespace", good).unwrap(), good);
        }
        for bad in
            ["", ".", "..", "a/b", "../b", "A", "a_b", "-a", "a-", "a..b", "a%2fb", "a b", "a?b", &"a".repeat(254)]
        {
            assert!(name("a namespace", bad).is_err(), "{bad:?}");
        }
    }
}
