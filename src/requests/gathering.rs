//! What of the requests is to be written when: pure, but for the memory of what was seen.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use axum::http::Method;
use jiff::Timestamp;

use super::subject::Subject;
use crate::chart_store::{AnsweredRequest, StreamEnd};

/// How long the first requests of a kind are gathered. Pages and pulls send several at once.
const FIRST: Duration = Duration::from_millis(700);
/// How long those that follow are.
const FOLLOWING: Duration = Duration::from_secs(60);

/// Kinds of requests of one user from one address at a time that are told exactly, and as many again that are told
/// roughly.
const MAX_OF_USER: usize = 256;
/// The same of one address, of whoever nobody knows there.
const MAX_OF_STRANGER: usize = 16;
/// Kinds of requests of all whom nobody knows, at a time.
const MAX_OF_STRANGERS: usize = 256;
/// Kinds of requests of all senders at a time.
const MAX_KINDS: usize = 8192;
/// Requests that stand for themselves and wait to be written.
const MAX_APART: usize = 4096;

/// A request that was answered.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its id.
    pub request: String,
    /// When.
    pub at: Timestamp,
    /// Who sent it; empty where nobody knows.
    pub actor: String,
    /// From where.
    pub address: Option<IpAddr>,
    /// The HTTP method.
    pub method: Method,
    /// What it was about.
    pub subject: Subject,
    /// What was answered; nothing where the client went away before.
    pub status: Option<u16>,
    /// Of an event stream: which end of it this is.
    pub stream: Option<StreamEnd>,
}

/// An event to be: who, and what.
pub type Entry = (String, AnsweredRequest);

/// What makes requests the same but for the time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    sender: (String, Option<IpAddr>),
    method: String,
    path: String,
    namespace: Option<String>,
    application: Option<String>,
    status: Option<u16>,
    stream: Option<StreamEnd>,
}

/// Requests of a kind, from the first on.
#[derive(Debug, Clone)]
struct Tally {
    request: String,
    first: Timestamp,
    last: Timestamp,
    count: u64,
}

/// A kind of request, as long as it comes again and again.
#[derive(Debug)]
struct Window {
    ends: Instant,
    tally: Option<Tally>,
}

/// What is not written yet.
#[derive(Debug, Default)]
pub struct Gathering {
    apart: Vec<Entry>,
    kinds: HashMap<Kind, Window>,
    /// How many kinds there are of each sender.
    of_sender: HashMap<(String, Option<IpAddr>), usize>,
    /// How many there are of all whom nobody knows.
    of_strangers: usize,
}

impl Gathering {
    /// One more request.
    pub fn take(&mut self, seen: Seen, now: Instant) {
        let succeeded = seen.status.map_or(!seen.actor.is_empty(), |status| status < 400);
        // A request that changes something stands for itself, unless so many wait that there is no room.
        if seen.subject.changes && succeeded && self.apart.len() < MAX_APART {
            let tally = Tally { request: seen.request.clone(), first: seen.at, last: seen.at, count: 1 };
            self.apart.push(Kind::of(&seen, &seen.subject).entry(tally));
            return;
        }
        let kind = self.kind(&seen);
        if let Some(window) = self.kinds.get_mut(&kind) {
            let tally =
                window.tally.get_or_insert(Tally { request: seen.request, first: seen.at, last: seen.at, count: 0 });
            tally.count += 1;
            tally.last = tally.last.max(seen.at);
            return;
        }
        *self.of_sender.entry(kind.sender.clone()).or_default() += 1;
        self.of_strangers += usize::from(kind.is_strangers());
        let tally = Tally { request: seen.request, first: seen.at, last: seen.at, count: 1 };
        self.kinds.insert(kind, Window { ends: now + FIRST, tally: Some(tally) });
    }

    /// As exactly as there is room for.
    fn kind(&self, seen: &Seen) -> Kind {
        let exactly = Kind::of(seen, &seen.subject);
        let of_sender = self.of_sender.get(&exactly.sender).copied().unwrap_or_default();
        let (most, room) = match exactly.is_strangers() {
            true => (MAX_OF_STRANGER, self.of_strangers < MAX_OF_STRANGERS),
            false => (MAX_OF_USER, self.kinds.len() < MAX_KINDS),
        };
        if self.kinds.contains_key(&exactly) || (room && of_sender < most) {
            return exactly;
        }
        let roughly = Kind::of(seen, &seen.subject.roughly());
        if self.kinds.contains_key(&roughly) || (room && of_sender < 2 * most) {
            return roughly;
        }
        // Methods may be anything.
        let barely = Kind { method: "*".to_owned(), ..Kind::of(seen, &Subject::barely()) };
        if self.kinds.contains_key(&barely) || room {
            return barely;
        }
        // Of whoever it is: there are as many of these as there are statuses.
        Kind { sender: (String::new(), None), ..barely }
    }

