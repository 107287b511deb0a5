//! A release: images, configuration and workload of one version of one application, frozen.
//!
//! Its key is `plane/namespace/application@version`; its digest decides whether two uploads are the same.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    api::{ImageSource, Origin, Workload},
    digest::Digest,
};

/// An application of one tenant. Namespaces are tenants: nothing is looked up across them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationKey {
    /// The tenant's Kubernetes namespace.
    pub namespace: String,
    /// The application's name: a DNS-1035 label of at most 40 characters.
    pub application: String,
}

impl ApplicationKey {
    /// The key of `application` in `namespace`.
    pub fn new(namespace: impl Into<String>, application: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), application: application.into() }
    }

    /// The repository under which the application's images, charts and overlays are served: `shop/web`.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.namespace, self.application)
    }
}

impl fmt::Display for ApplicationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.application)
    }
}

/// A cluster that things are deployed to. It is its UID: one that is made anew under the same name is another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRef {
    /// Namespace of its EphemeralCluster.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// Name of its EphemeralCluster.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// UID of its namespace kube-system.
    #[schemars(length(min = 1, max = 64))]
    pub uid: String,
}

impl ClusterRef {
    /// The cluster with this UID that is known as `namespace/name`.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>, uid: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into(), uid: uid.into() }
    }
}

impl fmt::Display for ClusterRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// One platform of a stored image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImagePlatform {
    /// `os/architecture[/variant]`, as in `linux/arm64/v8`.
    pub platform: String,
    /// The platform's image manifest.
    pub manifest: Digest,
    /// The platform's image config, which names the uncompressed layers: the image's identity.
    pub config: Digest,
}

/// An image as the Harbor holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredImage {
    /// The container it is for; `main` when there is one.
    pub name: String,
    /// Digest of the manifest or image index: what a pod's image is pinned to.
    pub digest: Digest,
    /// Media type of what `digest` names.
    pub media_type: String,
    /// Bytes of manifests, configs and layers together.
    pub size: u64,
    /// The platforms it runs on, sorted.
    pub platforms: Vec<ImagePlatform>,
    /// Every blob it consists of, manifests included, sorted: what the application is linked to.
    pub blobs: Vec<Digest>,
}

/// What is frozen once a version is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// Lower-case semantic version without build metadata.
    pub version: String,
    /// [`release_digest`] of the rest.
    pub digest: Digest,
    /// The images; exactly one for now.
    pub images: Vec<StoredImage>,
    /// The application's configuration.
    #[serde(default)]
    pub config: BTreeMap<String, String>,
    /// What the user asked of the workload, as written (the image's own defaults are not in it).
    #[serde(default)]
    pub workload: Workload,
    /// Where each image came from, by its name. No part of the digest: the same image may come by several ways.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, ImageSource>,
    /// Name of the ImageUpload that had it stored: whose retention policy counts. No part of the digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<String>,
}

impl Release {
    /// A release with its digest computed.
    pub fn new(
        application: &str,
        version: &str,
        images: Vec<StoredImage>,
        config: BTreeMap<String, String>,
        workload: Workload,
    ) -> Self {
        let digest = release_digest(application, version, &images, &config, &workload);
        Self { version: version.to_owned(), digest, images, config, workload, sources: BTreeMap::new(), upload: None }
    }
}

/// What a user says of a release and may change later: it is described, not frozen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// Environments the release may go to, sorted.
    pub environments: Vec<String>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The user's own labels for it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Where the code came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// A published chart: `digest` is that of its OCI manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChartRecord {
    /// Digest of the chart's OCI manifest.
    pub digest: Digest,
    /// Digest of the packaged chart (`.tgz`): its OCI layer.
    pub package: Digest,
    /// Bytes of the packaged chart.
    pub size: u64,
    /// Why the workload cannot run under Pod Security "restricted", where it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unrestricted: Option<String>,
}

/// A release as the Chart Store indexes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseRecord {
    /// What is frozen. A purged release keeps only its tombstone.
    pub release: Release,
    /// What the user says of it.
    #[serde(default)]
    pub description: Description,
    /// Its chart, once published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chart: Option<ChartRecord>,
    /// Who had it stored.
    pub actor: String,
    /// When it was stored.
    pub stored_at: Timestamp,
    /// When its data was given up. The version cannot be used again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purged_at: Option<Timestamp>,
}

/// The digest under which a release is the same release: sha256 over RFC 8785 JSON of
/// `{application, version, images: [{name, platforms: [{platform, config}]}], config, workload}`.
///
/// Manifests are left out on purpose: the same image pushed with other compression has the same config
/// (which lists the uncompressed layers), hence is the same release.
pub fn release_digest(
    application: &str,
    version: &str,
    images: &[StoredImage],
    config: &BTreeMap<String, String>,
    workload: &Workload,
) -> Digest {
    let images: Vec<_> = images
        .iter()
        .map(|image| {
            let platforms: Vec<_> = image
                .platforms
                .iter()
                .map(|p| serde_json::json!({"platform": p.platform, "config": p.config}))
                .collect();
            serde_json::json!({"name": image.name, "platforms": platforms})
        })
        .collect();
    Digest::of_canonical(&serde_json::json!({
        "application": application,
        "version": version,
        "images": images,
        "config": config,
        "workload": workload,
    }))
}
