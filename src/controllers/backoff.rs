//! How long an object that failed waits for its next try: per object, ever longer, never in step with others.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// Failures in a row, by the object's UID. What succeeds or goes is forgotten.
#[derive(Debug, Default)]
pub struct Backoff(Mutex<HashMap<String, u32>>);

impl Backoff {
    /// The object failed once more: how long it is left alone now.
    pub fn failed(&self, uid: &str) -> Duration {
        let mut failures = self.lock();
        let count = failures.entry(uid.to_owned()).or_default();
        let longest = FIRST.saturating_mul(1 << (*count).min(16)).min(LONGEST);
        *count = count.saturating_add(1);
        // Between half of it and all of it, so that what failed together does not come back together.
        longest.mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    /// The object is well, or gone.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, u32>> {
        // A map of counters is as good as before whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_with_each_failure_up_to_a_bound() {
        let backoff = Backoff::default();
        let mut longest = FIRST;
        for _ in 0..40 {
            let wait = backoff.failed("a");
            assert!(wait <= longest && wait >= longest / 2, "{wait:?} of {longest:?}");
            longest = (longest * 2).min(LONGEST);
        }
    }

    #[test]
    fn objects_do_not_share_their_failures() {
        let backoff = Backoff::default();
        for _ in 0..5 {
            backoff.failed("a");
        }
        assert!(backoff.failed("b") <= FIRST);
        backoff.forget("a");
        assert!(backoff.failed("a") <= FIRST);
    }
}
