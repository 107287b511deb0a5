//! The transition: one event, with all that it changes, in one transaction.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{
    ChartStore, ChartStoreError, Deployment, DeploymentRecord, EnvironmentRecord, Event, Fact, HEAD_PARTITIONS,
    Recurrence, SCHEMA_VERSION, SpecRecord, SpecText,
    changes::{Change, Stored, changes},
    store::{decode, encode},
    table::{Condition, Item, ItemKey, TableError, Write},
};
use crate::{
    digest::Digest,
    release::{ApplicationKey, ReleaseRecord},
};

/// How often a transition is tried while others append to the same journal.
const ATTEMPTS: u32 = 24;

/// A fact to be recorded.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Who caused it.
    pub actor: String,
    /// What happened.
    pub fact: Fact,
    /// The spec that asked for it.
    pub spec: Option<SpecText>,
    /// The packaged chart, with [`Fact::Charted`]. A larger one than an item takes lies in the Harbor instead.
    pub chart_package: Option<Bytes>,
}

/// What became of a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)]
pub enum Recorded {
    /// This call appended it.
    Appended(Event),
    /// Another call recorded it before, or it is the state of its lane already.
    Already,
}

/// The end of an application's journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// The application.
    #[serde(flatten)]
    pub key: ApplicationKey,
    /// The newest event's position.
    pub seq: u64,
    /// The newest event's [`Event::hash`].
    pub hash: Digest,
}

/// The last state of a fact that recurs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lane {
    /// The event that brought it.
    pub id: Digest,
    /// [`Fact::state`].
    pub state: Digest,
}

/// Says that a fact is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Marker {
    /// Which event it is.
    pub seq: u64,
    /// The call of [`ChartStore::record`] that appended it. Random, and no part of the event.
    pub writer: String,
}

/// An event's identity. A fact that recurs carries its lane's previous id, so that coming back to a state is new.
pub(super) fn event_id(plane: &str, key: &ApplicationKey, fact: &Fact, previous: Option<&Digest>) -> Digest {
    match fact {
        Fact::Changed(change) => {
            let (object, generation) = (change.object(), change.after.map(|spec| spec.generation));
            let changed = (fact.transition(), object, &change.uid, generation, fact.digest());
            return Digest::of_canonical(&((plane, &key.namespace, &key.application), changed, previous));
        }
        Fact::Request(request) => {
            let one = (fact.transition(), &request.request, request.stream, request.first);
            return Digest::of_canonical(&((plane, &key.namespace, &key.application), one));
        }
        _ => {}
    }
    // How far a deployment got belongs to where it is: the same version gets to several states in one cluster.
    let cluster = match fact {
        Fact::Deployment(Deployment { cluster, state, .. }) => Some((cluster, state)),
        _ => None,
    };
    Digest::of_canonical(&(
        (plane, &key.namespace, &key.application),
        (fact.version(), fact.transition(), fact.digest()),
        (fact.environment(), cluster, previous),
    ))
}

/// Everything a transition depends on, as it was read.
struct Before {
    head: Option<(Head, Item)>,
    lane: Option<(Lane, Item)>,
    release: Option<(ReleaseRecord, Item)>,
    environment: Option<(EnvironmentRecord, Item)>,
    deployment: Option<(DeploymentRecord, Item)>,
    spec: Option<(SpecRecord, Item)>,
}

/// An event, and all that comes with it.
struct Transition {
    event: Event,
    change: Change,
    writes: Vec<Write>,
}

impl Before {
    fn stored(&self) -> Stored<'_> {
        Stored {
            release: self.release.as_ref().map(|(record, _)| record),
            environment: self.environment.as_ref().map(|(record, _)| record),
            deployment: self.deployment.as_ref().map(|(record, _)| record),
            spec: self.spec.as_ref().map(|(record, _)| record),
        }
    }

    /// The fact as it is to be recorded after what is.
    fn followed_by(&self, fact: &Fact) -> Fact {
        match fact {
            Fact::Deployment(deployment) => Fact::Deployment(deployment.following(self.stored().deployment)),
            Fact::Changed(change) => Fact::Changed(change.following(self.stored().spec)),
            other => other.clone(),
        }
    }

    /// Whether a fact that recurs is the state of its lane already.
    ///
    /// An environment's selections and end on the one hand and its renderings on the other are states of two lanes, and
    /// each may undo the other's: what was rendered before the end is rendered anew by an overlay that comes back, and
    /// that one's end is another; manifests of its own, rendered, take the place of what is selected, and the other way
    /// round.
    fn is_so(&self, fact: &Fact) -> bool {
        if let Fact::Changed(change) = fact {
            return change.is_known(self.stored().spec);
        }
        let environment = self.stored().environment;
        let ended = environment.is_some_and(|record| record.removed);
        let has_selected = environment.is_some_and(|record| record.selected.is_some());
        let undone = match fact {
            Fact::Rendered { version: None, .. } => ended || has_selected,
            Fact::Rendered { .. } => ended,
            Fact::Selected { .. } => !has_selected,
            Fact::EnvironmentRemoved { .. } => !ended,
            _ => false,
        };
        !undone && self.lane.as_ref().is_some_and(|(lane, _)| lane.state == fact.state())
    }
}

