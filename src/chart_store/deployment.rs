//! What a cluster runs of an application: the fact that says so, and what the store keeps of the last one.
//!
//! Deployments are counted per environment and cluster: an attempt begins when it is asked for and lasts until another
//! takes its place or its objects are gone. Numbering is the store's: it alone knows what came before.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{digest::Digest, release::ClusterRef};

/// How far a deployment got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DeploymentState {
    /// It is to run there. Begins an attempt.
    Requested,
    /// The cluster took all of its objects.
    Applied,
    /// All of its objects are as they should be.
    Healthy,
    /// It was healthy and is not any more.
    Degraded,
    /// It did not become healthy in time, or the cluster refused it.
    Failed,
    /// It was given up for what had been healthy before, which is the next attempt.
    RolledBack,
    /// Its objects were taken away, or left to themselves by wish.
    Removed,
    /// The cluster is gone, or was out of reach for too long.
    Lost,
}

impl DeploymentState {
    /// Every state, in the order in which they usually follow each other.
    pub const ALL: [Self; 8] = [
        Self::Requested,
        Self::Applied,
        Self::Healthy,
        Self::Degraded,
        Self::Failed,
        Self::RolledBack,
        Self::Removed,
        Self::Lost,
    ];

    /// As it is serialised.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Applied => "applied",
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
            Self::RolledBack => "rolledBack",
            Self::Removed => "removed",
            Self::Lost => "lost",
        }
    }

    /// Whether its objects are in the cluster for certain.
    pub fn is_applied(self) -> bool {
        matches!(self, Self::Applied | Self::Healthy | Self::Degraded)
    }

    /// Whether nothing of the application is there any more, as far as the plane knows.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Removed | Self::Lost)
    }
}

/// What became of a deployment: the fact that the journal records. Recurs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// The environment.
    pub environment: String,
    /// The cluster.
    pub cluster: ClusterRef,
    /// The version; none where the overlay's base is manifests of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Digest of the rendered artifact's OCI manifest.
    pub artifact: Digest,
    /// Digests of the images that it runs, as far as they are pinned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Digest>,
    /// How far it got.
    pub state: DeploymentState,
    /// What of it is in the cluster, as a blob of the Harbor: where this state changed that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Digest>,
    /// What else there is to say, for people. No part of the state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Which attempt of this environment in this cluster it is, from 1. Filled in when the fact is recorded.
    #[serde(default)]
    pub attempt: u64,
    /// The attempt that ends by it: one whose objects it took the place of, or that never got so far. Filled in when
    /// the fact is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<u64>,
}

impl Deployment {
    /// The lane of its environment in its cluster. The UID comes last: it is the one part that another API server chose.
    pub(super) fn lane(&self) -> String {
        format!("deployment/{}", place(&self.environment, &self.cluster))
    }

    /// The same fact with the numbers it has after what is recorded.
    ///
    /// An attempt begins with each request, and with whatever else is said of another artifact than before or of one
    /// that was removed. Ends are of the attempt that is current, whichever artifact they name; a cluster that was lost
    /// and comes back goes on with it.
    pub(super) fn following(&self, before: Option<&DeploymentRecord>) -> Self {
        let Some(before) = before else { return Self { attempt: 1, replaces: None, ..self.clone() } };
        let begins = match self.state {
            DeploymentState::Requested => true,
            state if state.is_end() => false,
            _ => self.artifact != before.artifact || before.state == DeploymentState::Removed,
        };
        let attempt = before.attempt + u64::from(begins);
        let applied = before.applied.as_ref().map(|applied| applied.attempt);
        // What is in the cluster stays there until something else is; what is not is of no use once another is wanted.
        let superseded =
            (begins && !before.state.is_end() && applied != Some(before.attempt)).then_some(before.attempt);
        let replaced = applied.filter(|_| self.state.is_applied() || self.state.is_end());
        let replaces = replaced.or(superseded).filter(|replaced| *replaced != attempt);
        Self { attempt, replaces, ..self.clone() }
    }
}

/// The part of keys that names an environment in a cluster.
pub(super) fn place(environment: &str, cluster: &ClusterRef) -> String {
    format!("{environment}/{}/{}/{}", cluster.namespace, cluster.name, cluster.uid)
}

/// What the last fact said of an environment in a cluster. It stays when what it is about is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentRecord {
    /// The environment.
    pub environment: String,
    /// The cluster.
    pub cluster: ClusterRef,
    /// The current attempt, from 1.
    pub attempt: u64,
    /// How far it got.
    pub state: DeploymentState,
    /// Since when.
    pub since: Timestamp,
    /// Digest of the attempt's artifact.
    pub artifact: Digest,
    /// The attempt's version; none where the base is manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Digests of the attempt's images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Digest>,
    /// What there was to say of the state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The inventory that was named last, unless all of it was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Digest>,
    /// The attempt whose objects the cluster took last; none before the first and after an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Deployed>,
    /// The attempt that was healthy last: what a rollback goes back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_healthy: Option<Deployed>,
}

/// An attempt that got somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployed {
    /// Which one.
    pub attempt: u64,
    /// Digest of its artifact.
    pub artifact: Digest,
    /// Its version; none where the base is manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Digests of its images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Digest>,
    /// When it last got there.
    pub at: Timestamp,
}

