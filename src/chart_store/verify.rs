//! Whether a journal is whole, and whether the store is what the journal says.

use std::collections::{BTreeMap, VecDeque};

use super::{
    ChartStore, ChartStoreError, DeploymentRecord, EnvironmentRecord, Event, Fact, Head, Recurrence, SpecRecord,
    changes::{Stored, changes},
    deployment::place,
    journal::{Lane, Marker, event_id, read_event},
};
use crate::{digest::Digest, release::ReleaseRecord};

/// How many events are read at once.
const AT_ONCE: usize = 200;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub subject: String,
    /// What is wrong.
    pub problem: String,
}

/// Checks every journal: the chain of its events, their identities, and that replaying them gives what is stored.
pub async fn verify(store: &ChartStore) -> Result<Vec<Finding>, ChartStoreError> {
    let mut findings = Vec::new();
    for head in store.all_heads().await? {
        findings.extend(verify_journal(store, &head).await?.findings);
    }
    Ok(findings)
}

/// What a journal was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Events that were read.
    pub events: u64,
    /// What is wrong, in the order of the journal.
    pub findings: Vec<Finding>,
}

/// What replaying a journal gives.
#[derive(Default)]
struct Replay {
    seq: u64,
    hash: Option<Digest>,
    lanes: BTreeMap<String, Lane>,
    releases: BTreeMap<String, ReleaseRecord>,
    environments: BTreeMap<String, EnvironmentRecord>,
    /// By environment and cluster.
    deployments: BTreeMap<String, DeploymentRecord>,
    specs: BTreeMap<String, SpecRecord>,
}

impl Replay {
    /// Takes the next event; what is wrong with it.
    fn take(&mut self, plane: &str, event: &Event) -> Vec<String> {
        let mut problems = Vec::new();
        if event.seq != self.seq + 1 {
            problems.push(format!("follows event {}: an event is missing", self.seq));
        }
        if event.prev_hash != self.hash {
            problems.push("does not continue the chain: it or the event before it was changed".to_owned());
        }
        let lane = match event.fact.recurrence() {
            Recurrence::Once | Recurrence::Each => None,
            Recurrence::Lane(lane) => Some(lane),
        };
        // What a newer program makes of a fact's identity and lane is not known here.
        if !matches!(event.fact, Fact::Unknown(_)) {
            let previous = lane.as_ref().and_then(|lane| self.lanes.get(lane));
            if event.id != event_id(plane, &event.key, &event.fact, previous.map(|lane| &lane.id)) {
                problems.push("has an id that is not its own".to_owned());
            }
            if let Some(lane) = lane {
                self.lanes.insert(lane, Lane { id: event.id, state: event.fact.state() });
            }
        }
        let stored = Stored {
            release: event.fact.version().and_then(|version| self.releases.get(version)),
            environment: event.fact.environment().and_then(|environment| self.environments.get(environment)),
            deployment: match &event.fact {
                Fact::Deployment(fact) => self.deployments.get(&place(&fact.environment, &fact.cluster)),
                _ => None,
            },
            spec: match &event.fact {
                Fact::Changed(change) => self.specs.get(&change.object()),
                _ => None,
            },
        };
        if let Fact::Changed(change) = &event.fact
            && *change != change.following(stored.spec)
        {
            problems.push("does not begin with the spec that the journal had before".to_owned());
        }
        if let Fact::Deployment(fact) = &event.fact
            && *fact != fact.following(stored.deployment)
        {
            problems.push(format!("does not count its attempts: it is of attempt {}", fact.attempt));
        }
        match changes(event, stored) {
            Ok(Some(change)) => {
                self.releases.extend(change.release.map(|record| (record.release.version.clone(), record)));
                self.environments.extend(change.environment.map(|record| (record.environment.clone(), record)));
                let at = |record: &DeploymentRecord| place(&record.environment, &record.cluster);
                self.deployments.extend(change.deployment.map(|record| (at(&record), record)));
                self.specs.extend(change.spec.map(|record| (record.object.clone(), record)));
            }
            Ok(None) => problems.push("records what was recorded before".to_owned()),
            Err(error) => problems.push(format!("could not have happened: {error}")),
        }
        self.seq = event.seq;
        self.hash = Some(event.hash());
        problems
    }
}

