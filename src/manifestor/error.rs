//! Why there is no chart.

use bytes::Bytes;
use futures::StreamExt;

use crate::{
    digest::Digest,
    image_harbor::{HarborError, ImageHarbor},
};

/// Why the Manifestor could not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum ManifestorError {
    /// The Harbor failed.
    #[error("the image cannot be read: {0}")]
    Harbor(#[from] HarborError),
    /// The image holds something that no chart can be made of.
    #[error("{0}")]
    Image(String),
    /// The release's configuration or workload says something that Kubernetes would refuse.
    #[error("{0}")]
    Spec(String),
}

impl ManifestorError {
    /// Whether trying again can help; otherwise the release itself must change.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Harbor(_))
    }
}

/// The largest manifest or image config that is read, in bytes: what registries accept as a manifest.
const MAX_DOCUMENT: u64 = 4 * 1024 * 1024;

/// A JSON document of the image, whole. `what` names it in errors, as in "image config".
pub(super) async fn read_document(
    harbor: &dyn ImageHarbor,
    digest: &Digest,
    what: &str,
) -> Result<Bytes, ManifestorError> {
    // The stream is counted too: what a store says of a size is not what it sends.
    let too_large =
        || ManifestorError::Image(format!("the {what} {digest} is larger than {} MiB", MAX_DOCUMENT / 1024 / 1024));
    if harbor.stat(digest).await?.is_some_and(|size| size > MAX_DOCUMENT) {
        return Err(too_large());
    }
    let mut stream = harbor.read(digest, None).await?;
    let mut document = Vec::new();
    while let Some(bytes) = stream.next().await {
        let bytes = bytes?;
        if (document.len() + bytes.len()) as u64 > MAX_DOCUMENT {
            return Err(too_large());
        }
        document.extend_from_slice(&bytes);
    }
    Ok(document.into())
}
