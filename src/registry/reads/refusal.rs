//! Why something is not given to read, as the OCI distribution-spec says it.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{
    chart_store::ChartStoreError,
    digest::InvalidDigest,
    image_harbor::HarborError,
    registry::{readers::Denial, refusal::errors, repository::InvalidRepository},
};

/// Why something is not given to read.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Whoever asks may not.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// There is nothing of this kind.
    #[error("there is nothing under this path: it is neither a manifest, a blob, a list of tags nor one of referrers")]
    PathUnknown,
    /// No repository can have this name.
    #[error(transparent)]
    NameInvalid(#[from] InvalidRepository),
    /// Nothing was ever stored under this name.
    #[error("nothing is stored under this name")]
    NameUnknown,
    /// The repository has no such manifest.
    #[error("the repository has no such tag or manifest")]
    ManifestUnknown,
    /// The repository has no such blob.
    #[error("the repository has no such blob")]
    BlobUnknown,
    /// It is no digest.
    #[error(transparent)]
    DigestInvalid(InvalidDigest),
    /// The blob is shorter.
    #[error("none of these bytes are there: the blob has {size}")]
    OutOfRange {
        /// Bytes of the blob.
        size: u64,
    },
    /// `n` is no number.
    #[error("the query parameter n says how many tags to list: a number")]
    PageSizeInvalid,
    /// Nothing is written here.
    #[error(
        "this registry is read only: images come in with an ImageUpload (`orbit upload`), charts and overlays are the plane's own"
    )]
    ReadOnly,
    /// A store does not answer, or has lost something; the log says which and what.
    #[error("a store of the plane does not answer: try again in a moment")]
    Unavailable(#[source] anyhow::Error),
}

impl Refusal {
    /// Its HTTP status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Denied(denial) => denial.status(),
            Self::PathUnknown
            | Self::NameInvalid(_)
            | Self::NameUnknown
            | Self::ManifestUnknown
            | Self::BlobUnknown => StatusCode::NOT_FOUND,
            Self::DigestInvalid(_) | Self::PageSizeInvalid => StatusCode::BAD_REQUEST,
            Self::OutOfRange { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::ReadOnly => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The spec's error code; those for pages, ranges and outages are distribution's own.
    fn code(&self) -> &'static str {
        match self {
            Self::Denied(denial) => denial.code(),
            Self::PathUnknown | Self::ReadOnly => "UNSUPPORTED",
            Self::NameInvalid(_) => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::DigestInvalid(_) => "DIGEST_INVALID",
            Self::OutOfRange { .. } => "RANGE_INVALID",
            Self::PageSizeInvalid => "PAGINATION_NUMBER_INVALID",
            Self::Unavailable(_) => "UNAVAILABLE",
        }
    }
}

impl From<ChartStoreError> for Refusal {
    fn from(error: ChartStoreError) -> Self {
        Self::Unavailable(error.into())
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
            tracing::warn!("a read from the registry was not answered: {cause:#}");
        }
        let mut response = errors(self.status(), self.code(), &self.to_string(), None);
        let headers = response.headers_mut();
        match &self {
            Self::OutOfRange { size } => {
                let value = HeaderValue::from_str(&format!("bytes */{size}"));
                headers.extend(value.ok().map(|value| (header::CONTENT_RANGE, value)));
            }
            Self::ReadOnly => {
                headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            }
            Self::Denied(denial) => denial.describe(headers),
            Self::Unavailable(_) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
            }
            _ => {}
        }
        response
    }
}
