//! Counts external writes, and lets the kill test end the process after the n-th.
//!
//! Every function that changes something outside the process (an object in the Harbor, a transaction in the Chart
//! Store or Viewport, a request to the API server) calls [`after_write`] when the write is durable. With the feature
//! `failpoints` and `ORBIT_DIE_AFTER_WRITES=n` in the environment the n-th such call kills the process, so sweeping
//! n visits the gap between every pair of writes without naming them; with `ORBIT_DIE_AFTER_WRITE_OF=kind` the first
//! write of that kind does. Without the feature it only counts.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

static WRITES: Mutex<BTreeMap<&'static str, u64>> = Mutex::new(BTreeMap::new());

/// Marks that one external write has just become durable. `what` names its kind, of which there are few.
pub fn after_write(what: &'static str) {
    let mut writes = WRITES.lock().unwrap_or_else(PoisonError::into_inner);
    *writes.entry(what).or_default() += 1;
    #[cfg(feature = "failpoints")]
    die_at_the_chosen_one(what, &writes);
}

/// How many writes of each kind there were since the start.
pub fn writes() -> BTreeMap<&'static str, u64> {
    WRITES.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

#[cfg(feature = "failpoints")]
fn die_at_the_chosen_one(what: &str, writes: &BTreeMap<&'static str, u64>) {
    use std::{env::var, sync::LazyLock};
    static DIE_AFTER: LazyLock<Option<u64>> = LazyLock::new(|| var("ORBIT_DIE_AFTER_WRITES").ok()?.parse().ok());
    static DIE_AFTER_KIND: LazyLock<Option<String>> = LazyLock::new(|| var("ORBIT_DIE_AFTER_WRITE_OF").ok());
    let count: u64 = writes.values().sum();
    if *DIE_AFTER == Some(count) || DIE_AFTER_KIND.as_deref() == Some(what) {
        let made: Vec<_> = writes.keys().copied().collect();
        eprintln!("failpoint: dying after write {count} ({what}), having made: {}", made.join(", "));
        // SIGKILL and nothing less: no destructor, no handler, no flush gets a chance.
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        std::process::abort();
    }
}
