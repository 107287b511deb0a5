//! What all reconcilers have in common: one object in, one pipeline run, one status out.

use std::{convert::Infallible, fmt::Debug, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use jiff::Timestamp;
use kube::{
    Resource, ResourceExt,
    core::{DeserializeGuard, NamespaceResourceScope},
    runtime::{controller::Action, events::EventType},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::Instant;

use super::{
    conditions::{conditions, now},
    context::Context,
    finalizers,
    metrics::Outcome,
    outcome::{Halt, HaltKind, Ready},
    places::{Errand, Who},
    spec_changes::{self, Audited},
    unreadable,
};
use crate::{
    api::{Condition, ConditionStatus, annotation, condition_type, reason},
    cluster_plane::ClusterKey,
};

/// How long an object is left alone whose namespace is being deleted.
const ENDS_WITH_ITS_NAMESPACE: Duration = Duration::from_secs(10);

/// The part of a status that every kind has.
pub struct Common<'a> {
    /// The generation it speaks of.
    pub observed_generation: &'a mut Option<i64>,
    /// The request that was handled last.
    pub last_handled_reconcile_at: &'a mut Option<String>,
    /// Its conditions.
    pub conditions: &'a mut Vec<Condition>,
}

/// A kind of ours.
pub trait Reconcile:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// Its status.
    type Status: Clone + Debug + Default + PartialEq + Serialize + Send + Sync + 'static;
    /// Its name.
    const KIND: &'static str;
    /// Whether its end is recorded, so that it has to be held back until it is.
    const HELD: bool;
    /// After this long a pipeline is stopped and tried again.
    const TIMEOUT: Duration;
    /// How many objects of the kind are worked on at a time; 0: as many as there are.
    const CONCURRENCY: u16 = 8;

    /// The cluster that it is worked on with, if any: there are so many places for each.
    fn works_with(&self) -> Option<ClusterKey> {
        None
    }
    /// Whether the cluster is to be changed, given the status as this program knows it, or only to be looked at.
    fn is_due(&self, _status: Option<&Self::Status>) -> bool {
        true
    }
    /// What the journal tells of its spec; nothing where that is not for users to change.
    fn audited(&self) -> Option<Audited> {
        None
    }
    /// Whether it is to be left alone.
    fn suspended(&self) -> bool;
    /// Its status as it was read.
    fn status(&self) -> Option<&Self::Status>;
    /// The common part of a status.
    fn common(status: &mut Self::Status) -> Common<'_>;
    /// Brings the world to what the spec asks for. What is known on the way goes into `status` as soon as it holds,
    /// and is published even if a later step halts.
    fn reconcile(
        &self,
        context: &Context,
        status: &mut Self::Status,
    ) -> impl Future<Output = Result<Ready, Halt>> + Send;
    /// Ends an object that cannot be read as far as that can be done by its name alone. What only its end could see to, in
    /// words for whoever has to now; it stays until that is none.
    fn leaves_behind(
        _context: &Context,
        _namespace: &str,
        _name: &str,
    ) -> impl Future<Output = Result<Option<String>, Halt>> + Send {
        std::future::ready(Ok(None))
    }
    /// Brings the world to the object's end. Must bear that nothing of it ever happened.
    fn retire(&self, context: &Context) -> impl Future<Output = Result<(), Halt>> + Send;
}

/// Does for one object what its state asks for, and says when to look again.
pub async fn drive<K: Reconcile>(
    object: Arc<DeserializeGuard<K>>,
    context: Arc<Context>,
) -> Result<Action, Infallible> {
    let _place = match &object.0 {
        Ok(readable) => match readable.works_with() {
            Some(cluster) => {
                match context.places.ask(&cluster, &Who::of(readable), errand(readable, &context)) {
                    Some(place) => Some(place),
                    // It is called.
                    None => return Ok(Action::await_change()),
                }
            }
            None => None,
        },
        Err(_) => {
            // It may have waited while it could be read.
            context.places.forget(&object.uid().unwrap_or_default());
            None
        }
    };
    let started = Instant::now();
    let (outcome, action) = match &object.0 {
        Err(invalid) => (Outcome::Undecodable, unreadable::skip::<K>(invalid, &object, &context).await),
        Ok(object) => {
            let settled = settle(object, &context);
            // Beside it: a namespace's changes are recorded one after the other, and that holds up the work itself not at all,
            // and whoever comes after it for a bounded time.
            let (unrecorded, (outcome, again)) = tokio::join!(spec_changes::observe(object, &context), settled);
            (outcome, next_look(outcome, again, unrecorded))
        }
    };
    context.metrics.reconciled(K::KIND, outcome, started.elapsed());
    Ok(action)
}

