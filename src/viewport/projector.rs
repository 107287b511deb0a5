//! Keeps the Viewport where the journals are.
//!
//! A pass compares the head of every journal with the application's cursor and moves on what is behind. A pass follows
//! every append of this process, and one a minute whatever other processes append. What cannot be projected of one
//! application is told and holds up no other; a database that is down is tried again at growing intervals.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    error::ViewportError,
    store::{Cursor, Step, Viewport},
};
use crate::{
    chart_store::{ChartStore, ChartStoreError, HEAD_PARTITIONS, Head},
    release::ApplicationKey,
};

/// How long nothing may have been appended until the heads are looked at anyway, with cursors read anew.
const SAFETY_INTERVAL: Duration = Duration::from_secs(60);
/// How many times as long as a pass the rest after it is: passes take a twentieth of the time, and what is appended
/// meanwhile is projected together.
const RESTS: u32 = 19;
/// The longest rest after a pass. One that is longer itself takes more than its twentieth.
const LONGEST_REST: Duration = Duration::from_secs(5);
/// How many events are applied in one transaction.
const BATCH: usize = 50;
/// How many applications are moved on in one transaction, as far as that goes: its beginning and its end are trips to the
/// database, as each statement is.
const TOGETHER: usize = 16;
/// How many heads are read at once.
const HEADS_AT_ONCE: usize = 500;
/// How often an application is tried in a pass while other projectors move it on.
const RACES: u32 = 10;
/// The first and the longest wait after a pass that failed.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// How long the last pass may take, after which nothing is recorded any more.
const LAST_PASS: Duration = Duration::from_secs(3);

/// Why nothing can be projected at all.
#[derive(Debug, thiserror::Error)]
pub enum ProjectorError {
    /// The journals cannot be read.
    #[error(transparent)]
    ChartStore(#[from] ChartStoreError),
    /// The Viewport cannot be written.
    #[error(transparent)]
    Viewport(#[from] ViewportError),
}

/// How far the Viewport is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Events that are in the journals and not in the Viewport; none before that was known for the first time.
    pub events_behind: Option<u64>,
    /// Journals that they are in.
    pub journals_behind: usize,
    /// All journals: of applications, of changes and of requests.
    pub journals: usize,
    /// Why the last pass came to an early end, if it did.
    pub problem: Option<String>,
    /// Those that cannot be projected, and why.
    pub held: BTreeMap<ApplicationKey, String>,
}

/// Moves applications on. One at a time is enough; several do no harm.
#[derive(Debug)]
pub struct Projector {
    store: ChartStore,
    viewport: Viewport,
    /// Where every application was when it was last looked at.
    cursors: Option<HashMap<ApplicationKey, Cursor>>,
    status: watch::Sender<Status>,
}

/// An application whose journal goes on beyond its cursor, or elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// The journal's end.
    pub head: Head,
    /// Where the application is in the Viewport.
    pub at: Option<Cursor>,
}

impl Behind {
    /// Events to be projected.
    pub fn events(&self) -> u64 {
        self.head.seq.saturating_sub(self.at.map_or(0, |cursor| cursor.seq))
    }
}

/// What of the journals is not in the Viewport, and how many journals there are.
pub async fn behind(
    store: &ChartStore,
    cursors: &HashMap<ApplicationKey, Cursor>,
) -> Result<(Vec<Behind>, usize), ChartStoreError> {
    let mut behind = Vec::new();
    let mut journals = 0;
    for partition in 0..HEAD_PARTITIONS {
        let mut after: Option<ApplicationKey> = None;
        loop {
            let heads = store.heads(partition, after.as_ref(), HEADS_AT_ONCE).await?;
            let last = heads.len() < HEADS_AT_ONCE;
            after = heads.last().map(|head| head.key.clone());
            journals += heads.len();
            for head in heads {
                let at = cursors.get(&head.key).copied();
                if at != Some(Cursor { seq: head.seq, hash: head.hash }) {
                    behind.push(Behind { head, at });
                }
            }
            if last {
                break;
            }
        }
    }
    Ok((behind, journals))
}

