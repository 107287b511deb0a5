//! Crash points for the kill test: the process dies by its own hand right after its n-th external write.
//!
//! Every function that changes something outside the process (an object in the Harbor, a transaction in the Chart
//! Store or Viewport, a request to the API server) calls [`after_write`] when the write is durable. With the feature
//! `failpoints` and `ORBIT_DIE_AFTER_WRITES=n` in the environment the n-th such call aborts the process, so sweeping
//! n visits the gap between every pair of writes without naming them. Without the feature it is an empty function.

/// Marks that one external write has just become durable.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn after_write(_what: &'static str) {}

/// Marks that one external write has just become durable.
#[cfg(feature = "failpoints")]
pub fn after_write(what: &'static str) {
    use std::sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    };
    static DIE_AFTER: LazyLock<Option<u64>> =
        LazyLock::new(|| std::env::var("ORBIT_DIE_AFTER_WRITES").ok()?.parse().ok());
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let count = WRITES.fetch_add(1, Ordering::SeqCst) + 1;
    if *DIE_AFTER == Some(count) {
        eprintln!("failpoint: dying after write {count} ({what})");
        std::process::abort();
    }
}
