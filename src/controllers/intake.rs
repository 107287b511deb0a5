//! Whose turn it is to take an image in.
//!
//! An intake may last as long as a registry likes to take. A tenant whose registry is slow waits for itself, and leaves
//! room for the others.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

/// Intakes at a time: each holds a few chunks of a few layers in memory.
const ALL: usize = 8;
/// Of them, of one namespace.
const OF_A_NAMESPACE: usize = 3;

/// The turns that can be had.
#[derive(Debug)]
pub struct Intakes {
    all: Arc<Semaphore>,
    by_namespace: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    _of_namespace: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Default for Intakes {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(ALL)), by_namespace: Mutex::default() }
    }
}

impl Intakes {
    /// Waits for a turn of the namespace.
    pub async fn turn(&self, namespace: &str) -> Turn {
        let own = {
            let mut by_namespace = self.by_namespace.lock().await;
            // Namespaces come and go: those of which nothing is taken in are forgotten.
            by_namespace.retain(|_, turns| Arc::strong_count(turns) > 1);
            let new = || Arc::new(Semaphore::new(OF_A_NAMESPACE));
            by_namespace.entry(namespace.to_owned()).or_insert_with(new).clone()
        };
        // First among its own, so that a crowd in one namespace waits there and not where all others do.
        let never_closed = "the semaphore is never closed";
        let of_namespace = own.acquire_owned().await.expect(never_closed);
        let of_all = self.all.clone().acquire_owned().await.expect(never_closed);
        Turn { _of_namespace: of_namespace, _of_all: of_all }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_crowd_of_one_namespace_leaves_room_for_others() {
        let intakes = Intakes::default();
        let at_once = |namespace| intakes.turn(namespace).now_or_never();
        let crowd: Vec<_> = (0..OF_A_NAMESPACE).map(|_| at_once("crowded").expect("there is room")).collect();
        assert!(at_once("crowded").is_none());
        assert!(at_once("other").is_some());
        drop(crowd);
        assert!(at_once("crowded").is_some());
    }

    #[test]
    fn all_together_are_bounded() {
        let intakes = Intakes::default();
        let names: Vec<String> = (0..=ALL).map(|n| n.to_string()).collect();
        let turns: Vec<_> = names.iter().filter_map(|name| intakes.turn(name).now_or_never()).collect();
        assert_eq!(turns.len(), ALL);
    }
}
