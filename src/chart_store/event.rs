//! The journal's events: one per transition of a release, an environment, a chart. The only source of history.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    audit::{AnsweredRequest, SpecChange},
    deployment::Deployment,
};
use crate::{
    api::{OverlayImage, RetentionPolicy, SelectionReason},
    digest::{Digest, canonical_json},
    release::{ApplicationKey, ChartRecord, ClusterRef, Description, Release},
};

/// The version of the event schema this program writes. Readers accept all versions up to it.
///
/// A new transition does not raise it: programs that do not know one keep it as it is ([`UnknownFact`]). A change of
/// what a known transition means does, and so does a new value of a field with a closed set of them.
pub const SCHEMA_VERSION: u32 = 1;

/// The longest spec text that an event carries inline, in bytes; a longer one lies in the Harbor under its digest.
pub const MAX_INLINE_SPEC: usize = 32 * 1024;

/// One entry of an application's journal, linked to the one before it by hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// [`SCHEMA_VERSION`] at the time of writing.
    pub schema_version: u32,
    /// The plane that wrote it.
    pub plane: String,
    /// The application it is about.
    #[serde(flatten)]
    pub key: ApplicationKey,
    /// Position in the application's journal, from 1 without gaps.
    pub seq: u64,
    /// [`Event::hash`] of the event at `seq - 1`; none at 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev_hash: Option<Digest>,
    /// Deterministic identity: an id that is present means the fact is recorded.
    pub id: Digest,
    /// When it was recorded, by the clock of the replica that did. Order is `seq`, never this.
    pub time: Timestamp,
    /// Who caused it, in the API server's words; `unknown` where no admission policy stamps specs.
    pub actor: String,
    /// What happened.
    pub fact: Fact,
    /// The spec that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<SpecText>,
}

impl Event {
    /// sha256 over the event's RFC 8785 form: what the next event's `prevHash` and the head hold.
    pub fn hash(&self) -> Digest {
        Digest::of_canonical(self)
    }
}

/// A spec as an event keeps it: its digest, and its text unless that is longer than [`MAX_INLINE_SPEC`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SpecText {
    /// Digest of the spec's RFC 8785 form.
    pub digest: Digest,
    /// The RFC 8785 form itself. A longer one is a blob of the Harbor under `digest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl SpecText {
    /// The spec's text for an event, and the bytes to be stored in the Harbor first when it is too long to inline.
    pub fn of(spec: &impl Serialize) -> (Self, Option<Vec<u8>>) {
        let bytes = canonical_json(spec);
        let digest = Digest::of(&bytes);
        if bytes.len() > MAX_INLINE_SPEC {
            (Self { digest, text: None }, Some(bytes))
        } else {
            let text = String::from_utf8(bytes).expect("JSON is UTF-8");
            (Self { digest, text: Some(text) }, None)
        }
    }
}

/// What happened, in past tense.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "transition", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[allow(clippy::large_enum_variant)]
pub enum Fact {
    /// A release was stored: its images are complete in the Harbor and linked to the application. Once per version.
    Stored {
        /// What is frozen from here on.
        release: Release,
    },
    /// A user said something else of a release than before (environments, owner, metadata, origin). Recurs.
    Described {
        /// The release.
        version: String,
        /// What is said now.
        description: Description,
    },
    /// The chart of a release was published. Once per version.
    Charted {
        /// The release.
        version: String,
        /// The chart.
        chart: ChartRecord,
    },
    /// An environment came to run another version, by decision; rendering follows. Recurs.
    Selected {
        /// The environment.
        environment: String,
        /// The version.
        version: String,
        /// Its chart.
        chart_digest: Digest,
        /// Why it.
        reason: SelectionReason,
    },
    /// An environment's manifests were rendered and published. Recurs.
    Rendered {
        /// The environment.
        environment: String,
        /// The version; none where the overlay's base is manifests of its own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
        /// Digest of the artifact's OCI manifest.
        artifact: Digest,
        /// Digest of everything the rendering depended on.
        inputs_digest: Digest,
        /// Kubernetes objects in it.
        objects: u32,
        /// Images it runs.
        images: Vec<OverlayImage>,
    },
    /// An environment's overlay was deleted: nothing is selected there any more. Recurs.
    EnvironmentRemoved {
        /// The environment.
        environment: String,
    },
    /// The object that asked for a release was deleted. Recurs (it may be created again).
    UploadDeleted {
        /// Its name: several may have asked for one release.
        upload: String,
        /// The release it asked for last.
        version: String,
        /// What becomes of the stored data.
        retention_policy: RetentionPolicy,
    },
    /// A release's data was given up. Once per version, which can never be used again.
    Purged {
        /// The release.
        version: String,
        /// Digest of what was given up.
        release_digest: Digest,
    },
    /// A deployment of an environment to a cluster got somewhere. Recurs.
    Deployment(Deployment),
    /// The spec of one of the plane's objects changed. Recurs; in the journal of its namespace's changes only.
    Changed(SpecChange),
    /// The plane's own API was asked. Each is a fact of its own; in journals of requests only.
    Request(AnsweredRequest),
    /// A transition that this program does not know: a newer one wrote it. It is kept as it is and means nothing here.
    #[serde(untagged)]
    Unknown(UnknownFact),
}

