//! Conditions as kstatus reads them: `Ready` always, `Reconciling` and `Stalled` only while true.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Types of conditions.
pub mod condition_type {
    /// The object is what its spec asks for.
    pub const READY: &str = "Ready";
    /// Work is under way that will end by itself.
    pub const RECONCILING: &str = "Reconciling";
    /// Nothing more will happen until somebody changes something.
    pub const STALLED: &str = "Stalled";
    /// The cluster answers.
    pub const REACHABLE: &str = "Reachable";
    /// What is wanted is applied to every cluster that it is for and that answers.
    pub const DELIVERED: &str = "Delivered";
    /// What is applied is healthy, as kstatus computes it.
    pub const HEALTHY: &str = "Healthy";
    /// Others have changed what was applied.
    pub const DRIFTED: &str = "Drifted";
    /// The workload can run in a namespace that enforces Pod Security "restricted".
    pub const RESTRICTED_PSS: &str = "RestrictedPSS";
}

/// Reasons, one per cause that a reader can act on.
pub mod reason {
    /// All is as asked.
    pub const SUCCEEDED: &str = "Succeeded";
    /// Nothing is allowed here or nothing is asked for: a healthy state.
    pub const IDLE: &str = "Idle";
    /// `spec.suspend` is set.
    pub const SUSPENDED: &str = "Suspended";
    /// Work is under way.
    pub const PROGRESSING: &str = "Progressing";
    /// The plane waits for the archive's bytes to be sent to `status.upload.url`.
    pub const AWAITING_UPLOAD: &str = "AwaitingUpload";
    /// No release exists yet that this overlay could select.
    pub const AWAITING_RELEASE: &str = "AwaitingRelease";
    /// The chart of the selected release is not published yet.
    pub const AWAITING_CHART: &str = "AwaitingChart";
    /// A store does not answer; nothing is lost, the work goes on when it is back.
    pub const STORE_UNAVAILABLE: &str = "StoreUnavailable";
    /// The spec says something that cannot be.
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// A configuration value looks like a secret.
    pub const SECRET_IN_CONFIG: &str = "SecretInConfig";
    /// The archive is no usable image.
    pub const ARCHIVE_INVALID: &str = "ArchiveInvalid";
    /// The reference names nothing that the registry has.
    pub const IMAGE_NOT_FOUND: &str = "ImageNotFound";
    /// The registry refused the credentials, or asks for some.
    pub const REGISTRY_UNAUTHORIZED: &str = "RegistryUnauthorized";
    /// The registry does not answer as it should.
    pub const REGISTRY_UNAVAILABLE: &str = "RegistryUnavailable";
    /// The Secret that `pullSecretRef` names is missing or is no registry credential.
    pub const PULL_SECRET_INVALID: &str = "PullSecretInvalid";
    /// What the registry sent is not what its digests say.
    pub const IMAGE_INVALID: &str = "ImageInvalid";
    /// The version is stored with other content.
    pub const VERSION_CONFLICT: &str = "VersionConflict";
    /// The version's data was given up; it cannot be used again.
    pub const VERSION_PURGED: &str = "VersionPurged";
    /// The release that the chart is to be generated from is not in the Chart Store.
    pub const RELEASE_NOT_FOUND: &str = "ReleaseNotFound";
    /// The chart could not be generated.
    pub const CHART_INVALID: &str = "ChartInvalid";
    /// The image runs as root, or as a user whose number is not known.
    pub const UNRESTRICTED: &str = "Unrestricted";
    /// The version range is no range.
    pub const RANGE_INVALID: &str = "RangeInvalid";
    /// The pinned version does not exist.
    pub const VERSION_NOT_FOUND: &str = "VersionNotFound";
    /// Rendering the same input twice gave two results.
    pub const NON_DETERMINISTIC: &str = "NonDeterministic";
    /// Rendering took longer than allowed.
    pub const RENDER_TIMEOUT: &str = "RenderTimeout";
    /// The renderer died, twice.
    pub const RENDERER_FAILED: &str = "RendererFailed";
    /// The Secret with the cluster's kubeconfig is missing, or has no such key.
    pub const KUBECONFIG_NOT_FOUND: &str = "KubeconfigNotFound";
    /// The kubeconfig is refused, or cannot work.
    pub const KUBECONFIG_INVALID: &str = "KubeconfigInvalid";
    /// The cluster's API server does not answer, or does not let the plane in.
    pub const UNREACHABLE: &str = "Unreachable";
    /// The cluster's time is over.
    pub const EXPIRED: &str = "Expired";
    /// The cluster did not answer for so long that what ran there counts as lost.
    pub const LOST: &str = "Lost";
    /// The cluster takes nothing of this namespace.
    pub const NOT_ADMITTED: &str = "NotAdmitted";
    /// Nothing is delivered to the cluster, for its object is being deleted.
    pub const TERMINATING: &str = "Terminating";
    /// A Secret that is to be copied to the cluster is missing.
    pub const SECRET_NOT_FOUND: &str = "SecretNotFound";
    /// Manifests name a variable that the cluster does not have.
    pub const VARIABLE_UNKNOWN: &str = "VariableUnknown";
    /// An object that is to be applied belongs to somebody else.
    pub const NOT_OWNED: &str = "NotOwned";
    /// What was applied does not become healthy.
    pub const UNHEALTHY: &str = "Unhealthy";
    /// It did not become healthy in time.
    pub const DEADLINE_EXCEEDED: &str = "ProgressDeadlineExceeded";
    /// It did not become healthy, and what was healthy before runs again.
    pub const ROLLED_BACK: &str = "RolledBack";
    /// Others have changed what was applied.
    pub const DRIFTED: &str = "Drifted";
    /// The object is none of its kind, or not one that this program knows.
    pub const UNREADABLE: &str = "Unreadable";
    /// Something unforeseen; the message says what.
    pub const INTERNAL: &str = "InternalError";
}

/// `True`, `False` or `Unknown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It is not known whether it holds.
    Unknown,
}

/// One observation of an object's state (the shape of metav1.Condition).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What is observed.
    #[serde(rename = "type")]
    #[schemars(length(max = 64))]
    pub type_: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// Why, in one CamelCase word.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// What is wrong, where, and what to do.
    #[schemars(length(max = 4096))]
    pub message: String,
    /// The metadata.generation it was observed at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When the status last changed (not when it was last looked at).
    #[schemars(with = "String", extend("format" = "date-time"), length(max = 64))]
    pub last_transition_time: Timestamp,
}
