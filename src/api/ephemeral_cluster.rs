//! `EphemeralCluster`: a cluster that comes, runs what is meant for it, is watched, and goes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Condition, LabelSelector, Span, schema};

/// Asks the plane to deliver to a cluster, and to watch what runs there.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "orbit.k8or.io",
    version = "v1alpha1",
    kind = "EphemeralCluster",
    namespaced,
    status = "EphemeralClusterStatus",
    derive = "PartialEq",
    shortname = "ec",
    category = "orbit",
    doc = "A cluster that the plane delivers to. Overlays whose clusterSelector matches its labels are applied there.",
    cel,
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reachable", type_ = "string", json_path = r#".status.conditions[?(@.type=="Reachable")].status"#),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.kubernetesVersion"),
    printcolumn(name = "Deliveries", type_ = "integer", json_path = ".status.deliveries.desired"),
    printcolumn(name = "Healthy", type_ = "integer", json_path = ".status.deliveries.healthy"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".spec.expiresAt"),
    printcolumn(name = "Status", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 63 && !self.metadata.name.contains('.')")
        .message("an EphemeralCluster is named with a DNS label: at most 63 letters, digits and '-', without dots"),
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EphemeralClusterSpec {
    /// How to reach its API server.
    pub connection: Connection,
    /// Namespaces whose overlays may be delivered here; this object's own when left out. Others have to be allowed by an
    /// administrator, too, who labels this object's namespace orbit.k8or.io/fleet=true.
    #[serde(default)]
    pub allowed_namespaces: AllowedNamespaces,
    /// When the cluster ends: what runs there is removed as clusterDeletionPolicy says, and nothing more is delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_time")]
    pub expires_at: Option<Timestamp>,
    /// What becomes of what runs there when this object is deleted or expires.
    #[serde(default)]
    pub cluster_deletion_policy: ClusterDeletionPolicy,
    /// For how long an Enforce'd removal is tried before the cluster is let go.
    #[serde(default = "default_grace")]
    pub deletion_grace_period: Span,
    /// Unreachable for that long, the cluster's deliveries count as lost. They are found again if it comes back. An
    /// imported cluster whose Secret is gone ends then.
    #[serde(default = "default_lost_after")]
    #[schemars(extend("x-kubernetes-validations" = [{
        "rule": "self.matches('[1-9]')",
        "message": "a cluster cannot be lost at once: give spec.lostAfter a length of time, as in 10m"
    }]))]
    pub lost_after: Span,
    /// What ${orbit:NAME} stands for in manifests that are delivered here. Names are of A to Z, 0 to 9 and _, and begin
    /// with no digit.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::variables")]
    pub variables: BTreeMap<String, String>,
    /// Leaves everything as it is until unset.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

fn default_grace() -> Span {
    Span::minutes(5, "5m")
}

fn default_lost_after() -> Span {
    Span::minutes(60, "1h")
}

/// How to reach an API server; a kubeconfig is the one way there is for now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Connection {
    /// A kubeconfig in a Secret, such as Cluster API and vcluster make.
    pub kube_config: KubeConfig,
}

/// A kubeconfig in a Secret. It has to hold all it needs: no plugins, no files, no unverified TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KubeConfig {
    /// The Secret, in this object's namespace.
    pub secret_ref: SecretKeyRef,
}

/// A key of a Secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"))]
    pub name: String,
    /// The key; value (as Cluster API has it), config (vcluster) or kubeconfig when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub key: Option<String>,
}

/// Namespaces whose overlays may be delivered to a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "(has(self.from) && self.from == 'Selector') == has(self.selector)",
    "message": "allowedNamespaces needs a selector with from: Selector, and only then"
}]))]
pub struct AllowedNamespaces {
    /// Which they are.
    #[serde(default)]
    pub from: NamespacesFrom,
    /// Labels of the namespaces, with from: Selector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

/// Which namespaces are meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NamespacesFrom {
    /// The cluster object's own.
    #[default]
    Same,
    /// Every one.
    All,
    /// Those with certain labels.
    Selector,
}

/// What becomes of what the plane runs in a cluster that ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ClusterDeletionPolicy {
    /// It stays as it is.
    Orphan,
    /// It is removed if the cluster can be reached.
    #[default]
    BestEffort,
    /// It is removed; that is tried for the grace period before the cluster is let go.
    Enforce,
}

/// What the plane knows of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EphemeralClusterStatus {
    /// The generation this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The last value of the annotation orbit.k8or.io/requestedAt that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// Which cluster it is: the UID of its namespace kube-system.
    #[serde(default, rename = "clusterUID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub cluster_uid: Option<String>,
    /// Version of its API server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub kubernetes_version: Option<String>,
    /// The Lease beside this object that is renewed whenever the cluster answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub lease_name: Option<String>,
    /// Since when it does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"), length(max = 64))]
    pub unreachable_since: Option<Timestamp>,
    /// What it pulls images with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<ClusterCredential>,
    /// What is delivered here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deliveries: Option<DeliveryCounts>,
    /// Observations: Ready and Reachable always; Reconciling and Stalled while true.
    #[serde(default)]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// A cluster's own credential for the plane's registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterCredential {
    /// Which one it is. It says nothing of the password.
    #[schemars(length(max = 64))]
    pub id: String,
    /// The Secret beside this object that holds it.
    #[schemars(length(max = 253))]
    pub secret_name: String,
    /// Since when it is good. It is replaced in time, the one before staying good for a while.
    #[schemars(with = "String", extend("format" = "date-time"), length(max = 64))]
    pub issued_at: Timestamp,
}

/// Counts of deliveries to a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryCounts {
    /// Overlays that are meant for it.
    pub desired: i32,
    /// Of them, those that are applied as wanted.
    pub applied: i32,
    /// Of them, those that are healthy.
    pub healthy: i32,
}