/// What a place is wanted for, as far as the object tells.
fn errand<K: Reconcile>(object: &K, context: &Context) -> Errand {
    let untold = context.patience.untold(&object.uid().unwrap_or_default());
    let is_due = object.is_due(untold.as_ref().or(object.status()));
    if is_due || object.meta().deletion_timestamp.is_some() { Errand::Change } else { Errand::Look }
}

/// Runs the pipeline, or at its end the last step of it; the journal has the end before the object goes.
async fn settle<K: Reconcile>(object: &K, context: &Context) -> (Outcome, Option<Duration>) {
    match (object.meta().deletion_timestamp.is_some(), finalizers::is_held(object.meta())) {
        (true, true) => end(object, context).await,
        (true, false) => {
            // What was kept of it goes when the watch sees that it is gone.
            (Outcome::Deleted, None)
        }
        (false, false) if K::HELD => match finalizers::hold::<K>(object.meta(), context).await {
            // The finalizer brings the object back here.
            Ok(()) => (Outcome::Waiting, None),
            Err(error) => later(object, context, &error.into()),
        },
        // It goes with its namespace: until then nothing is brought that would be refused. Looked at again, since what is
        // known of the namespace may be of one that had its name before.
        (false, _) if context.caches.is_ending(&object.namespace().unwrap_or_default()) => {
            (Outcome::Waiting, Some(spread(ENDS_WITH_ITS_NAMESPACE)))
        }
        (false, _) => run(object, context).await,
    }
}

/// Runs the pipeline and publishes what came of it.
async fn run<K: Reconcile>(object: &K, context: &Context) -> (Outcome, Option<Duration>) {
    let uid = object.uid().unwrap_or_default();
    // What was done is known, whether or not it was told of.
    let untold = context.patience.untold(&uid);
    let mut status = untold.or_else(|| object.status().cloned()).unwrap_or_default();
    let outcome = if object.suspended() {
        let message = "spec.suspend is set: everything stays as it is until it is unset";
        Err(Halt::waiting(reason::SUSPENDED, message))
    } else {
        attempt(object.reconcile(context, &mut status), K::TIMEOUT).await
    };
    if let Err(halt) = &outcome
        && let Some(longest) = halt.untold_for
        && let Some(left) = context.patience.left(&uid, longest, &status)
    {
        let (outcome, again) = later(object, context, halt);
        return (outcome, Some(again.map_or(left, |again| again.min(left))));
    }
    if let Err(error) = publish(object, context, &mut status, &outcome).await {
        // Whatever was refused, no condition tells of it: only trying again can.
        return later(object, context, &Halt { kind: HaltKind::Retry, ..error.into() });
    }
    match outcome {
        Ok(ready) => {
            context.backoff.forget(&uid);
            (Outcome::Ready, ready.again.map(spread))
        }
        Err(halt) => later(object, context, &halt),
    }
}

/// Runs a pipeline for as long as it may take. A defect that an object brings to light ends its pipeline only: the
/// process would take every other object with it, and meet this one again at its next start.
async fn attempt<T>(pipeline: impl Future<Output = Result<T, Halt>>, longest: Duration) -> Result<T, Halt> {
    let halted = |message| Err(Halt::retry(reason::INTERNAL, message));
    match tokio::time::timeout(longest, AssertUnwindSafe(pipeline).catch_unwind()).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => halted("a defect of the plane, which tells of it in its log; it is tried again".to_owned()),
        Err(_) => halted(format!("stopped after {} s without an end; it is tried again", longest.as_secs())),
    }
}

/// Says what is being done now, where that takes a while. `status` has it from then on, as the cluster does.
pub async fn progress<K: Reconcile>(
    object: &K,
    context: &Context,
    status: &mut K::Status,
    message: String,
) -> Result<(), Halt> {
    let working = Err(Halt::waiting(reason::PROGRESSING, message));
    Ok(publish(object, context, status, &working).await?)
}

/// When to look again at what halted.
fn later<K: Reconcile>(object: &K, context: &Context, halt: &Halt) -> (Outcome, Option<Duration>) {
    let uid = object.uid().unwrap_or_default();
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    match halt.kind {
        HaltKind::Waiting { again } => {
            context.backoff.forget(&uid);
            (Outcome::Waiting, again.map(spread))
        }
        HaltKind::Stalled { again } => {
            context.backoff.forget(&uid);
            (Outcome::Stalled, again.map(spread))
        }
        HaltKind::Retry => {
            let after = context.backoff.failed(&uid);
            tracing::warn!(kind = K::KIND, namespace, name, %halt, ?after, "tried again");
            (Outcome::Retry, Some(after))
        }
    }
}

