//! Why a request is not answered: problem details (RFC 9457).

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{conflict::Changed, visitor::Rejected};
use crate::{
    chart_store::ChartStoreError, comparison::stored::NotThere, image_harbor::HarborError,
    overlay::renderer::RenderError, viewport::ViewportError,
};

/// A problem, as `application/problem+json`. Its type is always `about:blank`: the status says all there is to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The status in words.
    pub title: String,
    /// What is wrong, and what to do.
    pub detail: String,
    /// With 412: where what was sent and what is there differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<Changed>,
    /// Seconds after which to try again.
    #[serde(skip)]
    wait: Option<u64>,
    /// Whether the API server no longer knows whoever is signed in.
    #[serde(skip)]
    ends_session: bool,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or_default().to_owned();
        let (changed, wait, ends_session) = (Vec::new(), None, false);
        Self { status: status.as_u16(), title, detail: detail.into(), changed, wait, ends_session }
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

    /// A method that is not answered here.
    pub fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "this cannot be done here: /api/v1/openapi.json says what can")
    }

    /// The request is of another type than JSON.
    pub fn unsupported_media_type() -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send JSON, with Content-Type: application/json")
    }

    /// The request is longer than it may be.
    pub fn too_large(most: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the request is longer than {most} bytes"))
    }

    /// Whoever it is may not do it.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// There is no session, whether or not there was one.
    pub fn not_signed_in() -> Self {
        Self::unauthorized(
            "sign in first: on the portal's page /sign-in, with POST /api/v1/session, or with a Kubernetes token in every request (Authorization: Bearer TOKEN)",
        )
    }

    /// The credentials are not good.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// Somebody sends too much.
    pub fn too_many_requests(wait: Duration) -> Self {
        let seconds = wait.as_secs_f32().ceil() as u64;
        let detail = format!("too many requests: try again in {} s", seconds.max(1));
        Self { wait: Some(seconds.max(1)), ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }

    /// Too many requests wait for their turn.
    pub fn too_many_at_once() -> Self {
        let detail = "too much is being asked at once: try again in a moment";
        Self { wait: Some(2), ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }

    /// A session has too many event streams open.
    pub fn too_many_streams_of_session() -> Self {
        let detail = "this session watches in too many places at once: close some of the portal's pages";
        Self { wait: Some(15), ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }

    /// All together have too many event streams open.
    pub fn too_many_streams() -> Self {
        let detail =
            "too many pages are open at once, of all who are signed in: this one is not told of changes for now";
        Self { wait: Some(30), ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }

    /// What the API server has is more than is shown.
    pub fn too_large_to_show() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "this object is too large to be shown: kubectl shows it")
    }

    /// What is to be replaced has to be named with its version.
    pub fn precondition_required() -> Self {
        let detail = "say which version this replaces: send the ETag of the object that it was made from as If-Match";
        Self::new(StatusCode::PRECONDITION_REQUIRED, detail)
    }

    /// Somebody else was there before.
    pub fn changed_since(changed: Vec<Changed>) -> Self {
        let detail = "somebody has changed this object since you read it; nothing was written. Read it again, and send what you want to stand with its new ETag";
        Self { changed, ..Self::new(StatusCode::PRECONDITION_FAILED, detail) }
    }

    /// Something that the plane needs does not answer.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self { wait: Some(5), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// What the stores do not hold is not there; that they, or the renderer, do not answer says nothing of it.
    pub fn of_stores(error: anyhow::Error) -> Self {
        if error.chain().any(|cause| cause.is::<ChartStoreError>() || cause.is::<HarborError>()) {
            tracing::warn!("a store did not answer the portal: {error:#}");
            return Self::unavailable("a store of the plane does not answer: try again in a moment");
        }
        if error.chain().any(|cause| cause.is::<NotThere>()) {
            return Self::not_found(format!("{error:#}"));
        }
        // What the renderer refuses is in what the user stored, and so is what she can read of it.
        if let Some(RenderError::Refused(why)) = error.downcast_ref() {
            return Self::new(StatusCode::UNPROCESSABLE_ENTITY, why.to_string());
        }
        tracing::warn!("something stored could not be shown: {error:#}");
        Self::unavailable("the plane could not make this of what it has stored; its log says why")
    }

    /// What the API server says to a user, in its own words; its failures are the log's.
    pub fn of_api_server(error: kube::Error) -> Self {
        let kube::Error::Api(said) = error else {
            tracing::warn!("the API server did not answer the portal: {error}");
            return Self::unavailable("the API server does not answer: try again in a moment");
        };
        match StatusCode::from_u16(said.code) {
            Ok(StatusCode::UNAUTHORIZED) => {
                let detail = "the API server does not know you any more: sign in again";
                Self { ends_session: true, ..Self::unauthorized(detail) }
            }
            // Of a page that is too old to go on from.
            Ok(StatusCode::GONE) => Self::bad_request("continue is too old: begin without it"),
            Ok(status) if status.is_client_error() => Self::new(status, said.message),
            _ => {
                tracing::warn!("the API server failed the portal: {}", said.message);
                Self::unavailable("the API server does not answer: try again in a moment")
            }
        }
    }

    /// This program was built without the application.
    pub fn without_application() -> Self {
        let detail = "this orbit was built without the portal's application: build it with make portal, then orbit itself anew. The API is there: /api/v1/openapi.json";
        Self::new(StatusCode::NOT_IMPLEMENTED, detail)
    }
}

impl From<ViewportError> for Problem {
    fn from(error: ViewportError) -> Self {
        if let ViewportError::Continue(_) = &error {
            return Self::bad_request(error.to_string());
        }
        // The log says which database and what it said; who asks need not know where it is.
        tracing::warn!("a question to the Viewport was not answered: {error}");
        Self::unavailable(
            "the Viewport does not answer: try again in a moment. What is recorded is safe, and releases go on",
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let (wait, ends_session) = (self.wait, self.ends_session);
        let mut response = (status, Json(self)).into_response();
        if ends_session {
            response.extensions_mut().insert(Rejected);
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = wait {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            // RFC 9110, 15.5.2: what would be taken is said. Browsers ask nobody for such a token.
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::PAYLOAD_TOO_LARGE {
            // The rest is not read, so that nothing can follow it.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
