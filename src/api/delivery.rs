//! `Delivery`: one overlay in one cluster. Made by the plane.

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Condition, DeletionPolicy, DriftPolicy, FailurePolicy, LocalRef, Span};
use crate::{digest::Digest, release::ClusterRef};

/// What an overlay wants in one cluster: the plane's own word, written from the overlay and the cluster.
// Columns of one type are no mistake.
#[allow(clippy::duplicated_attributes)]
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "orbit.k8or.io",
    version = "v1alpha1",
    kind = "Delivery",
    plural = "deliveries",
    namespaced,
    status = "DeliveryStatus",
    derive = "PartialEq",
    shortname = "dlv",
    category = "orbit",
    doc = "One EnvironmentOverlay in one EphemeralCluster. The plane makes it; its status says what runs there and how it is.",
    cel,
    printcolumn(name = "Application", type_ = "string", json_path = ".spec.application"),
    printcolumn(name = "Environment", type_ = "string", json_path = ".spec.environment"),
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.cluster.name"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.applied.version"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Status", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeliverySpec {
    /// The application.
    #[schemars(length(min = 1, max = 40))]
    pub application: String,
    /// The environment.
    #[schemars(length(min = 1, max = 20))]
    pub environment: String,
    /// The cluster, as the one it was when the delivery was made.
    pub cluster: ClusterRef,
    /// Digest of the rendered artifact that is wanted there.
    pub artifact: Digest,
    /// The version it is of; none where the overlay brings manifests of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub version: Option<String>,
    /// Digests of the images it runs.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub images: Vec<Digest>,
    /// Namespace the objects go to.
    #[schemars(length(min = 1, max = 63))]
    pub target_namespace: String,
    /// Secrets of the overlay's namespace that are copied along.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub secrets: Vec<LocalRef>,
    /// What is done about changes that others make.
    pub drift_policy: DriftPolicy,
    /// What is done when it does not become healthy.
    pub on_failure: FailurePolicy,
    /// How long it may take to become healthy.
    pub timeout: Span,
    /// What becomes of what runs when the delivery ends.
    pub deletion_policy: DeletionPolicy,
    /// Whether an object with a changed immutable field is deleted and made anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}

/// What came of a delivery.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryStatus {
    /// The generation this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The last value of the annotation orbit.k8or.io/requestedAt that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// What is applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<AppliedArtifact>,
    /// The inputs (see applied.inputsDigest) that were tried last. While they differ from those applied, what is there may
    /// be some of both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempted: Option<Digest>,
    /// What may be there of it: more than is applied while a change is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<InventoryRef>,
    /// The artifact that did not become healthy and was taken back. It is not tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back: Option<RolledBack>,
    /// Observations: Ready and Healthy always; Reconciling, Stalled and Drifted while true.
    #[serde(default)]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// What was applied to a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppliedArtifact {
    /// Digest of the artifact.
    pub artifact: Digest,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub version: Option<String>,
    /// Digest of everything that went into the cluster besides: variables and Secrets' versions.
    pub inputs_digest: Digest,
    /// When.
    #[schemars(with = "String", extend("format" = "date-time"), length(max = 64))]
    pub at: Timestamp,
}

/// The list of a delivery's objects, which lies in the Harbor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InventoryRef {
    /// Digest of the list.
    pub digest: Digest,
    /// Objects in it.
    pub objects: i32,
}

/// An artifact that was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolledBack {
    /// Digest of the artifact that failed.
    pub artifact: Digest,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub version: Option<String>,
    /// Why.
    #[schemars(length(max = 1024))]
    pub reason: String,
}