/// A fact of a newer program, as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>", into = "Map<String, Value>")]
pub struct UnknownFact(Map<String, Value>);

impl UnknownFact {
    /// The transition's name.
    pub fn transition(&self) -> &str {
        self.text("transition").unwrap_or_default()
    }

    fn text(&self, field: &str) -> Option<&str> {
        self.0.get(field).and_then(Value::as_str)
    }
}

impl TryFrom<Map<String, Value>> for UnknownFact {
    type Error = String;

    /// Refuses what is only a damaged form of a transition that is known.
    fn try_from(fact: Map<String, Value>) -> Result<Self, String> {
        match fact.get("transition").and_then(Value::as_str) {
            None => Err("the fact names no transition".to_owned()),
            Some(known) if TRANSITIONS.contains(&known) => {
                Err(format!("the fields of {known:?} are not as they should be"))
            }
            Some(_) => Ok(Self(fact)),
        }
    }
}

impl From<UnknownFact> for Map<String, Value> {
    fn from(fact: UnknownFact) -> Self {
        fact.0
    }
}

/// Every transition that this program knows.
const TRANSITIONS: [&str; 11] = [
    "stored",
    "described",
    "charted",
    "selected",
    "rendered",
    "environmentRemoved",
    "uploadDeleted",
    "purged",
    "deployment",
    "changed",
    "request",
];

/// How often a fact can be true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recurrence {
    /// Once for the version it names.
    Once,
    /// As often as it happens: whoever records it sees to it that each is recorded once.
    Each,
    /// Again and again; only a change of the named lane's state is an event.
    Lane(String),
}

impl Fact {
    /// The transition's name, as it is serialised.
    pub fn transition(&self) -> &str {
        match self {
            Self::Stored { .. } => "stored",
            Self::Described { .. } => "described",
            Self::Charted { .. } => "charted",
            Self::Selected { .. } => "selected",
            Self::Rendered { .. } => "rendered",
            Self::EnvironmentRemoved { .. } => "environmentRemoved",
            Self::UploadDeleted { .. } => "uploadDeleted",
            Self::Purged { .. } => "purged",
            Self::Deployment(_) => "deployment",
            Self::Changed(_) => "changed",
            Self::Request(_) => "request",
            Self::Unknown(fact) => fact.transition(),
        }
    }

    /// The version it is about.
    pub fn version(&self) -> Option<&str> {
        match self {
            Self::Stored { release } => Some(&release.version),
            Self::Described { version, .. }
            | Self::Charted { version, .. }
            | Self::Selected { version, .. }
            | Self::UploadDeleted { version, .. }
            | Self::Purged { version, .. } => Some(version),
            Self::Rendered { version, .. } => version.as_deref(),
            Self::Deployment(deployment) => deployment.version.as_deref(),
            Self::EnvironmentRemoved { .. } | Self::Changed(_) | Self::Request(_) => None,
            Self::Unknown(fact) => fact.text("version"),
        }
    }