/// After that while, or when something changes. That a spec is not in the journal yet brings back sooner what would rest;
/// what fails itself keeps to its own ever longer waits.
fn next_look(outcome: Outcome, again: Option<Duration>, unrecorded: Option<Duration>) -> Action {
    let next = match (again, unrecorded) {
        (Some(again), Some(unrecorded)) if outcome == Outcome::Retry => Some(again.max(unrecorded)),
        (Some(again), Some(unrecorded)) => Some(again.min(unrecorded)),
        (again, unrecorded) => again.or(unrecorded),
    };
    next.map_or_else(Action::await_change, Action::requeue)
}

/// A tenth more or less, so that what was made together does not come back together.
fn spread(after: Duration) -> Duration {
    after.mul_f64(0.9 + fastrand::f64() / 5.0)
}

/// Writes the status if it differs, and tells of it if the object became something else.
async fn publish<K: Reconcile>(
    object: &K,
    context: &Context,
    status: &mut K::Status,
    outcome: &Result<Ready, Halt>,
) -> Result<(), kube::Error> {
    let differs = conclude(object, status, outcome, now());
    // What is the same as before the last write is not what was written last.
    let writes = differs || context.written.is_older(object);
    if writes {
        context.apply_status(object, status).await?;
    }
    // From here on nothing is kept to oneself.
    context.patience.forget(&object.uid().unwrap_or_default());
    if !writes {
        return Ok(());
    }
    // Progress is for whoever looks. Told each time, a failure that is tried again would be news with every try.
    if matches!(outcome, Err(halt) if halt.reason == reason::PROGRESSING) {
        return Ok(());
    }
    let mut read = object.status().cloned().unwrap_or_default();
    let (was, is) = (ready(K::common(&mut read).conditions), ready(K::common(status).conditions));
    let transition = match (was, is) {
        (Some(was), Some(is)) if !is_news(was, is) => None,
        (_, is) => is,
    };
    if let Some(ready) = transition {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        tracing::info!(kind = K::KIND, namespace, name, reason = ready.reason, "{}", ready.message);
        let stalled = matches!(outcome, Err(halt) if !matches!(halt.kind, HaltKind::Waiting { .. }));
        let type_ = if stalled { EventType::Warning } else { EventType::Normal };
        context.publish(object, type_, &ready.reason, &ready.message).await;
    }
    Ok(())
}

/// Puts the outcome into the status, and says whether the cluster has to be told.
fn conclude<K: Reconcile>(object: &K, status: &mut K::Status, outcome: &Result<Ready, Halt>, now: Timestamp) -> bool {
    let common = K::common(status);
    // What goes on or is tried again has not been dealt with: the request and the generation stay open.
    if !matches!(outcome, Err(halt) if halt.kind == HaltKind::Retry || halt.reason == reason::PROGRESSING) {
        *common.observed_generation = object.meta().generation;
        *common.last_handled_reconcile_at = object.annotations().get(annotation::REQUESTED_AT).map(|at| bounded(at));
    }
    let before = std::mem::take(common.conditions);
    *common.conditions = conditions(&before, outcome, object.meta().generation, now);
    // The object is as it was read; what was said of its progress since then has to be taken back.
    let mut read = object.status().cloned().unwrap_or_default();
    let progressed = *K::common(&mut read).conditions != before;
    progressed || object.status() != Some(&*status)
}

/// Whether somebody wants to be told. The words of a failure may change with every try; those of a success do not.
fn is_news(was: &Condition, is: &Condition) -> bool {
    (was.status, &was.reason) != (is.status, &is.reason)
        || (is.status == ConditionStatus::True && was.message != is.message)
}

fn ready(conditions: &[Condition]) -> Option<&Condition> {
    conditions.iter().find(|c| c.type_ == condition_type::READY)
}

/// The annotation's value as far as the status takes it.
pub fn bounded(requested_at: &str) -> String {
    requested_at.chars().take(256).collect()
}