    /// What is to be written now; it is in nobody's memory from here on.
    pub fn due(&mut self, now: Instant) -> Vec<Entry> {
        let mut due = std::mem::take(&mut self.apart);
        let (of_sender, of_strangers) = (&mut self.of_sender, &mut self.of_strangers);
        self.kinds.retain(|kind, window| {
            if window.ends > now {
                return true;
            }
            match window.tally.take() {
                Some(tally) => {
                    due.push(kind.entry(tally));
                    window.ends = now + FOLLOWING;
                    true
                }
                // It did not come again.
                None => {
                    if let Some(count) = of_sender.get_mut(&kind.sender) {
                        *count -= 1;
                    }
                    *of_strangers -= usize::from(kind.is_strangers());
                    false
                }
            }
        });
        of_sender.retain(|_, count| *count > 0);
        due.sort_by_key(|(_, request)| request.first);
        due
    }

    /// Everything, at the end.
    pub fn rest(&mut self) -> Vec<Entry> {
        let mut rest = std::mem::take(&mut self.apart);
        rest.extend(self.kinds.drain().filter_map(|(kind, window)| Some(kind.entry(window.tally?))));
        self.of_sender.clear();
        self.of_strangers = 0;
        rest.sort_by_key(|(_, request)| request.first);
        rest
    }

    /// When there is something to do next, if nothing comes.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        if !self.apart.is_empty() {
            return Some(now);
        }
        self.kinds.values().map(|window| window.ends).min()
    }
}

impl Kind {
    fn is_strangers(&self) -> bool {
        self.sender.0.is_empty()
    }

    fn of(seen: &Seen, subject: &Subject) -> Self {
        Self {
            sender: (seen.actor.clone(), seen.address),
            method: seen.method.as_str().chars().take(32).collect(),
            path: subject.path.clone(),
            namespace: subject.namespace.clone(),
            application: subject.application.clone(),
            status: seen.status,
            stream: seen.stream,
        }
    }