    /// The environment it is about.
    pub fn environment(&self) -> Option<&str> {
        match self {
            Self::Selected { environment, .. }
            | Self::Rendered { environment, .. }
            | Self::EnvironmentRemoved { environment } => Some(environment),
            Self::Deployment(deployment) => Some(&deployment.environment),
            Self::Unknown(fact) => fact.text("environment"),
            _ => None,
        }
    }

    /// The cluster it is about.
    pub fn cluster(&self) -> Option<&ClusterRef> {
        match self {
            Self::Deployment(deployment) => Some(&deployment.cluster),
            _ => None,
        }
    }

    /// The digest a reader of the history looks for: of the release, the chart, the artifact or the spec.
    pub fn digest(&self) -> Option<Digest> {
        match self {
            Self::Stored { release } => Some(release.digest),
            Self::Charted { chart, .. } => Some(chart.digest),
            Self::Selected { chart_digest, .. } => Some(*chart_digest),
            Self::Rendered { artifact, .. } => Some(*artifact),
            Self::Purged { release_digest, .. } => Some(*release_digest),
            Self::Deployment(deployment) => Some(deployment.artifact),
            Self::Changed(change) => change.after.map(|spec| spec.digest),
            Self::Described { .. }
            | Self::EnvironmentRemoved { .. }
            | Self::UploadDeleted { .. }
            | Self::Request(_)
            | Self::Unknown(_) => None,
        }
    }

    /// Whether it can happen again, and which lane's state it is then.
    ///
    /// Selection and removal share a lane, so that an environment that is removed and comes back is recorded again;
    /// likewise description and deletion, so that an upload that is deleted, comes back and is deleted is deleted twice.
    pub fn recurrence(&self) -> Recurrence {
        match self {
            Self::Stored { .. } | Self::Charted { .. } | Self::Purged { .. } => Recurrence::Once,
            Self::Described { version, .. } | Self::UploadDeleted { version, .. } => {
                Recurrence::Lane(format!("upload/{version}"))
            }
            Self::Selected { environment, .. } | Self::EnvironmentRemoved { environment } => {
                Recurrence::Lane(format!("selection/{environment}"))
            }
            Self::Rendered { environment, .. } => Recurrence::Lane(format!("rendering/{environment}")),
            Self::Deployment(deployment) => Recurrence::Lane(deployment.lane()),
            Self::Changed(change) => Recurrence::Lane(format!("spec/{}", change.object())),
            Self::Request(_) => Recurrence::Each,
            Self::Unknown(fact) => Recurrence::Lane(fact.transition().to_owned()),
        }
    }

    /// What of the fact is compared with its lane's last state: everything but the reason of a selection, and of a
    /// deployment nothing but how far which version got.
    pub fn state(&self) -> Digest {
        match self {
            Self::Selected { environment, version, chart_digest, .. } => {
                Digest::of_canonical(&("selected", environment, version, chart_digest))
            }
            Self::Deployment(Deployment { state, artifact, version, .. }) => {
                Digest::of_canonical(&("deployment", state, artifact, version))
            }
            Self::Changed(SpecChange { uid, after, .. }) => Digest::of_canonical(&("changed", uid, after)),
            other => Digest::of_canonical(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_newer_transition_is_kept_as_written() {
        let written =
            json!({"transition": "promoted", "version": "1.4.0", "environment": "prod", "gate": {"soak": "10m"}});
        let fact: Fact = serde_json::from_value(written.clone()).unwrap();
        assert_eq!((fact.transition(), fact.version(), fact.environment()), ("promoted", Some("1.4.0"), Some("prod")));
        assert_eq!(serde_json::to_value(&fact).unwrap(), written);
    }

    #[test]
    fn a_damaged_known_transition_is_no_newer_one() {
        for transition in TRANSITIONS {
            assert!(
                serde_json::from_value::<Fact>(json!({"transition": transition, "version": 7})).is_err(),
                "{transition}"
            );
        }
        assert!(serde_json::from_value::<Fact>(json!({"version": "1.4.0"})).is_err());
    }
}