/// Whether a journal ended otherwise than its head said because more was appended since.
async fn went_on(store: &ChartStore, head: &Head, replay: &Replay) -> Result<bool, ChartStoreError> {
    let Some(now) = store.head(&head.key).await?.filter(|now| now.seq > head.seq) else { return Ok(false) };
    if now.seq == replay.seq {
        return Ok(Some(now.hash) == replay.hash);
    }
    let next = store.events(&head.key, replay.seq, 1).await?;
    Ok(replay.seq >= head.seq && next.first().is_some_and(|next| next.prev_hash == replay.hash))
}

/// Checks one journal, which ended so when its head was read. Of what is appended meanwhile records may be found to be newer.
///
/// # Errors
/// Where the store does not answer, or an item beside the events cannot be read.
pub async fn verify_journal(store: &ChartStore, head: &Head) -> Result<Verified, ChartStoreError> {
    let key = &head.key;
    let mut findings = Vec::new();
    let mut events = 0;
    let mut found = |subject: String, problem: String| findings.push(Finding { subject, problem });
    let mut replay = Replay::default();
    let mut range = store.layout.events(key, 0);
    let mut read = VecDeque::new();
    let mut more = true;
    loop {
        // Page by page: a journal may be larger than memory.
        if read.is_empty() && more {
            let page = store.table.query(&range, AT_ONCE).await?;
            more = page.len() == AT_ONCE;
            range.after = page.last().map(|item| item.key.sort.clone());
            read.extend(page);
        }
        let Some(item) = read.pop_front() else { break };
        events += 1;
        let event = match read_event(&item) {
            Ok(event) => event,
            Err(error) => {
                found(item.key.to_string(), error.to_string());
                continue;
            }
        };
        let subject = format!("event {} of {key}", event.seq);
        for problem in replay.take(store.plane(), &event) {
            found(subject.clone(), problem);
        }
        if event.fact.recurrence() == Recurrence::Each {
            continue;
        }
        match store.read_body::<Marker>(&store.layout.marker(key, &event.id)).await? {
            Some(marker) if marker.seq == event.seq => {}
            Some(marker) => found(subject, format!("its marker names event {}", marker.seq)),
            None => found(subject, "its marker is missing: the fact could be recorded again".to_owned()),
        }
    }
    if (replay.seq, replay.hash) != (head.seq, Some(head.hash)) && !went_on(store, head, &replay).await? {
        found(
            format!("the journal of {key}"),
            format!("ends at event {} where its head says {}", replay.seq, head.seq),
        );
    }
    for (name, lane) in &replay.lanes {
        if store.read_body::<Lane>(&store.layout.lane(key, name)).await?.as_ref() != Some(lane) {
            found(format!("lane {name} of {key}"), "is not what the journal says".to_owned());
        }
    }
    for item in store.all(store.layout.releases(key, None)).await? {
        let record: ReleaseRecord = super::store::decode(&item)?;
        match replay.releases.remove(&record.release.version) {
            Some(replayed) if replayed == record => {}
            _ => {
                found(format!("release {} of {key}", record.release.version), "is not what the journal says".to_owned())
            }
        }
    }
    for version in replay.releases.keys() {
        found(format!("release {version} of {key}"), "is in the journal but not in the store".to_owned());
    }
    for record in store.environments(key).await? {
        match replay.environments.remove(&record.environment) {
            Some(replayed) if replayed == record => {}
            _ => {
                found(format!("environment {} of {key}", record.environment), "is not what the journal says".to_owned())
            }
        }
    }
    for environment in replay.environments.keys() {
        found(format!("environment {environment} of {key}"), "is in the journal but not in the store".to_owned());
    }
    for record in store.deployments(key).await? {
        let at = place(&record.environment, &record.cluster);
        match replay.deployments.remove(&at) {
            Some(replayed) if replayed == record => {}
            _ => found(format!("deployment {at} of {key}"), "is not what the journal says".to_owned()),
        }
    }
    for at in replay.deployments.keys() {
        found(format!("deployment {at} of {key}"), "is in the journal but not in the store".to_owned());
    }
    for item in store.all(store.layout.specs(key)).await? {
        let record: SpecRecord = super::store::decode(&item)?;
        match replay.specs.remove(&record.object) {
            Some(replayed) if replayed == record => {}
            _ => found(format!("the spec of {} in {key}", record.object), "is not what the journal says".to_owned()),
        }
    }
    for object in replay.specs.keys() {
        found(format!("the spec of {object} in {key}"), "is in the journal but not in the store".to_owned());
    }
    Ok(Verified { events, findings })
}
