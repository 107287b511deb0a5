//! Who is signed in: opaque ids in a cookie, all that they stand for in memory. Programs send a Kubernetes token with
//! each request instead; they have a session, too, which begins with the first.
//!
//! An id is 256 random bits, given out anew with every sign-in, and kept only as its digest. A session ends after twelve
//! hours, after one without a request, with the token that it acts by, when its user signs out, and when there are too
//! many; a restart of the plane ends all of them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::http::{HeaderMap, HeaderValue, header};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;

use super::turns;
use crate::{digest::Digest, registry::readers::Secret};

/// The longest that a session lasts.
const LIFETIME: SignedDuration = SignedDuration::from_hours(12);
/// The longest that it lasts without a request.
const IDLE: SignedDuration = SignedDuration::from_hours(1);
/// Sessions of all users together; with one more, that which was not used for the longest time ends.
const MAX_SESSIONS: usize = 4096;
/// Sessions of one user: nobody signs others out by signing in again and again.
const MAX_OF_USER: usize = 32;

/// Somebody, as the API server knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The groups.
    pub groups: Vec<String>,
}

/// Somebody who is signed in.
#[derive(Clone)]
pub struct Session {
    /// Who.
    pub user: User,
    /// What every request that changes something has to bring along.
    pub csrf: Secret,
    /// The API server, asked as this user.
    pub client: kube::Client,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// What tells it from others, of no use to whoever sees it.
    pub fingerprint: Digest,
    /// What is left of its event streams.
    pub streams: Arc<Semaphore>,
    /// What is left of the objects that it may have in memory.
    pub objects: Arc<Semaphore>,
    /// What is left of its comparisons.
    pub comparisons: Arc<Semaphore>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("user", &self.user.name).finish_non_exhaustive()
    }
}

struct Held {
    session: Arc<Session>,
    used: Timestamp,
}

impl Held {
    fn is_live(&self, now: Timestamp) -> bool {
        now < self.session.expires_at && now < self.used + IDLE
    }
}

/// All sessions of a plane.
#[derive(Default)]
pub struct Sessions(Mutex<HashMap<Digest, Held>>);

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sessions")
    }
}

