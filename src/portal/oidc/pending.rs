//! Sign-ins that have begun.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use url::Url;

use crate::{digest::Digest, registry::readers::Secret};

/// How long somebody may take at the provider.
pub const LIFETIME: Duration = Duration::from_secs(600);
/// Sign-ins that may be under way; with one more the oldest is forgotten.
const MAX_PENDING: usize = 4096;
/// Those from one network; with one more its own oldest is forgotten, and nobody else's.
const MAX_OF_NETWORK: usize = 256;
/// The longest path to come back to.
const MAX_PATH: usize = 2048;

/// A sign-in that has begun.
#[derive(Debug)]
pub struct Pending {
    /// What the ID token has to say.
    pub nonce: Secret,
    /// What the challenge was made of.
    pub verifier: Secret,
    /// Digest of what the browser's cookie says.
    pub browser: Digest,
    /// Where to go when it is done.
    pub back: String,
    /// Since when.
    pub since: Timestamp,
    /// From which network.
    pub from: IpAddr,
}

/// Those that have begun, by the digest of their state.
#[derive(Debug, Default)]
pub struct AllPending(Mutex<HashMap<Digest, Pending>>);

impl AllPending {
    /// Keeps one.
    pub fn keep(&self, state: &Secret, pending: Pending) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_network = |one: &Pending| one.from == pending.from;
        let too_many_of_network = all.values().filter(|one| of_network(one)).count() >= MAX_OF_NETWORK;
        if too_many_of_network || all.len() >= MAX_PENDING {
            let those = all.iter().filter(|(_, one)| !too_many_of_network || of_network(one));
            if let Some(oldest) = those.min_by_key(|(_, one)| one.since).map(|(key, _)| *key) {
                all.remove(&oldest);
            }
        }
        all.insert(Digest::of(state.expose()), pending);
    }

    /// The one with this state, once, if it was begun in this browser and lately.
    pub fn take(&self, state: &Secret, browser: &Secret, now: Timestamp) -> Option<Pending> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pending = all.remove(&Digest::of(state.expose()))?;
        let lately = now.duration_since(pending.since).as_secs() < LIFETIME.as_secs() as i64;
        (lately && pending.browser == Digest::of(browser.expose())).then_some(pending)
    }
}

/// A path of our own; nothing that a browser would take for another place.
pub fn own_path(text: &str) -> Option<String> {
    let plain = text.len() <= MAX_PATH && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if !plain || !text.starts_with('/') || text.starts_with("//") {
        return None;
    }
    let base = Url::parse("https://portal.invalid").ok()?;
    let url = base.join(text).ok()?;
    (url.origin() == base.origin() && !url.path().starts_with("//"))
        .then(|| url[url::Position::BeforePath..].to_owned())
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn one_comes_back_only_to_the_portal() {
        for (text, path) in [
            ("/", "/"),
            ("/ns/shop/apps/web?version=1.0.0#top", "/ns/shop/apps/web?version=1.0.0#top"),
            ("/a/../b", "/b"),
        ] {
            assert_eq!(own_path(text).as_deref(), Some(path), "{text}");
        }
        for text in [
            "",
            "ns",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/\t/evil.example",
            "/a\r\nX: y",
            "javascript:alert(1)",
            "/./\\evil.example",
            "/..//evil.example",
            "/ä",
            &format!("/{}", "a".repeat(3000)),
        ] {
            assert_eq!(own_path(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_sign_in_is_good_once_and_in_one_browser() {
        let (all, now) = (AllPending::default(), Timestamp::now());
        let (state, browser) = (Secret::new("state"), Secret::new("browser"));
        let keep = |since: Timestamp| {
            let (nonce, verifier) = (Secret::new("n"), Secret::new("v"));
            all.keep(
                &state,
                Pending {
                    nonce,
                    verifier,
                    browser: Digest::of("browser"),
                    back: "/".into(),
                    since,
                    from: [192, 0, 2, 1].into(),
                },
            );
        };
        keep(now);
        assert!(all.take(&Secret::new("other"), &browser, now).is_none());
        assert!(all.take(&state, &browser, now).is_some());
        assert!(all.take(&state, &browser, now).is_none(), "a second time");
        keep(now);
        assert!(all.take(&state, &Secret::new("another"), now).is_none());
        keep(now - SignedDuration::from_mins(10));
        assert!(all.take(&state, &browser, now).is_none(), "too late");
    }
}
