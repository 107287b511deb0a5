//! `ImageUpload`: a container image with what its owner says of it. One object, one release after the other.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Condition, Workload, schema};
use crate::digest::Digest;

/// Asks the plane to take in an image as one version of an application.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "orbit.k8or.io",
    version = "v1alpha1",
    kind = "ImageUpload",
    namespaced,
    status = "ImageUploadStatus",
    derive = "PartialEq",
    shortname = "iu",
    category = "orbit",
    doc = "A container image with what its owner says of it. Each new spec.version is a new release.",
    cel,
    printcolumn(name = "Application", type_ = "string", json_path = ".spec.application"),
    printcolumn(name = "Version", type_ = "string", json_path = ".spec.version"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Status", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#),
    printcolumn(name = "Release", type_ = "string", json_path = ".status.release.digest", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("!has(oldSelf.status) || !has(oldSelf.status.release) || oldSelf.status.release.version != self.spec.version || (self.spec.images == oldSelf.spec.images && self.spec.config == oldSelf.spec.config && self.spec.workload == oldSelf.spec.workload)")
        .message("this version is already stored: give spec.version a new value to change images, config or workload"),
)]
#[x_kube(validation = Rule::new("self.application == oldSelf.application").message("application cannot change: create another ImageUpload for another application"))]
#[x_kube(validation = Rule::new("self.config.map(k, size(k) + size(self.config[k])).sum() <= 65536").message("config is limited to 64 KiB together: put files into the image or a ConfigMap of your own"))]
#[x_kube(validation = Rule::new("self.images.all(i, i.name == 'main')").message("exactly one image named main is supported"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageUploadSpec {
    /// The application's name. It cannot change.
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z]([a-z0-9-]*[a-z0-9])?$"))]
    pub application: String,
    /// The release's version: a lower-case semantic version without build metadata, as in 1.4.0 or 1.5.0-rc.1.
    #[schemars(
        length(min = 5, max = 64),
        regex(
            pattern = r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9a-z]([0-9a-z-]*[0-9a-z])?(\.[0-9a-z]([0-9a-z-]*[0-9a-z])?)*)?$"
        )
    )]
    pub version: String,
    /// The images of the release; exactly one, named main, for now.
    #[schemars(length(min = 1, max = 1))]
    pub images: Vec<UploadImage>,
    /// Environments the release may go to, as in dev or prod. Each gets a default EnvironmentOverlay when it has none.
    #[serde(default)]
    #[schemars(schema_with = "schema::environments")]
    pub environments: Vec<String>,
    /// Configuration, given to the container as environment variables. Secrets do not belong here.
    #[serde(default)]
    #[schemars(schema_with = "schema::config_map")]
    pub config: BTreeMap<String, String>,
    /// How the image runs; what is left out is read from the image.
    #[serde(default)]
    pub workload: Workload,
    /// Where the code came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Who answers for the release, as in maria@shop.example.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub owner: Option<String>,
    /// Labels of your own, to find the release by later.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::short_map")]
    pub metadata: BTreeMap<String, String>,
    /// What becomes of the stored data when this object is deleted. History is kept in either case.
    #[serde(default)]
    pub retention_policy: RetentionPolicy,
    /// Leaves everything as it is until unset.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

/// One image of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UploadImage {
    /// Name of the container it is for.
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// Where the image comes from.
    pub source: ImageSource,
}

/// Where an image comes from: exactly one of `reference` and `archive`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.reference) != has(self.archive)",
    "message": "a source needs exactly one of reference and archive"
}]))]
pub struct ImageSource {
    /// An image in a registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<ReferenceSource>,
    /// An archive whose bytes are sent to status.upload.url (`orbit upload` does it).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<ArchiveSource>,
}

/// An image in a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReferenceSource {
    /// Reference of the image, with a tag or a digest, as in registry.example/web:1.4.0.
    #[schemars(length(min = 1, max = 512))]
    pub image: String,
    /// A Secret of type kubernetes.io/dockerconfigjson in this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_secret_ref: Option<LocalRef>,
}

/// A `docker save` archive or an OCI layout as a tar file, named by its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArchiveSource {
    /// sha256 of the archive file.
    pub sha256: Digest,
    /// Bytes of the archive file; 64 GiB at most.
    #[schemars(range(min = 1, max = 68_719_476_736_u64))]
    pub size: i64,
}

/// An object of this namespace by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LocalRef {
    /// Name of the object.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"))]
    pub name: String,
}

/// Where the code of a release came from, for lead times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Origin {
    /// The commit.
    #[schemars(length(min = 1, max = 128))]
    pub revision: String,
    /// When it was committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_time")]
    pub committed_at: Option<Timestamp>,
    /// Where to look at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub url: Option<String>,
}

/// What becomes of stored data when its ImageUpload is deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RetentionPolicy {
    /// Keep it: releases stay selectable.
    #[default]
    Retain,
    /// Unlink it and leave a tombstone; the bytes wait for garbage collection.
    Delete,
}

/// What the plane made of an ImageUpload.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageUploadStatus {
    /// The generation this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The last value of the annotation orbit.k8or.io/requestedAt that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// The release that is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseStatus>,
    /// The release's images as stored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub images: Vec<ImageStatus>,
    /// The HelmChart made for the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chart_ref: Option<ChartRef>,
    /// Where the archive's bytes are to be sent, while they are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<UploadStatus>,
    /// Observations: Ready always; Reconciling and Stalled while true.
    #[serde(default)]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// A stored release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseStatus {
    /// Its version.
    #[schemars(length(max = 64))]
    pub version: String,
    /// Digest over application, version, image configs, config and workload.
    pub digest: Digest,
}

/// A stored image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageStatus {
    /// Name of the container it is for.
    #[schemars(length(max = 40))]
    pub name: String,
    /// Digest of the manifest or image index.
    pub digest: Digest,
    /// Digest of the image config, where the image has one platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_digest: Option<Digest>,
    /// Bytes of manifests, configs and layers together.
    pub size: i64,
    /// Platforms the image runs on, as in linux/amd64.
    #[schemars(schema_with = "platforms")]
    pub platforms: Vec<String>,
    /// The repository it is served from, as in shop/web.
    #[schemars(length(max = 256))]
    pub repository: String,
}

fn platforms(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "array", "maxItems": 64, "items": {"type": "string", "maxLength": 64}})
}

/// A HelmChart of this namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChartRef {
    /// Its name.
    #[schemars(length(max = 253))]
    pub name: String,
}

/// An upload that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UploadStatus {
    /// An OCI blob upload session: PATCH chunks, then PUT with the digest, authorised by the upload key as a bearer token.
    #[schemars(length(max = 1024))]
    pub url: String,
    /// The archive the session is for.
    pub sha256: Digest,
}
