//! When each object's heartbeat was written last, so that a wake-up in between writes none.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The last heartbeats, by the object's UID.
#[derive(Debug, Default)]
pub struct Heartbeats(Mutex<HashMap<String, Instant>>);

impl Heartbeats {
    /// Whether the last one was longer ago than that.
    pub fn is_due(&self, uid: &str, interval: Duration) -> bool {
        self.lock().get(uid).is_none_or(|at| at.elapsed() >= interval)
    }

    /// It was written just now.
    pub fn done(&self, uid: &str) {
        self.lock().insert(uid.to_owned(), Instant::now());
    }

    /// The object is gone.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
