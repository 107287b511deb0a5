//! How many requests somebody may send: a bucket that fills by itself, each request takes from.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Buckets that are remembered at most.
const MAX_BUCKETS: usize = 8192;

/// How many requests somebody may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// At once.
    pub burst: u32,
    /// In the long run, one in this time.
    pub every: Duration,
}

/// Requests, by who sends them.
#[derive(Debug)]
pub struct Buckets<K> {
    rate: Rate,
    /// When each bucket is full again.
    full_at: Mutex<HashMap<K, Instant>>,
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    /// Buckets of this rate, all full.
    pub fn new(rate: Rate) -> Self {
        Self { rate, full_at: Mutex::default() }
    }

    /// Takes one request, or says how long to wait for it.
    ///
    /// # Errors
    /// The time after which there is one.
    pub fn take(&self, of: &K, now: Instant) -> Result<(), Duration> {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if full_at.len() >= MAX_BUCKETS && !full_at.contains_key(of) {
            full_at.retain(|_, full| *full > now);
            // Full buckets are forgotten for free; among others the fullest loses the least.
            if full_at.len() >= MAX_BUCKETS
                && let Some(fullest) = full_at.iter().min_by_key(|(_, full)| **full).map(|(key, _)| key.clone())
            {
                full_at.remove(&fullest);
            }
        }
        let full = full_at.get(of).copied().unwrap_or(now).max(now);
        let missing = full - now;
        match missing.checked_sub(self.rate.every * (self.rate.burst - 1)).filter(|wait| !wait.is_zero()) {
            Some(wait) => Err(wait),
            None => {
                full_at.insert(of.clone(), full + self.rate.every);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_followed_by_an_even_flow() {
        let every = Duration::from_millis(100);
        let (buckets, start) = (Buckets::new(Rate { burst: 3, every }), Instant::now());
        for _ in 0..3 {
            assert_eq!(buckets.take(&"maria", start), Ok(()));
        }
        assert_eq!(buckets.take(&"maria", start), Err(every));
        assert_eq!(buckets.take(&"jonas", start), Ok(()), "it is her bucket, not his");
        assert_eq!(buckets.take(&"maria", start + every), Ok(()));
        assert_eq!(buckets.take(&"maria", start + every), Err(every));
        for _ in 0..3 {
            assert_eq!(buckets.take(&"maria", start + every * 10), Ok(()));
        }
    }

    #[test]
    fn strangers_do_not_fill_the_memory() {
        let every = Duration::from_secs(1);
        let (buckets, now) = (Buckets::new(Rate { burst: 1, every }), Instant::now());
        for stranger in 0..MAX_BUCKETS * 2 {
            buckets.take(&stranger, now).unwrap();
        }
        assert!(buckets.full_at.lock().unwrap().len() <= MAX_BUCKETS);
    }
}
