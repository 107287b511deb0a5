//! Why a request is not answered: problem details (RFC 9457).

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

use crate::viewport::ViewportError;

/// A problem, as `application/problem+json`. Its type is always `about:blank`: the status says all there is to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The status in words.
    pub title: String,
    /// What is wrong, and what to do.
    pub detail: String,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or_default().to_owned();
        Self { status: status.as_u16(), title, detail: detail.into() }
    }

    /// The request cannot be understood.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// What is asked for is not there.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// There is nothing under this path.
    pub fn no_such_resource() -> Self {
        Self::not_found("there is nothing under this path")
    }

    /// Another method than GET.
    pub fn read_only() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "this can only be read: use GET")
    }

    /// It comes from another machine, or was sent under another name.
    pub fn not_from_here() -> Self {
        let detail = "the plane answers only its own machine so far: forward its port (kubectl port-forward) and ask \
                      http://127.0.0.1:PORT";
        Self::new(StatusCode::FORBIDDEN, detail)
    }
}

impl From<ViewportError> for Problem {
    fn from(error: ViewportError) -> Self {
        if let ViewportError::Continue(_) = &error {
            return Self::bad_request(error.to_string());
        }
        // The log says which database and what it said; who asks need not know where it is.
        tracing::warn!("a question to the Viewport was not answered: {error}");
        let detail =
            "the Viewport does not answer: try again in a moment. What is recorded is safe, and releases go on";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}
