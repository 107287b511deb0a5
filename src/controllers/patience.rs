//! Waits for what is mostly there in a moment, since when, and with which status. To tell of each such wait, and then of
//! its end, would make every change two; to forget what was done before it would do that again.

use std::{
    any::Any,
    collections::HashMap,
    fmt::Debug,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Waits, by the objects' UIDs.
#[derive(Debug, Default)]
pub struct Patience(Mutex<HashMap<String, Wait>>);

#[derive(Debug)]
struct Wait {
    since: Instant,
    /// A status of the object's kind.
    status: Box<dyn Any + Send>,
}

impl Patience {
    /// How long the wait may still be kept to oneself, of so long in all, with what is to be told at its end; none once it
    /// has to be told of. It is kept until it is ([`Self::forget`]): a status that could not be written is no reason to do
    /// all of it again.
    pub fn left(&self, uid: &str, longest: Duration, status: &(impl Clone + Send + 'static)) -> Option<Duration> {
        let mut waits = self.lock();
        let since = waits.get(uid).map_or_else(Instant::now, |wait| wait.since);
        waits.insert(uid.to_owned(), Wait { since, status: Box::new(status.clone()) });
        longest.checked_sub(since.elapsed()).filter(|left| !left.is_zero())
    }

    /// The status that was kept to oneself.
    pub fn untold<S: Clone + 'static>(&self, uid: &str) -> Option<S> {
        self.lock().get(uid)?.status.downcast_ref::<S>().cloned()
    }

    /// The wait is over, or the object is gone.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Wait>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_of_once_it_is_longer_than_a_moment() {
        let patience = Patience::default();
        let moment = Duration::from_secs(1);
        let left = |uid: &str, status: i32| patience.left(uid, moment, &status);
        let first = left("a", 1).unwrap();
        assert!(first <= moment && left("a", 2).unwrap() <= first && left("b", 1).is_some());
        assert_eq!((patience.untold("a"), patience.untold("b"), patience.untold::<i32>("c")), (Some(2), Some(1), None));
        patience.lock().get_mut("a").unwrap().since -= moment;
        assert_eq!((left("a", 3), patience.untold("a")), (None, Some(3)), "it is not told yet");
        assert!(patience.left("a", 2 * moment, &3).is_some(), "another may be kept longer");
        patience.forget("a");
        assert_eq!(patience.untold::<i32>("a"), None);
        assert!(left("a", 3).is_some(), "what is told next may wait again");
    }
}
