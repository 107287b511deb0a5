//! Why an image was not taken in, for the person who reads `kubectl describe`.

use crate::{api::reason, image_harbor::HarborError};

/// Why an image was not taken in. Its text says what is wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The archive is no usable image, or not the file that was announced.
    #[error("{0}")]
    ArchiveInvalid(String),
    /// What the registry sent is no usable image, or not what its digests say.
    #[error("{0}")]
    ImageInvalid(String),
    /// The reference cannot name an image, or not one that may be asked for.
    #[error("{0}")]
    ReferenceInvalid(String),
    /// The registry has no such image.
    #[error("{0}")]
    ImageNotFound(String),
    /// The registry refused the credentials, or asks for some.
    #[error("{0}")]
    Unauthorized(String),
    /// The registry does not answer as it should.
    #[error("{0}")]
    RegistryUnavailable(String),
    /// The Image Harbor does not answer as it should.
    #[error("the Image Harbor cannot be used now, the intake goes on when it can: {0}")]
    Store(#[source] HarborError),
}

impl IngestError {
    /// The condition's reason, one of [`crate::api::reason`].
    pub fn reason(&self) -> &'static str {
        match self {
            Self::ArchiveInvalid(_) => reason::ARCHIVE_INVALID,
            Self::ImageInvalid(_) => reason::IMAGE_INVALID,
            Self::ReferenceInvalid(_) => reason::INVALID_SPEC,
            Self::ImageNotFound(_) => reason::IMAGE_NOT_FOUND,
            Self::Unauthorized(_) => reason::REGISTRY_UNAUTHORIZED,
            Self::RegistryUnavailable(_) => reason::REGISTRY_UNAVAILABLE,
            Self::Store(_) => reason::STORE_UNAVAILABLE,
        }
    }

    /// Whether the same call may succeed later although nobody has changed anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::RegistryUnavailable(_) => true,
            Self::Store(error) => !matches!(error, HarborError::Damaged { .. } | HarborError::InvalidName { .. }),
            _ => false,
        }
    }
}
