//! `EnvironmentOverlay`: what runs of an application in one environment, and how it differs there.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Condition, LabelSelector, LocalRef, SchemalessObject, Span, schema};
use crate::digest::Digest;

/// Asks the plane to select a release for an environment and to render it there.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "orbit.k8or.io",
    version = "v1alpha1",
    kind = "EnvironmentOverlay",
    namespaced,
    status = "EnvironmentOverlayStatus",
    derive = "PartialEq",
    shortname = "eo",
    category = "orbit",
    doc = "What runs of an application in one environment: which version, with which values and which Kustomize overrides. Its name is <application>.<environment>.",
    cel,
    printcolumn(name = "Application", type_ = "string", json_path = ".spec.application"),
    printcolumn(name = "Environment", type_ = "string", json_path = ".spec.environment"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.selected.version"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Status", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#),
    printcolumn(name = "Artifact", type_ = "string", json_path = ".status.artifact.digest", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name == self.spec.application + '.' + self.spec.environment")
        .message("an EnvironmentOverlay is named <application>.<environment>: set metadata.name accordingly"),
)]
#[x_kube(validation = Rule::new("self.application == oldSelf.application && self.environment == oldSelf.environment").message("application and environment cannot change: create another EnvironmentOverlay"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnvironmentOverlaySpec {
    /// The application's name. It cannot change.
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z]([a-z0-9-]*[a-z0-9])?$"))]
    pub application: String,
    /// The environment's name. It cannot change.
    #[schemars(length(min = 1, max = 20), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub environment: String,
    /// Which version runs here; the newest that names the environment when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionPolicy>,
    /// What the overrides apply to; the release's chart when left out.
    #[serde(default)]
    pub base: Base,
    /// Namespace the objects go to; this object's own when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub target_namespace: Option<String>,
    /// Helm values, laid over the chart's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<SchemalessObject>,
    /// Kustomize overrides of what the chart renders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kustomize: Option<Kustomize>,
    /// The clusters it goes to: those that match and whose allowedNamespaces let this namespace in. Left out, those
    /// labelled orbit.k8or.io/environment with this environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_selector: Option<LabelSelector>,
    /// How it is brought to clusters.
    #[serde(default)]
    pub delivery: DeliveryPolicy,
    /// What becomes of what runs in clusters when this object is deleted or a cluster no longer matches.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// How often to look again although nothing has changed, as in 1h: a safety net.
    #[serde(default = "default_interval")]
    pub interval: Span,
    /// Leaves everything as it is until unset.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

fn default_interval() -> Span {
    Span::minutes(60, "1h")
}

/// How an overlay is brought to clusters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DeliveryPolicy {
    /// Who applies it.
    pub mode: DeliveryMode,
    /// What is done about changes that others make to what was applied.
    pub drift_policy: DriftPolicy,
    /// What is done when it does not become healthy in time.
    pub on_failure: FailurePolicy,
    /// How long it may take to become healthy.
    pub timeout: Span,
    /// Secrets of this namespace that are copied into the target namespace. They are never stored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub secrets: Vec<LocalRef>,
    /// Delete an object and make it anew where an immutable field has changed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}

impl Default for DeliveryPolicy {
    fn default() -> Self {
        Self {
            mode: DeliveryMode::default(),
            drift_policy: DriftPolicy::default(),
            on_failure: FailurePolicy::default(),
            timeout: Span::minutes(10, "10m"),
            secrets: Vec::new(),
            force: false,
        }
    }
}

impl EnvironmentOverlay {
    /// The namespace that its objects go to.
    pub fn target_namespace(&self) -> String {
        self.spec.target_namespace.clone().or_else(|| self.metadata.namespace.clone()).unwrap_or_default()
    }
}

/// Who applies an overlay to clusters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeliveryMode {
    /// The plane.
    #[default]
    Apply,
    /// Others do, from the published artifact: Flux, Argo CD, kubectl. What the plane had applied stays. Clusters that
    /// match are given the pull Secret in the target namespace, and nothing else.
    None,
}

/// What is done about changes that others make to what was applied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DriftPolicy {
    /// It is applied again.
    #[default]
    Correct,
    /// A condition says what differs.
    Report,
}

/// What is done when a delivery does not become healthy in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FailurePolicy {
    /// It stays, so that it can be looked at.
    #[default]
    Hold,
    /// What was healthy last in the cluster is applied again. The overlay's spec stays as it is.
    Rollback,
}

/// What becomes of what runs in clusters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// It is removed, except for PersistentVolumeClaims, CustomResourceDefinitions and Namespaces.
    #[default]
    Prune,
    /// It stays.
    Orphan,
}

/// Which version an environment runs: a range or a pin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.range) != has(self.pin)",
    "message": "version needs exactly one of range and pin"
}]))]
pub struct VersionPolicy {
    /// A version range in Helm's dialect, as in ">=1.0.0 <2.0.0" or "~1.4".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub range: Option<String>,
    /// Whether a range selects prereleases.
    #[serde(default)]
    pub prereleases: Prereleases,
    /// Exactly this version, also one whose ImageUpload is long gone. The way to roll back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 5, max = 64))]
    pub pin: Option<String>,
}