impl ChartStore {
    /// Records a fact: once, whoever tries, however often, and whatever dies in between.
    pub async fn record(&self, key: &ApplicationKey, entry: Entry) -> Result<Recorded, ChartStoreError> {
        let appended = self.append(key, &entry).await?;
        Ok(appended.map_or(Recorded::Already, |(event, _)| Recorded::Appended(event)))
    }

    /// The same of what became of a deployment; what is on record of it then.
    pub async fn record_deployment(
        &self,
        key: &ApplicationKey,
        actor: &str,
        deployment: Deployment,
    ) -> Result<Option<DeploymentRecord>, ChartStoreError> {
        let fact = Fact::Deployment(deployment.clone());
        let entry = Entry { actor: actor.to_owned(), fact, spec: None, chart_package: None };
        match self.append(key, &entry).await? {
            Some((_, change)) => Ok(change.deployment),
            None => self.deployment(key, &deployment.environment, &deployment.cluster).await,
        }
    }

    /// Appends an event with all that it changes, or nothing where that is recorded already.
    async fn append(&self, key: &ApplicationKey, entry: &Entry) -> Result<Option<(Event, Change)>, ChartStoreError> {
        let writer = Uuid::new_v4().to_string();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                // Others were faster; a little disorder lets everybody through.
                tokio::time::sleep(Duration::from_millis(fastrand::u64(1..=10 * u64::from(attempt)))).await;
            }
            let before = self.before(key, &entry.fact).await?;
            if before.is_so(&entry.fact) {
                return Ok(None);
            }
            let id = event_id(self.plane(), key, &entry.fact, before.lane.as_ref().map(|(lane, _)| &lane.id));
            // In a lane, whoever recorded it has moved the lane, too: then this transaction cannot be made.
            let recurs = matches!(entry.fact.recurrence(), Recurrence::Lane(_));
            if !recurs && self.table.get(&self.layout.marker(key, &id)).await?.is_some() {
                return Ok(None);
            }
            let Some(transition) = self.transition(key, entry, before, id, &writer)? else { return Ok(None) };
            let made = match self.commit("journal", &transition.writes).await {
                Ok(()) => true,
                // The head moved, so this transaction cannot be made any more; but it may be what moved it.
                Err(TableError::ConditionFailed { .. }) => self.is_marked_by(&writer, key, &id).await?,
                Err(error) => return Err(error.into()),
            };
            if made {
                self.announce_append();
                return Ok(Some((transition.event, transition.change)));
            }
        }
        Err(ChartStoreError::contended_journal(key))
    }

    /// The end of an application's journal.
    pub async fn head(&self, key: &ApplicationKey) -> Result<Option<Head>, ChartStoreError> {
        self.read_body(&self.layout.head(key)).await
    }

    /// The ends of the journals in one of the [`HEAD_PARTITIONS`](super::HEAD_PARTITIONS), in the order of their keys.
    pub async fn heads(
        &self,
        partition: u8,
        after: Option<&ApplicationKey>,
        limit: usize,
    ) -> Result<Vec<Head>, ChartStoreError> {
        self.table.query(&self.layout.heads(partition, after), limit).await?.iter().map(decode).collect()
    }

    /// The ends of all journals.
    pub async fn all_heads(&self) -> Result<Vec<Head>, ChartStoreError> {
        let mut heads = Vec::new();
        for partition in 0..HEAD_PARTITIONS {
            for item in self.all(self.layout.heads(partition, None)).await? {
                heads.push(decode(&item)?);
            }
        }
        Ok(heads)
    }

    /// The events that follow a position, in order.
    pub async fn events(
        &self,
        key: &ApplicationKey,
        after_seq: u64,
        limit: usize,
    ) -> Result<Vec<Event>, ChartStoreError> {
        let items = self.table.query(&self.layout.events(key, after_seq), limit).await?;
        items.iter().map(read_event).collect()
    }

    /// Whether a fact was recorded by this very call: a request whose answer was lost had been carried out when it was
    /// sent again.
    async fn is_marked_by(&self, writer: &str, key: &ApplicationKey, id: &Digest) -> Result<bool, ChartStoreError> {
        let marker = self.read_body::<Marker>(&self.layout.marker(key, id)).await?;
        Ok(marker.is_some_and(|marker| marker.writer == writer))
    }

    async fn before(&self, key: &ApplicationKey, fact: &Fact) -> Result<Before, ChartStoreError> {
        let lane = match fact.recurrence() {
            Recurrence::Once | Recurrence::Each => None,
            Recurrence::Lane(lane) => Some(self.layout.lane(key, &lane)),
        };
        let deployment = match fact {
            Fact::Deployment(Deployment { environment, cluster, .. }) => {
                Some(self.layout.deployment(key, environment, cluster))
            }
            _ => None,
        };
        let spec = match fact {
            Fact::Changed(change) => Some(self.layout.spec(key, &change.object())),
            _ => None,
        };
        // The head first: if it stands at the end, nothing that is read after it has changed.
        let at = [
            Some(self.layout.head(key)),
            lane,
            fact.version().map(|version| self.layout.release(key, version)),
            fact.environment().map(|environment| self.layout.environment(key, environment)),
            deployment,
            spec,
        ];
        let keys: Vec<_> = at.iter().flatten().cloned().collect();
        let mut found = self.table.get_all(&keys).await?.into_iter();
        let [head, lane, release, environment, deployment, spec] =
            at.map(|key| key.and_then(|_| found.next().flatten()));
        Ok(Before {
            head: decoded(head)?,
            lane: decoded(lane)?,
            release: decoded(release)?,
            environment: decoded(environment)?,
            deployment: decoded(deployment)?,
            spec: decoded(spec)?,
        })
    }

    /// A transition, or none where there is nothing to record.
    fn transition(
        &self,
        key: &ApplicationKey,
        entry: &Entry,
        before: Before,
        id: Digest,
        writer: &str,
    ) -> Result<Option<Transition>, ChartStoreError> {
        let event = Event {
            schema_version: SCHEMA_VERSION,
            plane: self.plane().to_owned(),
            key: key.clone(),
            seq: before.head.as_ref().map_or(1, |(head, _)| head.seq + 1),
            prev_hash: before.head.as_ref().map(|(head, _)| head.hash),
            id,
            time: now(),
            actor: entry.actor.clone(),
            fact: before.followed_by(&entry.fact),
            spec: entry.spec.clone(),
        };
        let Some(change) = changes(&event, before.stored())? else { return Ok(None) };
        let head = Head { key: key.clone(), seq: event.seq, hash: event.hash() };
        let marker = Marker { seq: event.seq, writer: writer.to_owned() };
        let head_before = before.head.as_ref().map(|(_, item)| item);
        let mut writes = vec![
            Write::put(self.layout.head(key), encode(&head), Condition::unchanged(head_before)),
            Write::put(self.layout.event(key, event.seq), encode(&event), Condition::Absent),
            Write::put(self.layout.marker(key, &id), encode(&marker), Condition::Absent),
        ];
        if let Recurrence::Lane(lane) = event.fact.recurrence() {
            let state = Lane { id, state: event.fact.state() };
            let lane_before = before.lane.as_ref().map(|(_, item)| item);
            writes.push(Write::put(self.layout.lane(key, &lane), encode(&state), Condition::unchanged(lane_before)));
        }
        self.domain_writes(&event, &change, entry.chart_package.as_ref(), &before, &mut writes)?;
        Ok(Some(Transition { event, change, writes }))
    }

    fn domain_writes(
        &self,
        event: &Event,
        change: &Change,
        package: Option<&Bytes>,
        before: &Before,
        writes: &mut Vec<Write>,
    ) -> Result<(), ChartStoreError> {
        let key = &event.key;
        let mut put = |at: ItemKey, body: String, before: Option<&Item>| {
            writes.push(Write::put(at, body, Condition::unchanged(before)));
        };
        if let Some(record) = &change.release {
            let at = self.layout.release(key, &record.release.version);
            put(at, encode(record), before.release.as_ref().map(|(_, item)| item));
        }
        if let Some(record) = &change.environment {
            let at = self.layout.environment(key, &record.environment);
            put(at, encode(record), before.environment.as_ref().map(|(_, item)| item));
        }
        if let Some(record) = &change.deployment {
            let at = self.layout.deployment(key, &record.environment, &record.cluster);
            put(at, encode(record), before.deployment.as_ref().map(|(_, item)| item));
        }
        if let Some(record) = &change.spec {
            put(self.layout.spec(key, &record.object), encode(record), before.spec.as_ref().map(|(_, item)| item));
        }
        for (at, reference) in self.index(event) {
            writes.push(Write::put(at, encode(&reference), Condition::Any));
        }
        match &event.fact {
            Fact::Charted { version, chart } => {
                if let Some(package) = package {
                    if Digest::of(package) != chart.package {
                        let problem = format!("it is not the {} that its record names", chart.package);
                        return Err(ChartStoreError::ChartPackage { version: version.clone(), problem });
                    }
                    let at = self.layout.chart(key, version);
                    writes.push(Write::put_blob(at, encode(&chart.package), package.clone(), Condition::Any));
                }
            }
            Fact::Purged { version, .. } => {
                writes.push(Write::delete(self.layout.chart(key, version), Condition::Any));
            }
            // It is the application's own from then on, as a blob that is linked to it.
            Fact::Deployment(Deployment { inventory: Some(inventory), .. }) => {
                writes.push(self.linking(key, inventory));
            }
            _ => {}
        }
        Ok(())
    }
}

