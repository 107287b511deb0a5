//! `HelmChart`: the chart of one release. Made by the plane, or by hand.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Condition, schema};
use crate::digest::Digest;

/// Asks the plane for the chart of a release.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "orbit.k8or.io",
    version = "v1alpha1",
    kind = "HelmChart",
    namespaced,
    status = "HelmChartStatus",
    derive = "PartialEq",
    shortname = "hch",
    category = "orbit",
    doc = "The Helm chart of one release. Its name is <application>.<version>; a published chart is never generated again.",
    cel,
    printcolumn(name = "Application", type_ = "string", json_path = ".spec.application"),
    printcolumn(name = "Version", type_ = "string", json_path = ".spec.version"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Status", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#),
    printcolumn(name = "Digest", type_ = "string", json_path = ".status.artifact.digest", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name == self.spec.application + '.' + self.spec.version")
        .message("a HelmChart is named <application>.<version>: set metadata.name accordingly"),
)]
#[x_kube(validation = Rule::new("self.application == oldSelf.application && self.version == oldSelf.version && self.source == oldSelf.source").message("a HelmChart is immutable but for environments and suspend: publish another version instead"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HelmChartSpec {
    /// The application's name.
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z]([a-z0-9-]*[a-z0-9])?$"))]
    pub application: String,
    /// The release's version, which is the chart's version too.
    #[schemars(length(min = 5, max = 64), regex(pattern = r"^[0-9]+\.[0-9]+\.[0-9]+(-[0-9a-z.-]+)?$"))]
    pub version: String,
    /// Environments the chart may go to.
    #[serde(default)]
    #[schemars(schema_with = "schema::environments")]
    pub environments: Vec<String>,
    /// Where the chart comes from.
    pub source: ChartSource,
    /// Leaves everything as it is until unset.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

/// Where a chart comes from; generated is the one way there is for now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChartSource {
    /// Generated from a stored release.
    pub generated: GeneratedChart,
}

/// A chart generated from a stored release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GeneratedChart {
    /// Digest of the stored release (status.release.digest of its ImageUpload).
    pub release_digest: Digest,
}

/// What the plane made of a HelmChart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelmChartStatus {
    /// The generation this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The last value of the annotation orbit.k8or.io/requestedAt that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// The published chart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<ChartArtifact>,
    /// Observations: Ready always; Reconciling and Stalled while true; RestrictedPSS once published.
    #[serde(default)]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// A published chart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChartArtifact {
    /// Digest of the chart's OCI manifest.
    pub digest: Digest,
    /// Bytes of the packaged chart.
    pub size: i64,
    /// Where the chart is served, as in oci://registry.example/shop/charts/web:1.4.0; none where the host is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub url: Option<String>,
}