impl Projector {
    /// A projector that has done nothing yet.
    pub fn new(store: ChartStore, viewport: Viewport) -> Self {
        Self { store, viewport, cursors: None, status: watch::Sender::default() }
    }

    /// How far it is, now and from now on. For metrics and for people: a plane is ready without its Viewport.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Keeps the Viewport up to date until `shutdown`. What is under way then is rolled back.
    pub async fn run(mut self, shutdown: CancellationToken) {
        shutdown.run_until_cancelled(self.keep_up()).await;
        // What was recorded last is not to wait for the next start. The pass that was cut off may have moved cursors.
        self.cursors = None;
        match timeout(LAST_PASS, self.catch_up()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("the Viewport is left behind, what is recorded is safe: {error}"),
            Err(_) => tracing::warn!("the Viewport is left behind, what is recorded is safe"),
        }
    }

    async fn keep_up(&mut self) {
        let mut appended = self.store.subscribe();
        let mut failures = 0;
        loop {
            // What is appended during the pass asks for another.
            appended.mark_unchanged();
            let began = Instant::now();
            match self.catch_up().await {
                Ok(()) => {
                    if failures > 0 {
                        tracing::info!("the Viewport is up to date again");
                    }
                    failures = 0;
                    sleep((RESTS * began.elapsed()).min(LONGEST_REST)).await;
                    if timeout(SAFETY_INTERVAL, appended.changed()).await.is_err() {
                        self.cursors = None;
                    }
                }
                Err(error) => {
                    if failures == 0 {
                        tracing::warn!("the Viewport falls behind, what is recorded is safe: {error}");
                    }
                    failures += 1;
                    // Whatever it was, it may have left other cursors than the ones that are remembered.
                    self.cursors = None;
                    sleep(backoff(failures)).await;
                }
            }
        }
    }

    /// One pass: everything that the journals hold now is in the Viewport then, but for what
    /// [`Status::held`] names.
    pub async fn catch_up(&mut self) -> Result<(), ProjectorError> {
        let result = self.pass().await;
        let problem = result.as_ref().err().map(ToString::to_string);
        self.status.send_if_modified(|status| {
            let changed = status.problem != problem;
            status.problem = problem;
            changed
        });
        result
    }