/// The content of an item, if there is one, and the item.
fn decoded<T: DeserializeOwned>(item: Option<Item>) -> Result<Option<(T, Item)>, ChartStoreError> {
    item.map(|item| Ok((decode(&item)?, item))).transpose()
}

/// An event as it is stored, unless a newer program wrote it.
pub(super) fn read_event(item: &Item) -> Result<Event, ChartStoreError> {
    let event: Event = decode(item)?;
    if event.schema_version > SCHEMA_VERSION {
        return Err(ChartStoreError::NewerSchema {
            item: item.key.to_string(),
            found: event.schema_version,
            known: SCHEMA_VERSION,
        });
    }
    Ok(event)
}

/// To the millisecond: what every database and every reader can hold.
pub(super) fn now() -> Timestamp {
    Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn identities_are_those_of_journals_that_exist() {
        let (digest, previous) = (Digest::of("a"), Digest::of("previous"));
        let deployment = |state: &str, detail: &str| {
            json!({
                "transition": "deployment", "environment": "prod", "version": "1.4.0", "artifact": digest,
                "cluster": {"namespace": "fleet", "name": "eu-1", "uid": "7b0c"}, "state": state, "detail": detail,
            })
        };
        let id = |fact: Value, previous: Option<&Digest>| {
            let fact: Fact = serde_json::from_value(fact).unwrap();
            event_id("orbit", &ApplicationKey::new("shop", "web"), &fact, previous).to_string()
        };
        let selected = json!({
            "transition": "selected", "environment": "prod", "version": "1.4.0", "chartDigest": digest,
            "reason": "Newest",
        });
        let rendered = json!({
            "transition": "rendered", "environment": "prod", "artifact": digest, "inputsDigest": digest, "objects": 1,
            "images": [],
        });
        let deleted = json!({
            "transition": "uploadDeleted", "upload": "web", "version": "1.4.0", "retentionPolicy": "Retain",
        });
        for (fact, previous, expected) in [
            (
                json!({"transition": "purged", "version": "1.4.0", "releaseDigest": digest}),
                None,
                "sha256:4633e50b5a47d06bad393063eb0078a214133dea6a148f71ebd52730cc2adbe3",
            ),
            (deleted, None, "sha256:5d4b61b629303bf587a15030ec9a124ef2575bf87147f73d97785d91ab3c69c6"),
            (selected, Some(&previous), "sha256:2606884d446a6e0cfef00548077b6c047c9619d2628c22850d47950c8084d486"),
            (rendered, Some(&previous), "sha256:4e8cbfd1b07cdf9005f255f7ceebe91bcdb981e8a22cd2ba58272d7d1b39fc23"),
            (
                json!({"transition": "environmentRemoved", "environment": "prod"}),
                Some(&previous),
                "sha256:63ae01d64c71d069cba8bfc29d9f8e0cc7e4ed46aeb916313a55aa257ff1742f",
            ),
            (
                deployment("requested", ""),
                Some(&previous),
                "sha256:f2368430db41c16620140b869b1e01674d164e99ea3fb55653f526d0acc59b92",
            ),
            (
                deployment("healthy", "all of it"),
                Some(&previous),
                "sha256:6588782772d009a778385b22701126c98d798551a3c303b7613b39a8723ddf5f",
            ),
        ] {
            assert_eq!(id(fact.clone(), previous), expected, "{fact}");
        }
    }
}
