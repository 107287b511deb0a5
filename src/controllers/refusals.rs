//! Inputs that could not be rendered, or that a cluster refused: the same question is not asked again before there is
//! reason to expect another answer. An endless template costs its minute once, however often its overlay is woken.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::outcome::{Halt, HaltKind};
use crate::digest::Digest;

/// The last refusal of each object, by its UID.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<HashMap<String, Refusal>>);

#[derive(Debug)]
struct Refusal {
    question: Digest,
    halt: Halt,
    /// From then on asking again is worth while; none: never.
    until: Option<Instant>,
    /// How often the question had such an answer.
    times: u32,
}

impl Refusals {
    /// The answer that the object's question had, while it stands.
    pub fn standing(&self, uid: &str, question: &Digest) -> Option<Halt> {
        let refusals = self.lock();
        let refusal = refusals.get(uid).filter(|refusal| refusal.question == *question)?;
        refusal.until.is_none_or(|until| Instant::now() < until).then(|| refusal.halt.clone())
    }

    /// How often the question was refused so far, in a row.
    pub fn times(&self, uid: &str, question: &Digest) -> u32 {
        self.lock().get(uid).filter(|refusal| refusal.question == *question).map_or(0, |refusal| refusal.times)
    }

    /// Remembers an answer that asking again does not change by itself.
    pub fn remember(&self, uid: &str, question: Digest, halt: &Halt) {
        if let HaltKind::Stalled { again } = halt.kind {
            let until = again.map(|again| Instant::now() + again / 2);
            let times = self.times(uid, &question).saturating_add(1);
            self.lock().insert(uid.to_owned(), Refusal { question, halt: halt.clone(), until, times });
        }
    }

    /// The object was rendered, or is gone.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Refusal>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::reason;

    #[test]
    fn the_same_question_has_the_same_answer() {
        let (refusals, question) = (Refusals::default(), Digest::of("inputs"));
        refusals.remember("a", question, &Halt::stalled(reason::CHART_INVALID, "no"));
        assert_eq!(refusals.standing("a", &question).unwrap().message, "no");
        assert_eq!(refusals.standing("a", &Digest::of("other inputs")), None);
        refusals.remember("a", question, &Halt::stalled(reason::CHART_INVALID, "no"));
        assert_eq!((refusals.times("a", &question), refusals.times("a", &Digest::of("other inputs"))), (2, 0));
        assert_eq!(refusals.standing("b", &question), None);
        refusals.forget("a");
        assert_eq!(refusals.standing("a", &question), None);
    }

    #[test]
    fn what_is_tried_again_anyway_is_not_remembered() {
        let (refusals, question) = (Refusals::default(), Digest::of("inputs"));
        refusals.remember("a", question, &Halt::retry(reason::RENDERER_FAILED, "died"));
        assert_eq!(refusals.standing("a", &question), None);
    }
}