/// Whether a range selects prereleases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Prereleases {
    /// Only where the range itself names one.
    #[default]
    Exclude,
    /// Yes.
    Include,
}

/// What the overrides apply to. Empty means the selected release's chart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Base {
    /// Existing manifests (YAML) instead of a chart. Version and values are not used then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::manifests")]
    pub manifests: Vec<String>,
}

/// Kustomize overrides, in Kustomize's own terms.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Kustomize {
    /// Replica counts by workload name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub replicas: Vec<ReplicaOverride>,
    /// Strategic merge or JSON 6902 patches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub patches: Vec<Patch>,
    /// ConfigMaps to generate, merge or replace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub config_maps: Vec<ConfigMapOverride>,
    /// Other names, tags or digests for images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub images: Vec<ImageOverride>,
    /// Labels for every object (selectors stay as they are).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::label_map")]
    pub labels: BTreeMap<String, String>,
    /// Annotations for every object.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::short_map")]
    pub annotations: BTreeMap<String, String>,
    /// Further manifests (YAML).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::manifests")]
    pub resources: Vec<String>,
}

/// A replica count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReplicaOverride {
    /// Name of the workload.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Pods to run.
    #[schemars(range(min = 0, max = 10_000))]
    pub count: i32,
}

/// A patch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Patch {
    /// What to patch; read from the patch itself when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<PatchTarget>,
    /// The patch as YAML: a partial object, or a list of JSON 6902 operations.
    #[schemars(length(min = 1, max = 65_536))]
    pub patch: String,
}

/// Selects objects to patch; what is left out matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PatchTarget {
    /// API group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub group: Option<String>,
    /// API version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub version: Option<String>,
    /// Kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub kind: Option<String>,
    /// Name, as a regular expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub name: Option<String>,
    /// Namespace, as a regular expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub namespace: Option<String>,
    /// Label selector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub label_selector: Option<String>,
    /// Annotation selector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub annotation_selector: Option<String>,
}

/// A ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfigMapOverride {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its entries.
    #[serde(default)]
    #[schemars(schema_with = "schema::config_map")]
    pub data: BTreeMap<String, String>,
    /// Whether it is new, or merged into or put in place of one that the base has.
    #[serde(default)]
    pub behavior: ConfigMapBehavior,
}

/// What a generated ConfigMap is to one of the same name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ConfigMapBehavior {
    /// New; none of the name may exist.
    #[default]
    Create,
    /// Entries are added to the existing one.
    Merge,
    /// The existing one is replaced.
    Replace,
}

/// Another name, tag or digest for an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageOverride {
    /// The image's name as the base has it, without tag and digest.
    #[schemars(length(min = 1, max = 512))]
    pub name: String,
    /// Its new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub new_name: Option<String>,
    /// Its new tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub new_tag: Option<String>,
    /// Its new digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// What the plane made of an EnvironmentOverlay.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentOverlayStatus {
    /// The generation this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The last value of the annotation orbit.k8or.io/requestedAt that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// The version selected for the environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selected: Option<SelectedVersion>,
    /// The last good artifact. It stays when a later rendering fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<OverlayArtifact>,
    /// What the clusters that match report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clusters: Option<ClusterCounts>,
    /// Observations: Ready always; Reconciling and Stalled while true; Delivered and Healthy where clusters match.
    #[serde(default)]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// A selected version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SelectedVersion {
    /// The version.
    #[schemars(length(max = 64))]
    pub version: String,
    /// Digest of its chart.
    pub chart_digest: Digest,
    /// Why this one.
    pub reason: SelectionReason,
    /// The generation of the overlay at which it was selected: while that stands, selection moves only upward.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
}

/// Why a version was selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SelectionReason {
    /// The newest that names the environment.
    Newest,
    /// The newest in the range.
    NewestInRange,
    /// The pinned one.
    Pinned,
    /// The one that was selected before: nothing newer is eligible, and selection does not move downward by itself.
    Kept,
}

/// A rendered overlay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OverlayArtifact {
    /// Digest of the artifact's OCI manifest.
    pub digest: Digest,
    /// Digest of everything the rendering depends on.
    pub inputs_digest: Digest,
    /// Kubernetes objects in the artifact.
    pub objects: i32,
    /// Images the objects run.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub images: Vec<OverlayImage>,
    /// Where the artifact is served, as in oci://registry.example/shop/overlays/web:prod; none where the host is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub url: Option<String>,
}

/// An image that a rendered overlay runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OverlayImage {
    /// The reference as rendered.
    #[schemars(length(max = 1024))]
    pub reference: String,
    /// Its digest, where it is pinned by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Whether the plane stores it.
    pub tracked: bool,
}

/// Counts of clusters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterCounts {
    /// Clusters that match.
    pub desired: i32,
    /// Of them, those that run the wanted artifact.
    pub applied: i32,
    /// Of them, those where it is healthy.
    pub healthy: i32,
    /// Of them, those that do not answer.
    pub unreachable: i32,
}
