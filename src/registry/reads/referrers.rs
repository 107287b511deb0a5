//! What refers to a manifest: attestations and signatures that came with an image.
//!
//! Charts and overlays of the plane refer to nothing, so that only images are looked through. What a stored manifest
//! says never changes, and is looked at once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    http::{HeaderName, header},
    response::{IntoResponse, Response},
};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    describe,
    manifests::{self, INDEX},
    parameter,
    refusal::Refusal,
};
use crate::{
    digest::Digest,
    registry::{
        Registry,
        repository::{Collection, Repository},
    },
};

const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
/// Manifests that are read at the same time.
const AT_ONCE: usize = 8;
/// Images that are remembered at most; most have nothing that refers to anything, and take a few bytes.
const MAX_KNOWN: usize = 16_384;

/// A manifest that refers to another one.
#[derive(Debug)]
pub struct Referrer {
    subject: Digest,
    artifact_type: Option<String>,
    descriptor: Value,
}

/// What refers to something in the images that were looked at, by the digest of the image.
#[derive(Debug, Default)]
pub struct Known(Mutex<HashMap<Digest, Arc<[Referrer]>>>);

impl Known {
    fn get(&self, image: &Digest) -> Option<Arc<[Referrer]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(image).cloned()
    }

    fn keep(&self, image: Digest, referrers: Arc<[Referrer]>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(image, referrers);
    }
}

/// What is looked at in a manifest or index.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    artifact_type: Option<String>,
    config: Option<Described>,
    subject: Option<Described>,
    #[serde(default)]
    manifests: Vec<Described>,
    annotations: Option<Map<String, Value>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    #[serde(default)]
    media_type: String,
    digest: String,
}

/// `GET` of the referrers: an index that may be empty, whether or not there is what they refer to.
pub async fn list(
    registry: &Registry,
    repository: &Repository,
    subject: &Digest,
    query: &str,
) -> Result<Response, Refusal> {
    let wanted = parameter(query, "artifactType");
    let mut found = match repository.collection {
        Collection::Images => of_images(registry, repository, subject).await?,
        _ => Vec::new(),
    };
    if let Some(wanted) = &wanted {
        found.retain(|(artifact_type, _)| artifact_type.as_ref() == Some(wanted));
    }
    let descriptors: Vec<Value> = found.into_iter().map(|(_, descriptor)| descriptor).collect();
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": descriptors}).to_string();
    let mut response = index.into_response();
    describe(response.headers_mut(), [(header::CONTENT_TYPE, INDEX.to_owned())]);
    if wanted.is_some() {
        describe(response.headers_mut(), [(FILTERS_APPLIED, "artifactType".to_owned())]);
    }
    Ok(response)
}

/// The manifests of all standing releases that refer to `subject`, each once, with their artifact types.
async fn of_images(
    registry: &Registry,
    repository: &Repository,
    subject: &Digest,
) -> Result<Vec<(Option<String>, Value)>, Refusal> {
    let records = registry.chart_store().all_releases(&repository.key).await?;
    let standing = records.iter().filter(|record| record.purged_at.is_none());
    let mut images: Vec<Digest> =
        standing.flat_map(|record| record.release.images.iter().map(|image| image.digest)).collect();
    images.sort();
    images.dedup();
    let looked_at: Vec<Arc<[Referrer]>> = stream::iter(images)
        .map(|image| async move { of_image(registry, repository, image).await })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let mut found: Vec<(Option<String>, Value)> = Vec::new();
    for referrer in looked_at.iter().flat_map(|referrers| referrers.iter()).filter(|it| it.subject == *subject) {
        if found.iter().all(|(_, descriptor)| descriptor["digest"] != referrer.descriptor["digest"]) {
            found.push((referrer.artifact_type.clone(), referrer.descriptor.clone()));
        }
    }
    Ok(found)
}

/// What of an image, its index and all manifests in it, refers to something.
async fn of_image(registry: &Registry, repository: &Repository, image: Digest) -> Result<Arc<[Referrer]>, Refusal> {
    if let Some(known) = registry.known_referrers().get(&image) {
        return Ok(known);
    }
    let mut referrers = Vec::new();
    let mut remaining = vec![image];
    let mut whole = true;
    while let Some(digest) = remaining.pop() {
        let Some(bytes) = manifests::read(registry, repository, &digest).await? else {
            // It may come back: an administrator restores what was lost.
            whole &= digest != image;
            continue;
        };
        let Ok(document) = serde_json::from_slice::<Document>(&bytes) else { continue };
        if digest == image {
            remaining.extend(document.manifests.iter().filter_map(|manifest| manifest.digest.parse::<Digest>().ok()));
        }
        referrers.extend(referrer(&bytes, digest, document));
    }
    let referrers: Arc<[Referrer]> = referrers.into();
    if whole {
        registry.known_referrers().keep(image, referrers.clone());
    }
    Ok(referrers)
}

/// A manifest as one that refers to another one, if it is such a one.
fn referrer(bytes: &[u8], digest: Digest, document: Document) -> Option<Referrer> {
    let subject = document.subject?.digest.parse().ok()?;
    let (media_type, _) = manifests::kind(bytes)?;
    // An image manifest without a type of its own is of its config's type (distribution-spec 1.1, "Listing Referrers").
    let artifact_type = document.artifact_type.or(document.config.map(|config| config.media_type));
    let mut descriptor = json!({"mediaType": media_type, "digest": digest, "size": bytes.len()});
    if let Some(artifact_type) = &artifact_type {
        descriptor["artifactType"] = json!(artifact_type);
    }
    if let Some(annotations) = document.annotations {
        descriptor["annotations"] = Value::Object(annotations);
    }
    Some(Referrer { subject, artifact_type, descriptor })
}
