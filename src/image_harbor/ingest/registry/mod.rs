//! Images from registries, over the OCI Distribution API.

mod address;
mod allowed;
mod client;
mod credentials;
#[cfg(test)]
mod tests;

use std::{io, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;

pub use self::allowed::AllowedRegistry;
pub use self::credentials::{PullSecretError, RegistryAuth, registry_auth};
use self::{address::Address, client::Client};
use super::{
    IngestError, Limits,
    intake::{self, ImageSource, Root, Unplanned},
};
use crate::{
    digest::Digest,
    image_harbor::{ByteStream, ImageHarbor},
    release::StoredImage,
};

/// Stores the image that a reference names, with all its platforms. `name` is the container it is for.
///
/// Registries on loopback are spoken to over plain HTTP, others over TLS unless [`Limits::plain_http`] names them.
/// Layers that a descriptor says lie at other URLs are asked of the registry all the same.
pub async fn from_reference(
    harbor: &Arc<dyn ImageHarbor>,
    name: &str,
    reference: &str,
    auth: &RegistryAuth,
    limits: &Limits,
) -> Result<StoredImage, IngestError> {
    let address = Address::parse(reference).map_err(IngestError::ReferenceInvalid)?;
    allowed::admit(&address, &limits.pull_from).map_err(IngestError::ReferenceInvalid)?;
    let client = Client::new(&address, auth, limits)?;
    let found = client.manifest(&address.object, limits.manifest).await?;
    let digest = Digest::of(&found.bytes);
    if let Some(asked) = address.digest.filter(|asked| *asked != digest) {
        return Err(IngestError::ImageInvalid(format!(
            "the registry sent {digest} where {asked} was asked for: it is damaged or was tampered with"
        )));
    }
    let root = Root { digest, size: found.bytes.len() as u64, media_type: found.media_type };
    let source = RegistrySource { client, root: (digest, found.bytes) };
    let plan = match intake::plan(&source, &root, limits).await {
        Ok(plan) => plan,
        Err(Unplanned::Failed(error)) => return Err(error),
        Err(Unplanned::Incomplete(fault)) => return Err(IngestError::ImageInvalid(fault)),
    };
    intake::carry_out(plan, harbor, name, &source, limits).await
}

struct RegistrySource {
    client: Client,
    /// It was read already: a tag is resolved once.
    root: (Digest, Bytes),
}

#[async_trait]
impl ImageSource for RegistrySource {
    fn lacks(&self, _: &Digest) -> bool {
        false
    }

    async fn manifest(&self, digest: &Digest, limit: u64) -> Result<Bytes, IngestError> {
        if *digest == self.root.0 {
            return Ok(self.root.1.clone());
        }
        Ok(self.client.manifest(&digest.to_string(), limit).await?.bytes)
    }

    async fn blob(&self, digest: &Digest) -> Result<ByteStream, IngestError> {
        self.client.blob(digest).await
    }

    fn unsound(&self, fault: String) -> IngestError {
        IngestError::ImageInvalid(fault)
    }

    fn interrupted(&self, error: io::Error) -> IngestError {
        self.client.interrupted(&error)
    }
}
