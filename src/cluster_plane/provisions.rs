//! What a cluster was seen to have a moment ago, so that each of a crowd of deliveries need not ask for it again.
//!
//! Whoever takes any of it away, and whoever meets a refusal, forgets all of it: what is remembered saves requests and
//! decides nothing.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long it is believed.
const MOMENT: Duration = Duration::from_secs(5);

/// What deliveries need besides their own objects.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Provision {
    /// This namespace.
    Namespace(String),
    /// A pull Secret.
    Credential {
        /// The namespace that it is in.
        namespace: String,
        /// Which of the cluster's credentials it holds.
        id: String,
    },
}

/// What there was.
#[derive(Debug)]
pub struct Provisions {
    believed_for: Duration,
    seen: Mutex<HashMap<Provision, Instant>>,
}

impl Default for Provisions {
    fn default() -> Self {
        Self::believed_for(MOMENT)
    }
}

impl Provisions {
    /// What is believed for so long instead of a moment.
    pub fn believed_for(believed_for: Duration) -> Self {
        Self { believed_for, seen: Mutex::default() }
    }

    /// Whether this was there a moment ago.
    pub fn has(&self, provision: &Provision) -> bool {
        self.lock().get(provision).is_some_and(|seen| seen.elapsed() < self.believed_for)
    }

    /// This is there now.
    pub fn saw(&self, provision: Provision) {
        let mut seen = self.lock();
        seen.retain(|_, seen| seen.elapsed() < self.believed_for);
        seen.insert(provision, Instant::now());
    }

    /// Any of it may have gone.
    pub fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Provision, Instant>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_believed_until_something_may_have_gone() {
        let provisions = Provisions::default();
        let credential = |id: &str| Provision::Credential { namespace: "shop".into(), id: id.into() };
        assert!(!provisions.has(&credential("1")));
        provisions.saw(credential("1"));
        provisions.saw(Provision::Namespace("shop".into()));
        assert!(provisions.has(&credential("1")) && provisions.has(&Provision::Namespace("shop".into())));
        assert!(!provisions.has(&credential("2")), "it was replaced");
        provisions.forget();
        assert!(!provisions.has(&credential("1")));
    }

    #[test]
    fn what_was_seen_long_ago_is_looked_at_again() {
        let provisions = Provisions::default();
        let shop = Provision::Namespace("shop".into());
        let long_ago = Instant::now().checked_sub(MOMENT).expect("the machine runs for longer");
        provisions.lock().insert(shop.clone(), long_ago);
        assert!(!provisions.has(&shop));
        provisions.saw(Provision::Namespace("other".into()));
        assert_eq!(provisions.lock().len(), 1, "and not kept");
        let lasting = Provisions::believed_for(MOMENT * 2);
        lasting.lock().insert(shop.clone(), long_ago);
        assert!(lasting.has(&shop));
    }
}