/// Records the end of the object and lets it go. While a store is down it stays, with a condition that says so.
async fn end<K: Reconcile>(object: &K, context: &Context) -> (Outcome, Option<Duration>) {
    let retiring = async {
        object.retire(context).await?;
        Ok(spec_changes::gone(object, context).await?)
    };
    let released = match attempt(retiring, K::TIMEOUT).await {
        Ok(()) => finalizers::release::<K>(object.meta(), context).await.map_err(Halt::from),
        Err(halt) => Err(halt),
    };
    match released {
        Ok(()) => (Outcome::Deleted, None),
        Err(halt) => {
            // Whatever it is, the object must not stay for ever: an end is always tried again.
            let halt = Halt { kind: HaltKind::Retry, message: format!("deletion waits: {}", halt.message), ..halt };
            let mut status = object.status().cloned().unwrap_or_default();
            if let Err(error) = publish(object, context, &mut status, &Err(halt.clone())).await {
                tracing::debug!(%error, "the condition of a deletion that waits could not be written");
            }
            later(object, context, &halt)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::{ImageUpload, ImageUploadStatus};

    #[test]
    fn what_was_said_of_progress_is_taken_back() {
        let mut object: ImageUpload = serde_json::from_value(json!({
            "metadata": {"name": "web", "generation": 2},
            "spec": {"application": "web", "version": "1.0.0", "images": []},
        }))
        .unwrap();
        let failed = Err(Halt::retry(reason::STORE_UNAVAILABLE, "down"));
        let mut status = ImageUploadStatus::default();
        assert!(conclude(&object, &mut status, &failed, now()));
        object.status = Some(status.clone());
        assert!(!conclude(&object, &mut status, &failed, now()), "it is known already");

        let working = Err(Halt::waiting(reason::PROGRESSING, "pulling"));
        assert!(conclude(&object, &mut status, &working, now()));
        assert_eq!(status.observed_generation, None, "nothing has come of it yet");
        // The cluster says that it is being pulled, though the object as it was read does not.
        assert!(conclude(&object, &mut status, &failed, now()));
        assert_eq!(ready(&status.conditions).unwrap().reason, reason::STORE_UNAVAILABLE);
    }

    #[tokio::test]
    async fn a_pipeline_that_fails_by_a_defect_or_never_ends_is_tried_again() {
        let minute = Duration::from_secs(60);
        let defect = attempt::<()>(async { panic!("a defect") }, minute).await.unwrap_err();
        let endless = attempt::<()>(std::future::pending(), Duration::from_millis(1)).await.unwrap_err();
        assert_eq!((defect.kind, endless.kind), (HaltKind::Retry, HaltKind::Retry));
        assert!(defect.message.contains("defect") && endless.message.contains("without an end"));
        assert_eq!(attempt(async { Ok(1) }, minute).await, Ok(1));
    }

    #[test]
    fn what_is_not_recorded_hurries_only_what_would_rest() {
        let [second, hour] = [1, 3600].map(Duration::from_secs);
        for (outcome, again, unrecorded, next) in [
            (Outcome::Ready, None, None, Action::await_change()),
            (Outcome::Ready, Some(hour), None, Action::requeue(hour)),
            (Outcome::Ready, None, Some(second), Action::requeue(second)),
            (Outcome::Stalled, Some(hour), Some(second), Action::requeue(second)),
            (Outcome::Retry, Some(hour), Some(second), Action::requeue(hour)),
        ] {
            assert_eq!(next_look(outcome, again, unrecorded), next, "{outcome:?}");
        }
    }

    #[test]
    fn a_time_is_spread_by_a_tenth() {
        let hour = Duration::from_secs(3600);
        for _ in 0..100 {
            assert!((3240..=3960).contains(&spread(hour).as_secs()));
        }
    }

    #[test]
    fn ready_is_found_among_others() {
        assert!(ready(&[condition("Stalled", "")]).is_none());
        assert!(ready(&[condition("Stalled", ""), condition("Ready", "")]).is_some());
    }

    #[test]
    fn a_success_with_another_result_is_news_and_a_failure_in_other_words_is_not() {
        let (old, new) = (condition("Ready", "rendered version 1.0.0"), condition("Ready", "rendered version 1.1.0"));
        assert!(is_news(&old, &new) && !is_news(&new, &new));
        let failed = |message| Condition { status: ConditionStatus::False, ..condition("Ready", message) };
        assert!(is_news(&new, &failed("a")) && !is_news(&failed("a"), &failed("b")));
    }

    fn condition(type_: &str, message: &str) -> Condition {
        Condition {
            type_: type_.into(),
            status: ConditionStatus::True,
            reason: "R".into(),
            message: message.into(),
            observed_generation: None,
            last_transition_time: now(),
        }
    }
}