    fn entry(&self, tally: Tally) -> Entry {
        let (actor, address) = self.sender.clone();
        let Tally { request, first, last, count } = tally;
        let request = AnsweredRequest {
            request,
            address: address.map(|address| address.to_string()),
            method: self.method.clone(),
            path: self.path.clone(),
            namespace: self.namespace.clone(),
            application: self.application.clone(),
            status: self.status,
            stream: self.stream,
            count,
            first,
            last,
        };
        (actor, request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bench {
        gathering: Gathering,
        start: Instant,
        sent: u64,
    }

    impl Bench {
        fn new() -> Self {
            Self { gathering: Gathering::default(), start: Instant::now(), sent: 0 }
        }

        fn send(&mut self, after: f64, who: (&str, u32), method: Method, path: &str, status: u16) {
            self.sent += 1;
            let since = Duration::from_secs_f64(after);
            let seen = Seen {
                request: self.sent.to_string(),
                at: Timestamp::UNIX_EPOCH + since,
                actor: who.0.to_owned(),
                address: Some(IpAddr::V4(who.1.into())),
                subject: Subject::of(&method, path, None).unwrap(),
                method,
                status: Some(status),
                stream: None,
            };
            self.gathering.take(seen, self.start + since);
        }

        /// Path, status and count of what is due.
        fn due(&mut self, after: f64) -> Vec<(String, u16, u64)> {
            let due = self.gathering.due(self.start + Duration::from_secs_f64(after));
            due.into_iter().map(|(_, request)| (request.path, request.status.unwrap(), request.count)).collect()
        }
    }

    const SESSION: &str = "/api/v1/session";
    const OBJECT: &str = "/api/v1/namespaces/shop/objects/imageuploads/web";
    const MARIA: (&str, u32) = ("maria", 7);

    #[test]
    fn what_changes_something_stands_for_itself() {
        let mut bench = Bench::new();
        for after in [0.0, 0.1] {
            bench.send(after, MARIA, Method::PUT, OBJECT, 200);
        }
        assert_eq!(bench.due(0.1), [(OBJECT.to_owned(), 200, 1), (OBJECT.to_owned(), 200, 1)]);
        assert_eq!(bench.gathering.next(bench.start), None);
    }

    #[test]
    fn reads_are_counted_at_once_and_then_by_the_minute() {
        let mut bench = Bench::new();
        let read = |bench: &mut Bench, after: f64| bench.send(after, MARIA, Method::GET, SESSION, 200);
        for after in [0.0, 0.2, 0.4] {
            read(&mut bench, after);
        }
        assert_eq!(bench.due(0.5), []);
        assert_eq!(bench.due(0.8), [(SESSION.to_owned(), 200, 3)]);
        for second in 1..60 {
            read(&mut bench, f64::from(second));
            assert_eq!(bench.due(f64::from(second)), []);
        }
        assert_eq!(bench.due(60.9), [(SESSION.to_owned(), 200, 59)]);
        // A steady one is an event a minute.
        read(&mut bench, 70.0);
        assert_eq!(bench.due(75.0), []);
        assert_eq!(bench.due(121.0), [(SESSION.to_owned(), 200, 1)]);
        // What does not come again is forgotten, and there is nothing left to wake for.
        assert_eq!(bench.due(182.0), []);
        assert_eq!(bench.gathering.next(bench.start), None);
        assert!(bench.gathering.of_sender.is_empty());
    }

    #[test]
    fn first_and_last_are_told() {
        let mut bench = Bench::new();
        for after in [1.0, 1.5, 1.25] {
            bench.send(after, MARIA, Method::GET, SESSION, 200);
        }
        let (actor, request) = bench.gathering.rest().remove(0);
        let at = |after| Timestamp::UNIX_EPOCH + Duration::from_secs_f64(after);
        assert_eq!((actor.as_str(), request.request.as_str(), request.count), ("maria", "1", 3));
        assert_eq!((request.first, request.last), (at(1.0), at(1.5)));
        assert_eq!(request.address.as_deref(), Some("0.0.0.7"));
    }

    #[test]
    fn who_from_where_what_and_which_answer_tell_requests_apart() {
        let mut bench = Bench::new();
        let chunk = "/v2/shop/web/blobs/uploads/s";
        for (who, method, path, status) in [
            (MARIA, Method::GET, SESSION, 200),
            (("jonas", 7), Method::GET, SESSION, 200),
            (("maria", 8), Method::GET, SESSION, 200),
            (MARIA, Method::HEAD, SESSION, 200),
            (MARIA, Method::GET, SESSION, 403),
            (MARIA, Method::GET, OBJECT, 200),
            // Refusals that are the same are one, whatever was to be changed; so are the chunks of an archive.
            (MARIA, Method::PUT, OBJECT, 412),
            (MARIA, Method::PUT, OBJECT, 412),
            (MARIA, Method::PATCH, chunk, 202),
            (MARIA, Method::PATCH, chunk, 202),
        ] {
            bench.send(0.0, who, method, path, status);
        }
        let counts: Vec<u64> = bench.due(1.0).into_iter().map(|(_, _, count)| count).collect();
        assert_eq!((counts.len(), counts.iter().sum::<u64>()), (8, 10));
    }

    #[test]
    fn a_flood_is_counted_in_bounded_memory_and_none_of_it_is_lost() {
        let mut bench = Bench::new();
        let mut sent = 0;
        let count = |bench: &mut Bench| bench.gathering.rest().iter().map(|(_, request)| request.count).sum::<u64>();
        // One sender who asks for ever other things.
        for n in 0..5000 {
            bench.send(0.0, ("", 7), Method::GET, &format!("/api/v1/namespaces/ns-{n}/audit"), 401);
            sent += 1;
        }
        let kinds = bench.gathering.kinds.len();
        assert!(kinds <= 2 * MAX_OF_STRANGER + 1, "{kinds}");
        // Whoever else asks is told exactly.
        bench.send(0.0, MARIA, Method::GET, OBJECT, 200);
        sent += 1;
        assert!(bench.gathering.kinds.keys().any(|kind| kind.sender.0 == "maria" && kind.path == OBJECT));
        // Ever other senders.
        for n in 0..20_000 {
            bench.send(0.0, ("", 100 + n), Method::GET, SESSION, 401);
            sent += 1;
        }
        let kinds = bench.gathering.kinds.len();
        assert!(kinds <= MAX_OF_STRANGERS + 2, "{kinds}");
        // Users who are signed in, each with ever other things.
        for n in 0..20_000 {
            let path = format!("/api/v1/namespaces/ns-{n}/audit");
            bench.send(0.0, (&format!("user-{}", n / 600), 7), Method::GET, &path, 403);
            sent += 1;
        }
        let kinds = bench.gathering.kinds.len();
        assert!(kinds > 30 * MAX_OF_USER && kinds <= MAX_KINDS + MAX_OF_STRANGERS + 2, "{kinds}");
        // Ever more changes, while the store is down.
        for _ in 0..3 * MAX_APART {
            bench.send(0.0, MARIA, Method::PUT, OBJECT, 200);
            sent += 1;
        }
        assert_eq!(bench.gathering.apart.len(), MAX_APART);
        assert_eq!(count(&mut bench), sent);
    }
}
