//! Since when objects wait for what is mostly there in a moment. To tell of each such wait, and then of its end, would
//! make every change two.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long such a wait is kept to oneself.
const MOMENT: Duration = Duration::from_secs(1);

/// Waits, by the objects' UIDs.
#[derive(Debug, Default)]
pub struct Patience(Mutex<HashMap<String, Instant>>);

impl Patience {
    /// How long the wait may still be kept to oneself; none once it has to be told of, which begins the next one.
    pub fn left(&self, uid: &str) -> Option<Duration> {
        let mut waits = self.lock();
        let since = *waits.entry(uid.to_owned()).or_insert_with(Instant::now);
        let left = MOMENT.checked_sub(since.elapsed()).filter(|left| !left.is_zero());
        if left.is_none() {
            waits.remove(uid);
        }
        left
    }

    /// The wait is over, or the object is gone.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_of_once_it_is_longer_than_a_moment() {
        let patience = Patience::default();
        let first = patience.left("a").unwrap();
        assert!(first <= MOMENT && patience.left("a").unwrap() <= first && patience.left("b").is_some());
        *patience.lock().get_mut("a").unwrap() -= MOMENT;
        assert_eq!(patience.left("a"), None);
        assert!(patience.left("a").is_some(), "what is told next may wait again");
        *patience.lock().get_mut("a").unwrap() -= MOMENT;
        patience.forget("a");
        assert!(patience.left("a").is_some());
    }
}
