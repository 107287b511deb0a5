//! Manifests, byte for byte as they were stored.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, de::IgnoredAny};

use super::{describe, refusal::Refusal, target::Reference};
use crate::{
    digest::Digest,
    image_harbor::{self, HarborError},
    registry::{
        Registry,
        repository::{Collection, Repository},
        upload::CONTENT_DIGEST,
    },
};

/// The largest manifest there is (distribution-spec 1.1, "Pushing Manifests").
pub const MAX_MANIFEST: u64 = 4 << 20;

/// Media type of an index of manifests.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// What is looked at in a manifest or index.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    media_type: Option<String>,
    config: Option<Config>,
    manifests: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    media_type: String,
}

/// What a document is, if it is a manifest or an index: its media type, and where it belongs.
pub fn kind(document: &[u8]) -> Option<(String, Collection)> {
    let shape: Shape = serde_json::from_slice(document).ok()?;
    let media_type = match (shape.media_type, &shape.config, &shape.manifests) {
        // The OCI types need not be said in the document.
        (None, Some(_), None) => MANIFEST.to_owned(),
        (None, None, Some(_)) => INDEX.to_owned(),
        (Some(media_type), config, manifests) if config.is_some() != manifests.is_some() => media_type,
        _ => return None,
    };
    let collection = match shape.config.as_ref().map(|config| config.media_type.as_str()) {
        Some(crate::manifestor::CONFIG_MEDIA_TYPE) => Collection::Charts,
        Some(crate::overlay::artifact::CONFIG) => Collection::Overlays,
        _ => Collection::Images,
    };
    Some((media_type, collection))
}

/// `GET` or `HEAD` of a manifest.
pub async fn get(registry: &Registry, repository: &Repository, reference: &Reference) -> Result<Response, Refusal> {
    let digest = match reference {
        Reference::Digest(digest) => Some(*digest),
        Reference::Tag(tag) => tagged(registry, repository, tag).await?,
    };
    let digest = digest.ok_or(Refusal::ManifestUnknown)?;
    let document = read(registry, repository, &digest).await?.ok_or(Refusal::ManifestUnknown)?;
    let (media_type, _) =
        kind(&document).filter(|(_, is)| *is == repository.collection).ok_or(Refusal::ManifestUnknown)?;
    let length = document.len().to_string();
    let mut response = document.into_response();
    describe(
        response.headers_mut(),
        [(header::CONTENT_TYPE, media_type), (header::CONTENT_LENGTH, length), (CONTENT_DIGEST, digest.to_string())],
    );
    Ok(response)
}

/// A small document that the repository's application is linked to, verified; none where there is no such one.
pub async fn read(registry: &Registry, repository: &Repository, digest: &Digest) -> Result<Option<Vec<u8>>, Refusal> {
    if !registry.chart_store().is_linked(&repository.key, digest).await? {
        return Ok(None);
    }
    match image_harbor::read_to_vec(registry.harbor(), digest, MAX_MANIFEST).await {
        Ok(document) => Ok(Some(document)),
        Err(HarborError::NotFound(_) | HarborError::TooLarge { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What a tag means now.
async fn tagged(registry: &Registry, repository: &Repository, tag: &str) -> Result<Option<Digest>, Refusal> {
    let (store, key) = (registry.chart_store(), &repository.key);
    if repository.collection == Collection::Overlays {
        let record = store.environment(key, tag).await?.filter(|record| !record.removed);
        return Ok(record.and_then(|record| record.rendered).map(|rendered| rendered.artifact));
    }
    let record = store.release(key, tag).await?.filter(|record| record.purged_at.is_none());
    Ok(record.and_then(|record| match repository.collection {
        Collection::Charts => record.chart.map(|chart| chart.digest),
        _ => record.release.images.first().map(|image| image.digest),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_a_document_is() {
        let config = |media_type: &str| format!(r#"{{"config":{{"mediaType":"{media_type}"}},"layers":[]}}"#);
        for (document, expected) in [
            (config("application/vnd.oci.image.config.v1+json"), Some((MANIFEST, Collection::Images))),
            (config("application/vnd.cncf.helm.config.v1+json"), Some((MANIFEST, Collection::Charts))),
            (config("application/vnd.cncf.flux.config.v1+json"), Some((MANIFEST, Collection::Overlays))),
            (r#"{"manifests":[]}"#.to_owned(), Some((INDEX, Collection::Images))),
            (
                r#"{"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[]}"#
                    .to_owned(),
                Some(("application/vnd.docker.distribution.manifest.list.v2+json", Collection::Images)),
            ),
            (r#"{"mediaType":"x"}"#.to_owned(), None),
            ("{}".to_owned(), None),
            ("not JSON".to_owned(), None),
        ] {
            let found = kind(document.as_bytes());
            let found = found.as_ref().map(|(media_type, collection)| (media_type.as_str(), *collection));
            assert_eq!(found, expected, "{document}");
        }
    }
}
