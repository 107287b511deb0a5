//! Why a request is refused, as the OCI distribution-spec says it: `{"errors": [{code, message, detail}]}`.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{content_range::InvalidContentRange, session::Position};
use crate::{chart_store::ChartStoreError, digest::Digest, image_harbor::HarborError};

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The request says nothing about who may send.
    #[error("the upload key is missing: send it as Authorization: Bearer <upload key>")]
    KeyMissing,
    /// The key is another one.
    #[error("the upload key is not the one that the ImageUpload's annotation orbit.k8or.io/upload-key-sha256 names")]
    KeyWrong,
    /// No session of this repository has this id.
    #[error(
        "this upload session is unknown: it never was, has ended or has expired; status.upload.url of the ImageUpload names the one to use"
    )]
    SessionUnknown,
    /// Sessions are opened by an ImageUpload.
    #[error(
        "uploads are not started here: create an ImageUpload (`orbit upload` does), its status.upload.url is the upload session"
    )]
    StartUnsupported,
    /// The protocol has no such method here.
    #[error("an upload session answers to GET, PATCH, PUT and DELETE only")]
    MethodUnsupported,
    /// The range header cannot be read.
    #[error(transparent)]
    RangeMalformed(#[from] InvalidContentRange),
    /// The bytes are not the next ones.
    #[error("the request carries bytes from offset {first} on, but {} comes next", .at.offset)]
    OutOfOrder {
        /// Offset of the first byte of the request.
        first: u64,
        /// Where the session stands.
        at: Position,
    },
    /// There would be more bytes than announced.
    #[error("the archive was announced with {size} bytes, the request goes beyond them")]
    TooLong {
        /// Bytes the session was opened for.
        size: u64,
        /// Where the session stands.
        at: Position,
    },
    /// The body is not as long as its headers say. What came of it is kept.
    #[error("the request announced {announced} bytes and carried {carried}")]
    LengthWrong {
        /// Bytes its headers announced.
        announced: u64,
        /// Bytes it carried.
        carried: u64,
        /// Where the session stands.
        at: Position,
    },
    /// The body ended in the middle. What came of it is kept.
    #[error("the request's body was cut off")]
    CutOff {
        /// Where the session stands.
        at: Position,
    },
    /// The body came too slowly. What came of it is kept.
    #[error("the request's body came too slowly")]
    TooSlow {
        /// Where the session stands.
        at: Position,
    },
    /// The body is of another type.
    #[error("chunks are sent with Content-Type: application/octet-stream")]
    MediaType,
    /// The upload cannot be completed before all is there.
    #[error("only {} of {size} bytes have arrived", .at.offset)]
    Incomplete {
        /// Bytes the session was opened for.
        size: u64,
        /// Where the session stands.
        at: Position,
    },
    /// `?digest=` is missing or no digest.
    #[error("the query parameter digest is needed to complete an upload, as in ?digest=sha256:<64 hex>")]
    DigestMalformed,
    /// `?digest=` is not what the session was opened for.
    #[error("the upload session is for {expected}, not for {asked}")]
    DigestOther {
        /// What the session was opened for.
        expected: Digest,
        /// What the request asks for.
        asked: Digest,
    },
    /// The bytes are not what was announced. They are forgotten.
    #[error("the bytes that arrived are {actual}, but {expected} was announced; the upload starts over")]
    ContentWrong {
        /// What the session was opened for.
        expected: Digest,
        /// What arrived.
        actual: Digest,
        /// Where the session stands now: at the beginning.
        at: Position,
    },
    /// Bytes that were acknowledged are no longer there. The rest is forgotten.
    #[error("bytes that had arrived were lost; the upload starts over")]
    ContentLost {
        /// Where the session stands now: at the beginning.
        at: Position,
    },
    /// A completed upload stays.
    #[error("the upload is complete and can no longer be cancelled")]
    AlreadyComplete,
    /// Enough others are sending.
    #[error("too many uploads are under way: try again in a moment")]
    Busy,
    /// A store does not answer; the log says which.
    #[error("a store of the plane does not answer: try again in a moment")]
    Unavailable(#[source] anyhow::Error),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::KeyMissing | Self::KeyWrong => StatusCode::UNAUTHORIZED,
            Self::SessionUnknown | Self::AlreadyComplete => StatusCode::NOT_FOUND,
            Self::StartUnsupported | Self::MethodUnsupported => StatusCode::METHOD_NOT_ALLOWED,
            Self::OutOfOrder { .. } | Self::Incomplete { .. } | Self::ContentLost { .. } => {
                StatusCode::RANGE_NOT_SATISFIABLE
            }
            Self::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RangeMalformed(_)
            | Self::LengthWrong { .. }
            | Self::CutOff { .. }
            | Self::DigestMalformed
            | Self::DigestOther { .. }
            | Self::ContentWrong { .. } => StatusCode::BAD_REQUEST,
            Self::TooSlow { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The spec's error code (distribution-spec 1.1, "Error Codes"; UNAVAILABLE is distribution's own).
    fn code(&self) -> &'static str {
        match self {
            Self::KeyMissing | Self::KeyWrong => "UNAUTHORIZED",
            Self::SessionUnknown | Self::AlreadyComplete => "BLOB_UPLOAD_UNKNOWN",
            Self::StartUnsupported | Self::MethodUnsupported => "UNSUPPORTED",
            Self::OutOfOrder { .. }
            | Self::Incomplete { .. }
            | Self::RangeMalformed(_)
            | Self::CutOff { .. }
            | Self::TooSlow { .. }
            | Self::MediaType
            | Self::ContentLost { .. } => "BLOB_UPLOAD_INVALID",
            Self::TooLong { .. } | Self::LengthWrong { .. } => "SIZE_INVALID",
            Self::DigestMalformed | Self::DigestOther { .. } | Self::ContentWrong { .. } => "DIGEST_INVALID",
            Self::Busy => "TOOMANYREQUESTS",
            Self::Unavailable(_) => "UNAVAILABLE",
        }
    }

    /// Where the session stands, for the refusals after which a client goes on from there.
    fn position(&self) -> Option<&Position> {
        match self {
            Self::OutOfOrder { at, .. }
            | Self::TooLong { at, .. }
            | Self::LengthWrong { at, .. }
            | Self::CutOff { at }
            | Self::TooSlow { at }
            | Self::Incomplete { at, .. }
            | Self::ContentWrong { at, .. }
            | Self::ContentLost { at } => Some(at),
            _ => None,
        }
    }
}

/// An answer with one error, in the spec's words.
pub fn errors(status: StatusCode, code: &str, message: &str, detail: Option<Value>) -> Response {
    let body = json!({"errors": [{"code": code, "message": message, "detail": detail}]});
    (status, Json(body)).into_response()
}

impl From<ChartStoreError> for Refusal {
    fn from(error: ChartStoreError) -> Self {
        match error {
            // Cancelled, or taken by its ImageUpload's next version, while this request was being answered.
            ChartStoreError::SessionUnknown { .. } => Self::SessionUnknown,
            other => Self::Unavailable(other.into()),
        }
    }
}

impl From<HarborError> for Refusal {
    fn from(error: HarborError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        if let Self::Unavailable(cause) = &self {
            tracing::warn!("a blob upload was put off: {cause:#}");
        }
        let detail = self.position().map(|at| json!({"offset": at.offset}));
        let mut response = errors(self.status(), self.code(), &self.to_string(), detail);
        let headers = response.headers_mut();
        if let Some(at) = self.position() {
            at.describe(headers);
        }
        match self.status() {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer realm="orbit-upload""#));
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
            }
            _ => {}
        }
        response
    }
}
