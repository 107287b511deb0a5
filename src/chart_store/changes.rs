//! What an event changes in the store: a pure function. Replaying a journal through it gives the same items again.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ChartStoreError, DeploymentRecord, Event, Fact, SpecRecord};
use crate::{
    api::{OverlayImage, SelectionReason},
    digest::Digest,
    release::{Description, ReleaseRecord},
};

/// What an environment runs of an application.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentRecord {
    /// The environment.
    pub environment: String,
    /// The version that was selected last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selected: Option<Selection>,
    /// The manifests that were rendered last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendered: Option<RenderedRecord>,
    /// Whether its overlay is gone.
    #[serde(default)]
    pub removed: bool,
}

/// A selected version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Selection {
    /// The version.
    pub version: String,
    /// Its chart.
    pub chart_digest: Digest,
    /// Why it.
    pub reason: SelectionReason,
    /// Since when.
    pub at: Timestamp,
    /// Who caused it.
    pub actor: String,
}

/// Rendered manifests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RenderedRecord {
    /// The version; none where the base is manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Digest of the artifact's OCI manifest.
    pub artifact: Digest,
    /// Digest of everything the rendering depended on.
    pub inputs_digest: Digest,
    /// Kubernetes objects in it.
    pub objects: u32,
    /// Images it runs.
    pub images: Vec<OverlayImage>,
    /// Since when.
    pub at: Timestamp,
}

/// The items that an event writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub release: Option<ReleaseRecord>,
    pub environment: Option<EnvironmentRecord>,
    pub deployment: Option<DeploymentRecord>,
    pub spec: Option<SpecRecord>,
}

/// The items that an event is about, as they are stored before it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stored<'a> {
    pub release: Option<&'a ReleaseRecord>,
    pub environment: Option<&'a EnvironmentRecord>,
    pub deployment: Option<&'a DeploymentRecord>,
    pub spec: Option<&'a SpecRecord>,
}

/// What an event changes, given what is stored; none where it has nothing to add.
pub(super) fn changes(event: &Event, stored: Stored<'_>) -> Result<Option<Change>, ChartStoreError> {
    let Stored { release, environment, deployment, .. } = stored;
    let of_release = |record| Ok(Some(Change { release: Some(record), ..Change::default() }));
    let of_environment = |record| Ok(Some(Change { environment: Some(record), ..Change::default() }));
    match &event.fact {
        Fact::Stored { release: offered } => match release {
            None => of_release(ReleaseRecord {
                release: offered.clone(),
                description: Description::default(),
                chart: None,
                actor: event.actor.clone(),
                stored_at: event.time,
                purged_at: None,
            }),
            Some(stored) if stored.purged_at.is_some() => {
                Err(ChartStoreError::VersionPurged { version: offered.version.clone() })
            }
            Some(stored) if stored.release.digest == offered.digest => Ok(None),
            Some(stored) => Err(ChartStoreError::VersionConflict {
                version: offered.version.clone(),
                stored: stored.release.digest,
                offered: offered.digest,
            }),
        },
        Fact::Described { version, description } => {
            let record = standing(version, release)?.clone();
            of_release(ReleaseRecord { description: description.clone(), ..record })
        }
        Fact::Charted { version, chart } => {
            let record = standing(version, release)?.clone();
            if record.chart.is_some() {
                return Ok(None);
            }
            of_release(ReleaseRecord { chart: Some(chart.clone()), ..record })
        }
        Fact::Purged { version, .. } => {
            let record = release.ok_or_else(|| ChartStoreError::ReleaseUnknown { version: version.clone() })?;
            if record.purged_at.is_some() {
                return Ok(None);
            }
            of_release(tombstone(record, event.time))
        }
        Fact::Selected { environment: name, version, chart_digest, reason } => {
            let selection = Selection {
                version: version.clone(),
                chart_digest: *chart_digest,
                reason: *reason,
                at: event.time,
                actor: event.actor.clone(),
            };
            of_environment(EnvironmentRecord { selected: Some(selection), removed: false, ..named(name, environment) })
        }
        Fact::Rendered { environment: name, version, artifact, inputs_digest, objects, images } => {
            let rendered = RenderedRecord {
                version: version.clone(),
                artifact: *artifact,
                inputs_digest: *inputs_digest,
                objects: *objects,
                images: images.clone(),
                at: event.time,
            };
            let record = named(name, environment);
            // An environment that runs manifests of its own runs no version.
            let selected = record.selected.clone().filter(|_| version.is_some());
            of_environment(EnvironmentRecord { selected, rendered: Some(rendered), removed: false, ..record })
        }
        Fact::EnvironmentRemoved { environment: name } => {
            of_environment(EnvironmentRecord { selected: None, removed: true, ..named(name, environment) })
        }
        Fact::Deployment(fact) => {
            let record = DeploymentRecord::after(fact, event.time, deployment);
            Ok(Some(Change { deployment: Some(record), ..Change::default() }))
        }
        Fact::Changed(fact) => Ok(Some(Change { spec: Some(fact.record()), ..Change::default() })),
        Fact::UploadDeleted { .. } | Fact::Request(_) | Fact::Unknown(_) => Ok(Some(Change::default())),
    }
}

/// The release, if there is one whose data was not given up.
fn standing<'a>(version: &str, release: Option<&'a ReleaseRecord>) -> Result<&'a ReleaseRecord, ChartStoreError> {
    match release {
        None => Err(ChartStoreError::ReleaseUnknown { version: version.to_owned() }),
        Some(record) if record.purged_at.is_some() => {
            Err(ChartStoreError::VersionPurged { version: version.to_owned() })
        }
        Some(record) => Ok(record),
    }
}

/// What stays of a release whose data is given up: that it was, and what it was.
fn tombstone(record: &ReleaseRecord, at: Timestamp) -> ReleaseRecord {
    let mut tombstone = ReleaseRecord { purged_at: Some(at), chart: None, ..record.clone() };
    tombstone.release.config.clear();
    tombstone
}

fn named(environment: &str, record: Option<&EnvironmentRecord>) -> EnvironmentRecord {
    record.cloned().unwrap_or_else(|| EnvironmentRecord { environment: environment.to_owned(), ..Default::default() })
}
