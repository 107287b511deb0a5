//! Whose turn it is to take an image in.
//!
//! An intake may last as long as a registry likes to take. A tenant whose registry is slow waits for itself, and leaves
//! room for the others.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::release::ApplicationKey;

/// Intakes at a time: each holds a few chunks of a few layers in memory.
const ALL: usize = 8;
/// Of them, of one namespace.
const OF_A_NAMESPACE: usize = 3;
/// How many of one namespace are at work or wait in line. Whoever waits keeps a reconciler busy, of which there are only
/// so many: the others are turned away, and woken when there is room.
const IN_LINE: usize = 8;

/// The turns that can be had.
#[derive(Debug)]
pub struct Intakes {
    all: Arc<Semaphore>,
    lines: Arc<Lines>,
    woken: Mutex<Option<mpsc::UnboundedReceiver<ApplicationKey>>>,
}

/// The lines of all namespaces in which somebody waits or is at work.
#[derive(Debug)]
struct Lines {
    by_namespace: Mutex<HashMap<String, Line>>,
    wake: mpsc::UnboundedSender<ApplicationKey>,
}

#[derive(Debug)]
struct Line {
    turns: Arc<Semaphore>,
    length: usize,
    turned_away: BTreeSet<ApplicationKey>,
}

/// A place in a namespace's line, until it is dropped.
#[derive(Debug)]
pub struct Place {
    namespace: String,
    lines: Arc<Lines>,
    of_namespace: Arc<Semaphore>,
    of_all: Arc<Semaphore>,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    _of_namespace: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
    _place: Place,
}

impl Default for Intakes {
    fn default() -> Self {
        let (wake, woken) = mpsc::unbounded_channel();
        let lines = Arc::new(Lines { by_namespace: Mutex::default(), wake });
        Self { all: Arc::new(Semaphore::new(ALL)), lines, woken: Mutex::new(Some(woken)) }
    }
}

impl Intakes {
    /// A place in the line of the application's namespace; none while that is as long as it may be. Whoever gets none is
    /// [woken](Self::woken).
    pub fn line_up(&self, key: &ApplicationKey) -> Option<Place> {
        let mut by_namespace = self.lines.lock();
        let new = || Line { turns: Arc::new(Semaphore::new(OF_A_NAMESPACE)), length: 0, turned_away: BTreeSet::new() };
        let line = by_namespace.entry(key.namespace.clone()).or_insert_with(new);
        if line.length == IN_LINE {
            line.turned_away.insert(key.clone());
            return None;
        }
        line.length += 1;
        let (namespace, lines) = (key.namespace.clone(), self.lines.clone());
        Some(Place { namespace, lines, of_namespace: line.turns.clone(), of_all: self.all.clone() })
    }

    /// Applications that were turned away and for which there may be room now. Whoever asks first has them.
    pub fn woken(&self) -> mpsc::UnboundedReceiver<ApplicationKey> {
        let woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner).take();
        woken.unwrap_or_else(|| mpsc::unbounded_channel().1)
    }
}

impl Lines {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Line>> {
        self.by_namespace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits for the turn.
    pub async fn turn(self) -> Turn {
        // First among its own, so that a crowd in one namespace waits there and not where all others do.
        let never_closed = "the semaphore is never closed";
        let of_namespace = self.of_namespace.clone().acquire_owned().await.expect(never_closed);
        let of_all = self.of_all.clone().acquire_owned().await.expect(never_closed);
        Turn { _of_namespace: of_namespace, _of_all: of_all, _place: self }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_namespace = self.lines.lock();
        let Some(line) = by_namespace.get_mut(&self.namespace) else { return };
        line.length -= 1;
        if let Some(next) = line.turned_away.pop_first() {
            // Nobody is there to be woken only when all ends.
            self.lines.wake.send(next).ok();
        }
        if line.length == 0 && line.turned_away.is_empty() {
            // Namespaces come and go.
            by_namespace.remove(&self.namespace);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn key(namespace: &str, application: &str) -> ApplicationKey {
        ApplicationKey::new(namespace, application)
    }

    fn at_once(intakes: &Intakes, namespace: &str) -> Option<Turn> {
        intakes.line_up(&key(namespace, "web"))?.turn().now_or_never()
    }

    #[test]
    fn a_crowd_of_one_namespace_leaves_room_for_others() {
        let intakes = Intakes::default();
        let crowd: Vec<_> = (0..OF_A_NAMESPACE).map(|_| at_once(&intakes, "crowded").expect("there is room")).collect();
        assert!(at_once(&intakes, "crowded").is_none());
        assert!(at_once(&intakes, "other").is_some());
        drop(crowd);
        assert!(at_once(&intakes, "crowded").is_some());
        assert!(intakes.lines.lock().is_empty(), "nobody is there any more");
    }

    #[test]
    fn who_is_turned_away_is_woken_when_somebody_has_left() {
        let intakes = Intakes::default();
        let mut woken = intakes.woken();
        let line: Vec<_> = (0..IN_LINE).filter_map(|_| intakes.line_up(&key("crowded", "web"))).collect();
        assert_eq!(line.len(), IN_LINE);
        for late in ["api", "jobs", "api"] {
            assert!(intakes.line_up(&key("crowded", late)).is_none());
        }
        assert!(intakes.line_up(&key("other", "web")).is_some());
        assert!(woken.try_recv().is_err());
        drop(line);
        assert_eq!([woken.try_recv().unwrap(), woken.try_recv().unwrap()], ["api", "jobs"].map(|a| key("crowded", a)));
        assert!(woken.try_recv().is_err());
        assert!(intakes.lines.lock().is_empty(), "nobody is there any more");
    }

    #[test]
    fn all_together_are_bounded() {
        let intakes = Intakes::default();
        let names: Vec<String> = (0..=ALL).map(|n| n.to_string()).collect();
        let turns: Vec<_> = names.iter().filter_map(|name| at_once(&intakes, name)).collect();
        assert_eq!(turns.len(), ALL);
    }
}
