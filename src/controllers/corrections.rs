//! How often a delivery's drift was corrected of late: whoever keeps changing what the plane applied is not fought.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The wait after the second correction in a row; it doubles with each.
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(300);
/// After that long without one, a correction is the first again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// Corrections in a row, by the delivery's UID.
#[derive(Debug, Default)]
pub struct Corrections(Mutex<HashMap<String, (u32, Instant)>>);

impl Corrections {
    /// How long the next correction has to wait; none where it may be made now.
    pub fn held_back(&self, uid: &str) -> Option<Duration> {
        let corrections = self.lock();
        let (count, last) = corrections.get(uid)?;
        wait_after(*count).checked_sub(last.elapsed()).filter(|left| !left.is_zero())
    }

    /// A correction was made.
    pub fn made(&self, uid: &str) {
        let mut corrections = self.lock();
        let (count, last) = corrections.entry(uid.to_owned()).or_insert((0, Instant::now()));
        *count = if last.elapsed() > FORGOTTEN_AFTER { 1 } else { count.saturating_add(1) };
        *last = Instant::now();
    }

    /// The delivery is gone.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (u32, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first correction is followed by another at once: people change two things.
fn wait_after(count: u32) -> Duration {
    match count {
        0 | 1 => Duration::ZERO,
        more => FIRST.saturating_mul(1 << (more - 2).min(16)).min(LONGEST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corrections_become_ever_more_seldom() {
        let waits: Vec<_> = (0..12).map(|count| wait_after(count).as_secs()).collect();
        assert_eq!(waits, [0, 0, 5, 10, 20, 40, 80, 160, 300, 300, 300, 300]);
        let corrections = Corrections::default();
        assert_eq!(corrections.held_back("a"), None);
        corrections.made("a");
        assert_eq!(corrections.held_back("a"), None);
        corrections.made("a");
        assert!(corrections.held_back("a").is_some_and(|left| left <= FIRST));
        assert_eq!(corrections.held_back("b"), None);
        corrections.forget("a");
        assert_eq!(corrections.held_back("a"), None);
    }
}
