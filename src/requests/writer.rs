//! The one task that writes requests into the journals.

use std::{
    collections::{BTreeMap, HashSet},
    time::{Duration, Instant},
};

use tokio::time::{sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::{Requests, gathering::Entry};
use crate::{
    chart_store::{ChartStore, ChartStoreError, requests_of},
    release::ApplicationKey,
};

/// How long requests are let come together before a transaction.
const TOGETHER: Duration = Duration::from_millis(200);
/// The first and the longest wait after a failure.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// How often it is looked which namespaces there are, while somebody names others.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// How long the last ones may take at the end.
const LAST_WITHIN: Duration = Duration::from_secs(3);

/// Writes what [`Requests`] holds.
#[derive(Debug)]
pub struct Writer {
    requests: Requests,
    store: ChartStore,
    namespaces: Namespaces,
    /// What is to be written, by journal. It stays until it is.
    waiting: BTreeMap<ApplicationKey, Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    entries: Vec<Entry>,
    /// Whether the first of them may be written already.
    again: bool,
}

impl Writer {
    /// A writer of these requests.
    pub fn new(requests: Requests, store: ChartStore) -> Self {
        Self { requests, store, namespaces: Namespaces::default(), waiting: BTreeMap::new() }
    }

    /// Writes until `end`, and then what is left. Nothing is written while nobody asks anything.
    pub async fn run(mut self, end: CancellationToken) {
        let mut failures = 0;
        while !end.is_cancelled() {
            let requests = self.requests.clone();
            let next = requests.gathering().next(Instant::now());
            let work = async {
                match next {
                    Some(next) if self.waiting.is_empty() => {
                        tokio::select! {
                            () = sleep_until(next.into()) => {}
                            () = requests.0.bell.notified() => {}
                        }
                    }
                    None if self.waiting.is_empty() => requests.0.bell.notified().await,
                    _ => {}
                }
                let wait = if failures == 0 { TOGETHER } else { backoff(failures) };
                sleep(wait).await;
            };
            if end.run_until_cancelled(work).await.is_none() {
                break;
            }
            // While something waits, the rest stays where it is counted in bounded memory.
            if self.waiting.is_empty() {
                let due = requests.gathering().due(Instant::now());
                self.sort(due).await;
            }
            match self.write().await {
                Ok(()) if failures > 0 => {
                    tracing::info!("requests are in the journal again");
                    failures = 0;
                }
                Ok(()) => {}
                Err(error) => {
                    if failures == 0 {
                        tracing::warn!("requests cannot be recorded for now, and are counted in memory: {error}");
                    }
                    failures += 1;
                }
            }
        }
        let last = async {
            let rest = self.requests.gathering().rest();
            self.sort(rest).await;
            self.write().await
        };
        match timeout(LAST_WITHIN, last).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!("the last requests are not in the journal: {error}"),
            Err(_) => tracing::error!("the last requests are not in the journal: the Chart Store took too long"),
        }
    }

    /// Puts requests where they belong.
    async fn sort(&mut self, due: Vec<Entry>) {
        for entry in due {
            let key = requests_of(self.namespaces.of(&entry, &self.store).await.as_deref().unwrap_or_default());
            self.waiting.entry(key).or_default().entries.push(entry);
        }
    }

    /// Writes what waits; what of it could be written does not wait any more.
    async fn write(&mut self) -> Result<(), ChartStoreError> {
        let mut failed = None;
        for (key, mut waiting) in std::mem::take(&mut self.waiting) {
            let (recorded, result) = self.store.record_requests(&key, &waiting.entries, waiting.again).await;
            let Err(error) = result else { continue };
            waiting.entries.drain(..recorded);
            let entries = std::mem::take(&mut waiting.entries);
            match after(&key, &error) {
                After::Again => self.keep(key, entries, true),
                After::Elsewhere(other) => {
                    tracing::error!("the journal {key} cannot be continued: {error}");
                    self.keep(other, entries, false);
                }
                After::Logged => {
                    for (actor, request) in entries {
                        let request = serde_json::to_string(&request).unwrap_or_default();
                        tracing::error!(actor, request, "no journal takes this request: {error}");
                    }
                    continue;
                }
            }
            failed = Some(error);
        }
        failed.map_or(Ok(()), Err)
    }

    fn keep(&mut self, key: ApplicationKey, mut entries: Vec<Entry>, again: bool) {
        let kept = self.waiting.entry(key).or_default();
        kept.again |= again;
        kept.entries.append(&mut entries);
    }
}

/// What becomes of requests that could not be written.
#[derive(Debug, PartialEq, Eq)]
enum After {
    /// They are written to the same journal later.
    Again,
    /// They are written to this one, and name their namespace there.
    Elsewhere(ApplicationKey),
    /// No journal takes them. They go into the log of the process, and hold up nobody else's.
    Logged,
}

/// A journal that cannot be continued holds up no other.
fn after(key: &ApplicationKey, error: &ChartStoreError) -> After {
    let of_no_namespace = requests_of("");
    match error.is_transient() {
        true => After::Again,
        false if *key == of_no_namespace => After::Logged,
        false => After::Elsewhere(of_no_namespace),
    }
}

/// The namespaces that the plane knows: whatever a stranger writes into a path begins no journal.
#[derive(Debug, Default)]
struct Namespaces {
    known: HashSet<String>,
    looked: Option<Instant>,
}

impl Namespaces {
    /// In which namespace's journal a request belongs.
    async fn of(&mut self, (actor, request): &Entry, store: &ChartStore) -> Option<String> {
        let namespace = request.namespace.clone()?;
        // Somebody was let do something there. What is read may be of a namespace that never was.
        let reads = matches!(request.method.as_str(), "GET" | "HEAD");
        let let_in = !actor.is_empty() && !reads && request.status.is_some_and(|status| status < 300);
        if let_in {
            self.known.insert(namespace.clone());
        }
        if !self.known.contains(&namespace) && self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_AGAIN) {
            // One that fails is not tried again for each request that waits.
            self.looked = Some(Instant::now());
            match store.all_heads().await {
                Ok(heads) => self.known.extend(heads.into_iter().map(|head| head.key.namespace)),
                // What is written next fails likewise, and says so.
                Err(error) => tracing::debug!(%error, "the journals could not be listed"),
            }
        }
        self.known.contains(&namespace).then_some(namespace)
    }
}

/// Doubled with every failure, up to a bound.
fn backoff(failures: u32) -> Duration {
    let (first, longest) = BACKOFF;
    first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_that_cannot_be_continued_holds_up_no_other() {
        let corrupt = ChartStoreError::Corrupt { item: "head".into(), problem: "it is none".into() };
        let away = ChartStoreError::Unavailable { store: "SQLite".into(), message: "locked".into() };
        let (of_shop, of_none) = (requests_of("shop"), requests_of(""));
        assert_eq!([after(&of_shop, &away), after(&of_none, &away)], [After::Again, After::Again]);
        assert_eq!(after(&of_shop, &corrupt), After::Elsewhere(of_none.clone()));
        assert_eq!(after(&of_none, &corrupt), After::Logged);
    }
}
