//! The public schema: the custom resources of group `orbit.k8or.io`.
//!
//! `orbit crds` writes them to `crds/`. Every string, list and map is bounded, every property described.
//! What is frozen once a version is stored has types of our own, none schemaless.

mod condition;
mod environment_overlay;
mod helm_chart;
mod image_upload;
mod schema;
mod workload;

pub use condition::{Condition, ConditionStatus, condition_type, reason};
pub use environment_overlay::{
    Base, ClusterCounts, ConfigMapBehavior, ConfigMapOverride, EnvironmentOverlay, EnvironmentOverlaySpec,
    EnvironmentOverlayStatus, ImageOverride, Kustomize, OverlayArtifact, OverlayImage, Patch, PatchTarget, Prereleases,
    ReplicaOverride, SelectedVersion, SelectionReason, VersionPolicy,
};
pub use helm_chart::{ChartArtifact, ChartSource, GeneratedChart, HelmChart, HelmChartSpec, HelmChartStatus};
pub use image_upload::{
    ArchiveSource, ChartRef, ImageSource, ImageStatus, ImageUpload, ImageUploadSpec, ImageUploadStatus, LocalRef,
    Origin, ReferenceSource, ReleaseStatus, RetentionPolicy, UploadImage, UploadStatus,
};
pub use schema::SchemalessObject;
pub use workload::{
    ContainerPort, ExecProbe, HttpGetProbe, PortProtocol, Probe, Probes, Quantities, ResourceRequirements, SecretRef,
    TcpSocketProbe, Workload, WorkloadType,
};

/// The API group of every kind.
pub const GROUP: &str = "orbit.k8or.io";
/// The served version.
pub const VERSION: &str = "v1alpha1";
/// The field manager under which the plane applies objects and status.
pub const FIELD_MANAGER: &str = "orbit-plane";
/// Holds an object back until its end is in the journal.
pub const FINALIZER: &str = "orbit.k8or.io/journal";

/// Annotations with a meaning to the plane.
pub mod annotation {
    /// The API server's own word for who last changed the spec (set by the admission policy `orbit-changed-by`).
    pub const CHANGED_BY: &str = "orbit.k8or.io/changed-by";
    /// Any new value asks for a reconciliation now.
    pub const REQUESTED_AT: &str = "orbit.k8or.io/requestedAt";
    /// sha256 (`sha256:<hex>`) of the key that authorises sending an archive's bytes.
    pub const UPLOAD_KEY: &str = "orbit.k8or.io/upload-key-sha256";
    /// Name of the ImageUpload that a HelmChart was made for.
    pub const IMAGE_UPLOAD: &str = "orbit.k8or.io/image-upload";
    /// Digest of the manifest that a CRD or policy was applied from.
    pub const MANIFEST: &str = "orbit.k8or.io/manifest-digest";
    /// `allow` lets configuration values pass that look like secrets.
    pub const SECRETS_IN_CONFIG: &str = "orbit.k8or.io/secrets-in-config";
}

/// Labels that the plane puts on objects it makes.
pub mod label {
    /// The application an object belongs to.
    pub const APPLICATION: &str = "orbit.k8or.io/application";
    /// Kubernetes' own word for who manages an object.
    pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
}

/// The name of the `HelmChart` of a release: `web.1.4.0`.
pub fn helm_chart_name(application: &str, version: &str) -> String {
    format!("{application}.{version}")
}

/// The name of an application's overlay for an environment: `web.prod`.
pub fn overlay_name(application: &str, environment: &str) -> String {
    format!("{application}.{environment}")
}