    async fn pass(&mut self) -> Result<(), ProjectorError> {
        let mut cursors = match self.cursors.take() {
            Some(cursors) => cursors,
            None => self.read_cursors().await?,
        };
        let (behind, journals) = behind(&self.store, &cursors).await?;
        let mut events = behind.iter().map(Behind::events).sum();
        self.tell(journals, behind.len(), events, None);
        let mut held = BTreeMap::new();
        let mut left = behind.len();
        for group in behind.chunks(TOGETHER) {
            // What holds up one of them is to hold up no other: they go on one by one.
            let reached = self.advance_together(group).await;
            let reached = reached.unwrap_or_else(|_| group.iter().map(|behind| behind.at).collect());
            for (behind, mut at) in group.iter().zip(reached) {
                let key = behind.head.key.clone();
                let moved = self.move_on(&behind.head, &mut at).await;
                if let Some(cursor) = at {
                    cursors.insert(key.clone(), cursor);
                }
                match moved {
                    Ok(()) => {
                        events -= behind.events();
                        left -= 1;
                        self.tell(journals, left, events, None);
                    }
                    Err(error) if is_of_one_application(&error) => {
                        held.insert(key, error.to_string());
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        self.tell(journals, left, events, Some(held));
        self.cursors = Some(cursors);
        Ok(())
    }

    /// Where everything is. What an older program has projected is forgotten first.
    async fn read_cursors(&self) -> Result<HashMap<ApplicationKey, Cursor>, ProjectorError> {
        match self.viewport.cursors().await {
            Err(error @ ViewportError::OlderProjection { .. }) => {
                tracing::info!("{error}");
                self.viewport.reset().await?;
                Ok(self.viewport.cursors().await?)
            }
            other => Ok(other?),
        }
    }

    /// Moves applications on together, as far as one transaction goes; where they are then.
    async fn advance_together(&self, group: &[Behind]) -> Result<Vec<Option<Cursor>>, ProjectorError> {
        let few = BATCH.div_ceil(TOGETHER);
        let mut events = Vec::with_capacity(group.len());
        for Behind { head, at } in group {
            events.push(self.store.events(&head.key, at.map_or(0, |cursor| cursor.seq), few).await?);
        }
        let steps = group.iter().zip(&events).map(|(it, events)| Step { key: &it.head.key, at: it.at, events });
        Ok(self.viewport.apply_all(&steps.collect::<Vec<_>>()).await?)
    }

    /// Moves an application on to where its journal ended when the head was read, or further.
    async fn move_on(&self, head: &Head, at: &mut Option<Cursor>) -> Result<(), ProjectorError> {
        for _ in 0..RACES {
            let error = match self.advance(head, at).await {
                Err(ProjectorError::Viewport(error)) if error.may_be_of_a_stale_cursor() => error,
                other => return other,
            };
            let now = self.viewport.cursor(&head.key).await?;
            if now == *at {
                return Err(error.into());
            }
            *at = now;
        }
        Err(ViewportError::CursorMoved { key: head.key.clone() }.into())
    }

    /// Moves an application on from where it is believed to be.
    async fn advance(&self, head: &Head, at: &mut Option<Cursor>) -> Result<(), ProjectorError> {
        let key = &head.key;
        let end = Cursor { seq: head.seq, hash: head.hash };
        while *at != Some(end) {
            let after = at.map_or(0, |cursor| cursor.seq);
            if after >= head.seq {
                return self.check_end(key, *at).await;
            }
            let events = self.store.events(key, after, BATCH).await?;
            if events.is_empty() {
                return Err(ViewportError::Gap { key: key.clone(), after, found: head.seq }.into());
            }
            *at = self.viewport.apply(key, *at, &events).await?;
        }
        Ok(())
    }

    /// That an application which seems to be at the end of its journal, or beyond, is at an event that the journal has.
    async fn check_end(&self, key: &ApplicationKey, at: Option<Cursor>) -> Result<(), ProjectorError> {
        let Some(at) = at else { return Ok(()) };
        let events = self.store.events(key, at.seq.saturating_sub(1), 1).await?;
        match events.first() {
            Some(event) if event.seq == at.seq && event.hash() == at.hash => Ok(()),
            _ => Err(ViewportError::BrokenChain { key: key.clone(), seq: at.seq }.into()),
        }
    }

    fn tell(&self, journals: usize, left: usize, events: u64, held: Option<BTreeMap<ApplicationKey, String>>) {
        self.status.send_modify(|status| {
            status.journals = journals;
            status.journals_behind = left;
            status.events_behind = Some(events);
            if let Some(held) = held {
                for (key, problem) in &held {
                    if status.held.get(key) != Some(problem) {
                        tracing::warn!("{key} is not in the Viewport as it should be: {problem}");
                    }
                }
                status.held = held;
            }
        });
    }
}

/// Whether all other applications can be projected nevertheless.
fn is_of_one_application(error: &ProjectorError) -> bool {
    match error {
        ProjectorError::Viewport(error) => error.is_of_one_application(),
        ProjectorError::ChartStore(error) => !error.is_transient(),
    }
}

/// Doubled with every failure, less up to a half, so that replicas do not come back all at once.
fn backoff(failures: u32) -> Duration {
    let (first, longest) = BACKOFF;
    let wait = first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(longest);
    wait.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound() {
        for (failures, longest) in [(1, 500), (2, 1000), (5, 8000), (7, 30_000), (1000, 30_000)] {
            let wait = backoff(failures).as_millis();
            assert!(wait >= longest / 2 && wait <= longest, "{failures}: {wait}");
        }
    }
}
