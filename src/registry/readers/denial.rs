//! Why somebody may not read.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

/// Why somebody may not read. None of these says whether there is what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Denial {
    /// There are no credentials.
    #[error("credentials are needed: log in with any user name and a Kubernetes token as password")]
    Missing,
    /// Nobody knows these credentials.
    #[error("the credentials are wrong or no longer good")]
    Wrong,
    /// They were good.
    #[error("the token has expired: ask /v2/token for another one")]
    Expired,
    /// The token was given out for something else.
    #[error("the token is for other repositories: ask /v2/token for one for this")]
    OtherScope,
    /// They are good, but not for this.
    #[error(
        "these credentials do not open this repository: it takes the right to get the subresource content of its kind in its namespace"
    )]
    Forbidden,
    /// Too many wrong ones came from there.
    #[error("too many wrong credentials came from this address: wait a moment")]
    TooManyGuesses {
        /// How long.
        wait: Duration,
    },
    /// Whoever would know does not answer; the log says more.
    #[error("credentials cannot be checked now: try again in a moment")]
    Unavailable(#[source] anyhow::Error),
}

impl Denial {
    /// Its HTTP status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Missing | Self::Wrong | Self::Expired | Self::OtherScope => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::TooManyGuesses { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The spec's error code (distribution-spec 1.1, "Error Codes"; UNAVAILABLE is distribution's own).
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing | Self::Wrong | Self::Expired | Self::OtherScope => "UNAUTHORIZED",
            Self::Forbidden => "DENIED",
            Self::TooManyGuesses { .. } => "TOOMANYREQUESTS",
            Self::Unavailable(_) => "UNAVAILABLE",
        }
    }

    /// What the answer's headers say of it, and the log of what is not for the client.
    pub fn describe(&self, headers: &mut HeaderMap) {
        match self {
            Self::TooManyGuesses { wait } => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
            }
            Self::Unavailable(cause) => {
                tracing::warn!("credentials could not be checked: {cause:#}");
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
            }
            _ => {}
        }
    }
}