impl DeploymentRecord {
    /// What is to be kept after a fact that was numbered by [`Deployment::following`].
    pub(super) fn after(fact: &Deployment, at: Timestamp, before: Option<&Self>) -> Self {
        // An end says nothing new of what ends.
        let kept = before.filter(|_| fact.state.is_end());
        let (artifact, version, images) = match kept {
            Some(before) => (before.artifact, &before.version, &before.images),
            None => (fact.artifact, &fact.version, &fact.images),
        };
        let now = Deployed { attempt: fact.attempt, artifact, version: version.clone(), images: images.clone(), at };
        let applied = match fact.state {
            state if state.is_end() => None,
            state if state.is_applied() => Some(now.clone()),
            _ => before.and_then(|before| before.applied.clone()),
        };
        let last_healthy = match fact.state {
            DeploymentState::Healthy => Some(now.clone()),
            _ => before.and_then(|before| before.last_healthy.clone()),
        };
        let inventory = match fact.state {
            DeploymentState::Removed => None,
            _ => fact.inventory.or(before.and_then(|before| before.inventory)),
        };
        Self {
            environment: fact.environment.clone(),
            cluster: fact.cluster.clone(),
            attempt: now.attempt,
            state: fact.state,
            since: at,
            artifact: now.artifact,
            version: now.version,
            images: now.images,
            detail: fact.detail.clone(),
            inventory,
            applied,
            last_healthy,
        }
    }
}

#[cfg(test)]
mod tests {
    use DeploymentState::{Applied, Degraded, Failed, Healthy, Lost, Removed, Requested, RolledBack};

    use super::*;

    fn said(version: &str, state: DeploymentState) -> Deployment {
        Deployment {
            environment: "prod".into(),
            cluster: ClusterRef::new("fleet", "eu-1", "7b0c"),
            version: Some(version.into()),
            artifact: Digest::of(version),
            images: vec![Digest::of(format!("image of {version}"))],
            state,
            inventory: (state == Applied).then(|| Digest::of(format!("inventory of {version}"))),
            detail: None,
            attempt: 0,
            replaces: None,
        }
    }

    /// What is said, one after the other, each with the attempt it is of and the one that ends by it; and what is kept.
    fn tell(story: &[(&str, DeploymentState, u64, Option<u64>)]) -> DeploymentRecord {
        let mut record: Option<DeploymentRecord> = None;
        for (second, (version, state, attempt, replaces)) in story.iter().enumerate() {
            let fact = said(version, *state).following(record.as_ref());
            assert_eq!((fact.attempt, fact.replaces), (*attempt, *replaces), "{version} {state:?} at {second}");
            let at = Timestamp::from_second(second as i64).unwrap();
            record = Some(DeploymentRecord::after(&fact, at, record.as_ref()));
        }
        record.unwrap()
    }

    fn attempts(record: &DeploymentRecord) -> (u64, Option<u64>, Option<u64>) {
        let of = |deployed: &Option<Deployed>| deployed.as_ref().map(|deployed| deployed.attempt);
        (record.attempt, of(&record.applied), of(&record.last_healthy))
    }

    #[test]
    fn an_attempt_lasts_until_another_is_in_its_place() {
        let record = tell(&[
            ("1", Requested, 1, None),
            ("1", Applied, 1, None),
            ("1", Healthy, 1, None),
            ("2", Requested, 2, None),
            ("2", Applied, 2, Some(1)),
            ("2", Degraded, 2, None),
        ]);
        assert_eq!(attempts(&record), (2, Some(2), Some(1)));
        assert_eq!(record.inventory, Some(Digest::of("inventory of 2")));
    }

    #[test]
    fn what_was_never_applied_ends_when_another_is_wanted() {
        let record = tell(&[
            ("1", Requested, 1, None),
            ("1", Applied, 1, None),
            ("2", Requested, 2, None),
            ("3", Requested, 3, Some(2)),
            ("3", Applied, 3, Some(1)),
        ]);
        assert_eq!(attempts(&record), (3, Some(3), None));
    }

    #[test]
    fn a_rollback_is_an_attempt_of_its_own() {
        let record = tell(&[
            ("1", Requested, 1, None),
            ("1", Healthy, 1, None),
            ("2", Requested, 2, None),
            ("2", Applied, 2, Some(1)),
            ("2", Failed, 2, None),
            ("2", RolledBack, 2, None),
            ("1", Requested, 3, None),
            ("1", Applied, 3, Some(2)),
        ]);
        assert_eq!((attempts(&record), record.version.as_deref()), ((3, Some(3), Some(1)), Some("1")));
    }

    #[test]
    fn an_end_is_of_all_that_is_there_and_what_was_healthy_is_remembered() {
        for end in [Removed, Lost] {
            // Of the version that still runs while another is on its way.
            let record = tell(&[
                ("1", Requested, 1, None),
                ("1", Healthy, 1, None),
                ("2", Requested, 2, None),
                ("1", end, 2, Some(1)),
            ]);
            assert_eq!((attempts(&record), record.version.as_deref()), ((2, None, Some(1)), Some("2")));
        }
    }

    #[test]
    fn a_cluster_that_comes_back_goes_on_and_one_that_was_cleaned_begins_anew() {
        let until = [("1", Requested, 1, None), ("1", Applied, 1, None)];
        let back = tell(&[&until[..], &[("1", Lost, 1, None), ("1", Healthy, 1, None)]].concat());
        assert_eq!(attempts(&back), (1, Some(1), Some(1)));
        assert!(back.inventory.is_some());
        let anew = tell(&[&until[..], &[("1", Removed, 1, None), ("1", Applied, 2, None)]].concat());
        assert_eq!(attempts(&anew), (2, Some(2), None));
        let removed = tell(&[&until[..], &[("1", Removed, 1, None)]].concat());
        assert_eq!(removed.inventory, None);
    }

    #[test]
    fn states_are_named_as_they_are_serialised() {
        for state in DeploymentState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
