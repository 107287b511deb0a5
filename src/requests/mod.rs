//! Requests to the plane's own API, on their way into the journal: who sent them, from where, and what was answered;
//! refused ones, too. Never what opens something: no header, no body, nothing after a question mark.
//!
//! [`observe`] sees every answer of the portal's API and of the registry. [`Gathering`](gathering::Gathering) holds what
//! is not written yet, in bounded memory: what changes something stands for itself, everything else that is the same but
//! for the time becomes one event with a count. [`Writer`] is the one task that writes. No answer waits for it, and
//! nobody's requests take more room than their kinds: where there are too many of those they are counted together.

mod gathering;
mod observe;
mod subject;
mod writer;

use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Instant,
};

use axum::http::Extensions;
use tokio::sync::Notify;

use self::gathering::Gathering;
pub use self::{
    gathering::Seen,
    observe::{REQUEST_ID, observe},
    subject::Subject,
    writer::Writer,
};

/// Requests that are to be recorded. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Requests(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    gathering: Mutex<Gathering>,
    /// Rings when there is something that may have to be written sooner than what was known.
    bell: Notify,
}

impl Requests {
    /// A request was answered.
    pub fn saw(&self, seen: Seen) {
        self.gathering().take(seen, Instant::now());
        self.0.bell.notify_one();
    }

    /// All that is not written yet, for tests: who, and what.
    #[cfg(test)]
    pub fn taken(&self) -> Vec<(String, crate::chart_store::AnsweredRequest)> {
        self.gathering().rest()
    }

    fn gathering(&self) -> MutexGuard<'_, Gathering> {
        self.0.gathering.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request's id, as the answer and the log have it.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// Who sends a request, as soon as somebody has found that out.
#[derive(Debug, Clone, Default)]
pub struct Sender(Arc<OnceLock<String>>);

impl Sender {
    /// The sender of the request that these extensions belong to; nobody's, where nothing is recorded of it.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_default()
    }

    /// It is this user. What was found out first stands.
    pub fn is(&self, name: &str) {
        self.0.get_or_init(|| name.to_owned());
    }

    /// Who, if that is known.
    pub fn name(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}
