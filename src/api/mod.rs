//! The public schema: the custom resources of group `orbit.k8or.io`.
//!
//! `orbit crds` writes them to `crds/`. Every string, list and map is bounded, every property described.
//! What is frozen once a version is stored has types of our own, none schemaless.

mod condition;
mod delivery;
mod duration;
mod environment_overlay;
mod ephemeral_cluster;
mod helm_chart;
mod image_upload;
mod schema;
mod selector;
mod workload;

pub use condition::{Condition, ConditionStatus, condition_type, reason};
pub use delivery::{AppliedArtifact, Delivery, DeliverySpec, DeliveryStatus, InventoryRef, RolledBack};
pub use duration::Span;
pub use environment_overlay::{
    Base, ClusterCounts, ConfigMapBehavior, ConfigMapOverride, DeletionPolicy, DeliveryMode, DeliveryPolicy,
    DriftPolicy, EnvironmentOverlay, EnvironmentOverlaySpec, EnvironmentOverlayStatus, FailurePolicy, ImageOverride,
    Kustomize, OverlayArtifact, OverlayImage, Patch, PatchTarget, Prereleases, ReplicaOverride, SelectedVersion,
    SelectionReason, VersionPolicy,
};
pub use ephemeral_cluster::{
    AllowedNamespaces, ClusterCredential, ClusterDeletionPolicy, Connection, DeliveryCounts, EphemeralCluster,
    EphemeralClusterSpec, EphemeralClusterStatus, KubeConfig, NamespacesFrom, SecretKeyRef,
};
pub use helm_chart::{ChartArtifact, ChartSource, GeneratedChart, HelmChart, HelmChartSpec, HelmChartStatus};
pub use image_upload::{
    ArchiveSource, ChartRef, ImageSource, ImageStatus, ImageUpload, ImageUploadSpec, ImageUploadStatus, LocalRef,
    Origin, ReferenceSource, ReleaseStatus, RetentionPolicy, UploadImage, UploadStatus,
};
pub use schema::SchemalessObject;
pub use selector::{LabelSelector, Requirement, RequirementOperator};
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

/// The Secret that pods in clusters pull the plane's images with.
pub const PULL_SECRET: &str = "orbit-pull";

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
    /// Since when a cluster's credential is good.
    pub const ISSUED_AT: &str = "orbit.k8or.io/issued-at";
    /// The registry that a cluster's credential is for.
    pub const REGISTRY: &str = "orbit.k8or.io/registry";
    /// The cluster that a credential was issued to, by the UID of its kube-system namespace.
    pub const CLUSTER_UID: &str = "orbit.k8or.io/cluster-uid";
    /// The digest of the password before, and until when that is good.
    pub const PREVIOUS: &str = "orbit.k8or.io/previous";
    /// `allow` lets configuration values pass that look like secrets.
    pub const SECRETS_IN_CONFIG: &str = "orbit.k8or.io/secrets-in-config";
}

/// Labels that the plane puts on objects it makes.
pub mod label {
    /// The application an object belongs to.
    pub const APPLICATION: &str = "orbit.k8or.io/application";
    /// The environment that a cluster is for, unless overlays select it by other labels.
    pub const ENVIRONMENT: &str = "orbit.k8or.io/environment";
    /// `true` on a namespace, set by an administrator: clusters whose objects are there may be for other namespaces too.
    pub const FLEET: &str = "orbit.k8or.io/fleet";
    /// `true` on a namespace: the clusters whose kubeconfigs Cluster API or vcluster writes there are taken in by themselves.
    pub const IMPORT_CLUSTERS: &str = "orbit.k8or.io/import-clusters";
    /// `true` on a cluster that came in that way, and goes with its Secret.
    pub const IMPORTED: &str = "orbit.k8or.io/imported";
    /// The plane that applied an object to a cluster.
    pub const PLANE: &str = "orbit.k8or.io/plane";
    /// The Delivery that an object in a cluster belongs to, as a digest; the annotation of the same name spells it out.
    pub const DELIVERY: &str = "orbit.k8or.io/delivery";
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

/// The name of an overlay's `Delivery` to a cluster: `web.prod.fleet.eu-1`.
pub fn delivery_name(application: &str, environment: &str, cluster: &crate::release::ClusterRef) -> String {
    format!("{application}.{environment}.{}.{}", cluster.namespace, cluster.name)
}

/// The overlay and the cluster (its namespace and name) in the name of a delivery: none of its parts has a dot.
pub fn delivery_ends(name: &str) -> Option<(String, (String, String))> {
    let [application, environment, namespace, cluster] = name.split('.').collect::<Vec<_>>()[..] else { return None };
    Some((overlay_name(application, environment), (namespace.to_owned(), cluster.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::ClusterRef;

    #[test]
    fn a_delivery_is_named_after_what_goes_where() {
        let name = delivery_name("web", "prod", &ClusterRef::new("fleet", "eu-1", "u"));
        assert_eq!(delivery_ends(&name), Some(("web.prod".to_owned(), ("fleet".to_owned(), "eu-1".to_owned()))));
        assert_eq!((delivery_ends("odd-delivery"), delivery_ends("a.b.c.d.e")), (None, None));
    }
}