impl Sessions {
    /// A new session, and its id. It ends with `until`, where that is sooner than it would by itself.
    pub fn begin(
        &self,
        user: User,
        client: kube::Client,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> (Secret, Arc<Session>) {
        let id = random();
        let session = self.hold(Digest::of(id.expose()), user, client, until, now);
        (id, session)
    }

    /// The session of whoever sends this bearer token with each request, from the first of them on.
    pub fn begin_by_token(
        &self,
        token: &Secret,
        user: User,
        client: kube::Client,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Arc<Session> {
        self.hold(of_token(token), user, client, until, now)
    }

    fn hold(
        &self,
        fingerprint: Digest,
        user: User,
        client: kube::Client,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Arc<Session> {
        let longest = now + LIFETIME;
        let expires_at = until.map_or(longest, |until| until.min(longest));
        let places = |number| Arc::new(Semaphore::new(number));
        let session = Arc::new(Session {
            user,
            csrf: random(),
            client,
            expires_at,
            fingerprint,
            streams: places(turns::STREAMS_OF_SESSION),
            objects: places(turns::OBJECTS_OF_SESSION),
            comparisons: places(turns::COMPARISONS_OF_SESSION),
        });
        let mut held = self.held();
        held.retain(|_, held| held.is_live(now));
        // Two first requests with one token come at once.
        if let Some(known) = held.get(&fingerprint) {
            return known.session.clone();
        }
        let of_user = held.values().filter(|held| held.session.user.name == session.user.name).count();
        if of_user >= MAX_OF_USER {
            end_longest_unused(&mut held, |held| held.session.user.name == session.user.name);
        } else if held.len() >= MAX_SESSIONS {
            end_longest_unused(&mut held, |_| true);
        }
        held.insert(fingerprint, Held { session: session.clone(), used: now });
        session
    }

    /// The session of this id, as long as it lasts. Asking for it is using it.
    pub fn find(&self, id: &Secret, now: Timestamp) -> Option<Arc<Session>> {
        self.using(Digest::of(id.expose()), now)
    }

    /// The same of whoever sends this bearer token.
    pub fn find_by_token(&self, token: &Secret, now: Timestamp) -> Option<Arc<Session>> {
        self.using(of_token(token), now)
    }

    fn using(&self, key: Digest, now: Timestamp) -> Option<Arc<Session>> {
        let mut held = self.held();
        let found = held.get_mut(&key)?;
        if !found.is_live(now) {
            held.remove(&key);
            return None;
        }
        found.used = found.used.max(now);
        Some(found.session.clone())
    }

    /// Whether this session has not ended. That is no use of it.
    pub fn is_live(&self, fingerprint: &Digest, now: Timestamp) -> bool {
        self.held().get(fingerprint).is_some_and(|held| held.is_live(now))
    }

    /// Ends a session.
    pub fn end(&self, fingerprint: &Digest) {
        self.held().remove(fingerprint);
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Digest, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Apart from ids: a token in the cookie, or an id sent as a token, is nobody's.
fn of_token(token: &Secret) -> Digest {
    Digest::of(format!("bearer {}", token.expose()))
}

fn end_longest_unused(held: &mut HashMap<Digest, Held>, which: impl Fn(&Held) -> bool) {
    let unused = held.iter().filter(|(_, held)| which(held)).min_by_key(|(_, held)| held.used).map(|(key, _)| *key);
    if let Some(key) = unused {
        held.remove(&key);
    }
}

/// 256 random bits as text.
///
/// # Panics
/// If the system has no random numbers: nothing safe can be done then.
pub fn random() -> Secret {
    let mut bytes = [0; 32];
    let filled = rustls::crypto::ring::default_provider().secure_random.fill(&mut bytes);
    filled.unwrap_or_else(|_| panic!("the system has no random numbers to make a session of"));
    Secret::new(URL_SAFE_NO_PAD.encode(bytes))
}

/// How the cookie is named and sent. Over HTTPS its name binds it to this very host: none that another host or an
/// unencrypted connection planted is one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cookie {
    /// Whether browsers reach the portal by HTTPS.
    pub secure: bool,
}

impl Cookie {
    fn name(self, of: &str) -> String {
        if self.secure { format!("__Host-{of}") } else { of.to_owned() }
    }

    /// What a request brings along under a name. Of several of one name none is believed.
    pub fn read(self, of: &str, headers: &HeaderMap) -> Option<Secret> {
        let name = self.name(of);
        let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        let pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(found, _)| *found == name).map(|(_, value)| value);
        let value = values.next().filter(|value| !value.is_empty())?;
        values.next().is_none().then(|| Secret::new(value))
    }

    /// `Set-Cookie`, good until the browser is closed.
    pub fn set(self, of: &str, value: &Secret) -> Option<HeaderValue> {
        self.header(of, value.expose(), "")
    }

    /// `Set-Cookie`, good for some seconds.
    pub fn set_for(self, of: &str, value: &Secret, seconds: u32) -> Option<HeaderValue> {
        self.header(of, value.expose(), &format!("; Max-Age={seconds}"))
    }

    /// `Set-Cookie` that takes it away.
    pub fn forget(self, of: &str) -> Option<HeaderValue> {
        self.header(of, "", "; Max-Age=0")
    }

    fn header(self, of: &str, value: &str, more: &str) -> Option<HeaderValue> {
        let secure = if self.secure { "; Secure" } else { "" };
        let text = format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{more}", self.name(of));
        let mut header = HeaderValue::from_str(&text).ok()?;
        header.set_sensitive(true);
        Some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::portal::testing::nobodys_client;

    fn start() -> Timestamp {
        "2026-01-02T03:04:05Z".parse().unwrap()
    }

    fn user(name: &str) -> User {
        User { name: name.to_owned(), groups: Vec::new() }
    }

    #[tokio::test]
    async fn a_session_ends_in_time() {
        let (sessions, start) = (Sessions::default(), start());
        let hours = SignedDuration::from_hours;
        let (id, session) = sessions.begin(user("maria"), nobodys_client(), None, start);
        assert_eq!(session.expires_at, start + hours(12));
        // Used every half hour it lasts for twelve.
        for half in 1..24 {
            assert!(sessions.find(&id, start + SignedDuration::from_mins(30) * half).is_some(), "{half}");
        }
        assert!(sessions.find(&id, start + hours(12)).is_none());

        let (id, session) = sessions.begin(user("maria"), nobodys_client(), None, start);
        // Looking whether it is there is no use of it.
        assert!(sessions.is_live(&session.fingerprint, start + SignedDuration::from_mins(59)));
        assert!(sessions.find(&id, start + hours(1)).is_none());

        let (id, session) = sessions.begin(user("maria"), nobodys_client(), Some(start + hours(1) / 2), start);
        assert_eq!(session.expires_at, start + hours(1) / 2, "no longer than its token");
        assert!(sessions.find(&id, start + hours(1) / 2).is_none());
    }

    #[tokio::test]
    async fn signing_out_ends_only_that_session() {
        let (sessions, start) = (Sessions::default(), start());
        let (one, session) = sessions.begin(user("maria"), nobodys_client(), None, start);
        let (other, _) = sessions.begin(user("maria"), nobodys_client(), None, start);
        assert_ne!(one.expose(), other.expose());
        sessions.end(&session.fingerprint);
        assert!(sessions.find(&one, start).is_none() && sessions.find(&other, start).is_some());
        assert!(sessions.find(&Secret::new("guessed"), start).is_none());
    }

    #[tokio::test]
    async fn a_bearer_token_has_one_session_and_is_no_id() {
        let (sessions, start) = (Sessions::default(), start());
        let token = Secret::new("t");
        let begin = |now| sessions.begin_by_token(&token, user("maria"), nobodys_client(), None, now);
        let session = begin(start);
        assert!(Arc::ptr_eq(&session, &begin(start)), "both of two first requests");
        assert!(Arc::ptr_eq(&session, &sessions.find_by_token(&token, start).unwrap()));
        let (id, _) = sessions.begin(user("maria"), nobodys_client(), None, start);
        assert!(sessions.find(&token, start).is_none() && sessions.find_by_token(&id, start).is_none());
        sessions.end(&session.fingerprint);
        assert!(sessions.find_by_token(&token, start).is_none());
    }

    #[tokio::test]
    async fn nobody_signs_others_out() {
        let (sessions, start) = (Sessions::default(), start());
        let (other, _) = sessions.begin(user("jonas"), nobodys_client(), None, start);
        let second = SignedDuration::from_secs(1);
        let (first, _) = sessions.begin(user("maria"), nobodys_client(), None, start + second);
        for _ in 0..MAX_OF_USER {
            sessions.begin(user("maria"), nobodys_client(), None, start + second * 2);
        }
        assert!(sessions.find(&first, start + second * 3).is_none());
        assert!(sessions.find(&other, start + second * 3).is_some());
    }

    #[test]
    fn cookies_are_bound_to_the_host() {
        let header = |cookie: Cookie| cookie.set("orbit", &Secret::new("x")).unwrap().to_str().unwrap().to_owned();
        assert_eq!(header(Cookie { secure: true }), "__Host-orbit=x; Path=/; HttpOnly; SameSite=Lax; Secure");
        assert_eq!(header(Cookie { secure: false }), "orbit=x; Path=/; HttpOnly; SameSite=Lax");
        let read = |secure: bool, text: &'static str| {
            let headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static(text))]);
            Cookie { secure }.read("orbit", &headers).map(|found| found.expose().to_owned())
        };
        assert_eq!(read(true, "a=b; __Host-orbit=x; c=d"), Some("x".to_owned()));
        assert_eq!(read(false, "orbit=x"), Some("x".to_owned()));
        for text in ["orbit=x", "__Host-orbit=", "__Host-orbit=x; __Host-orbit=y", "x__Host-orbit=x", ""] {
            assert_eq!(read(true, text), None, "{text}");
        }
    }
}
