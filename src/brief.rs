//! Answers that stand for a moment, and only so many of them.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Answers that stand for a moment.
#[derive(Debug)]
pub struct Brief<K, V> {
    fresh: Duration,
    capacity: usize,
    answers: Mutex<HashMap<K, (Instant, V)>>,
}

impl<K: Hash + Eq + Clone, V: Clone> Brief<K, V> {
    /// Keeps `capacity` answers, each for the time `fresh`.
    pub fn new(fresh: Duration, capacity: usize) -> Self {
        Self { fresh, capacity, answers: Mutex::default() }
    }

    /// The answer, if it still stands.
    pub fn get(&self, key: &K) -> Option<V> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(key).filter(|(since, _)| since.elapsed() < self.fresh).map(|(_, answer)| answer.clone())
    }

    /// Keeps an answer. Where there are too many, the oldest goes.
    pub fn keep(&self, key: K, answer: V) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= self.capacity {
            answers.retain(|_, (since, _)| since.elapsed() < self.fresh);
        }
        if answers.len() >= self.capacity
            && let Some(oldest) = answers.iter().min_by_key(|(_, (since, _))| *since).map(|(key, _)| key.clone())
        {
            answers.remove(&oldest);
        }
        answers.insert(key, (Instant::now(), answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room() {
        let brief = Brief::new(Duration::from_secs(3600), 2);
        for number in 0..3 {
            brief.keep(number, number * 10);
        }
        assert_eq!([brief.get(&0), brief.get(&1), brief.get(&2)], [None, Some(10), Some(20)]);
    }

    #[test]
    fn what_is_not_fresh_does_not_stand() {
        let brief = Brief::new(Duration::ZERO, 2);
        brief.keep(0, 0);
        assert_eq!(brief.get(&0), None);
    }
}
