//! Every change of a spec that is seen goes into the journal of its namespace's changes, with who made it and what was
//! before. What was not seen in between is told by the generations.
//!
//! No work waits for it: what cannot be recorded now is recorded a moment later, by then perhaps with more than one
//! generation. A Delivery's spec is the plane's own, and what it asks for is in the journal as deployments.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::ResourceExt;
use serde::Serialize;
use tokio::time::timeout;

use super::{backoff::Backoff, context::Context, reconcile::Reconcile};
use crate::{
    chart_store::{ChartStoreError, Entry, Fact, Spec, SpecChange, SpecRecord, changes_of},
    digest::Digest,
};

/// How long it may take before the work goes on without.
const WITHIN: Duration = Duration::from_secs(5);

/// What of an object the journal tells with its spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audited {
    digest: Digest,
    application: Option<String>,
    environment: Option<String>,
}

impl Audited {
    /// A spec.
    pub fn of(spec: &impl Serialize) -> Self {
        Self { digest: Digest::of_canonical(spec), application: None, environment: None }
    }

    /// It is about this application.
    pub fn about(self, application: &str) -> Self {
        Self { application: Some(application.to_owned()), ..self }
    }

    /// It is about this environment.
    pub fn within(self, environment: &str) -> Self {
        Self { environment: Some(environment.to_owned()), ..self }
    }
}

/// The generations that are known to be recorded, by UID: a plane at rest asks the store for none of them.
#[derive(Debug, Default)]
pub struct Recorded {
    generations: Mutex<HashMap<String, i64>>,
    failures: Backoff,
}

impl Recorded {
    /// The object is gone.
    pub fn forget(&self, uid: &str) {
        self.held().remove(uid);
        self.failures.forget(uid);
    }

    fn has(&self, uid: &str, generation: i64) -> bool {
        self.held().get(uid).is_some_and(|known| *known >= generation)
    }

    fn keep(&self, uid: String, generation: i64) {
        self.failures.forget(&uid);
        self.held().insert(uid, generation);
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, i64>> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Records the object's spec as it is, if it is another than before. When to try again, where that did not succeed.
pub async fn observe<K: Reconcile>(object: &K, context: &Context) -> Option<Duration> {
    let (audited, uid) = object.audited().zip(object.uid())?;
    let generation = object.meta().generation.unwrap_or_default();
    // Its end is another generation of the same spec, and is recorded as its end.
    if object.meta().deletion_timestamp.is_some() || context.recorded.has(&uid, generation) {
        return None;
    }
    let entry = entry(object, &audited, Some(Spec { generation, digest: audited.digest }), context.actor(object));
    let key = changes_of(&object.namespace().unwrap_or_default());
    // Others of the namespace are at it: it comes back for its turn, and nobody waits for that.
    let Ok(_alone) = timeout(WITHIN, context.alone_with(&key)).await else { return Some(WITHIN) };
    let problem = match timeout(WITHIN, context.chart_store.record(&key, entry)).await {
        Ok(Ok(_)) => {
            context.recorded.keep(uid, generation);
            return None;
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} s", WITHIN.as_secs()),
    };
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    tracing::warn!(kind = K::KIND, namespace, name, generation, problem, "a spec is not in the journal yet");
    Some(context.recorded.failures.failed(&uid))
}

/// Records the object's end, and before it the spec that it ended with, where that was never seen.
///
/// # Errors
/// What the Chart Store says; the object has to stay until then.
pub async fn gone<K: Reconcile>(object: &K, context: &Context) -> Result<(), ChartStoreError> {
    let Some(audited) = object.audited() else { return Ok(()) };
    let last = Spec { generation: object.meta().generation.unwrap_or_default(), digest: audited.digest };
    let key = changes_of(&object.namespace().unwrap_or_default());
    let _alone = context.alone_with(&key).await;
    let recorded = context.chart_store.spec_record(&key, &format!("{}/{}", K::KIND, object.name_any())).await?;
    if SpecRecord::is_behind(recorded.as_ref(), object.meta().uid.as_deref().unwrap_or_default(), &last) {
        let unseen = entry(object, &audited, Some(last), context.actor(object));
        context.chart_store.record(&key, unseen).await?;
    }
    context.chart_store.record(&key, entry(object, &audited, None, context.deleter())).await.map(drop)
}

/// A change of an object's spec, for the journal of its namespace's changes. They are recorded one after the other: at the
/// first start there are as many as there are objects, for one journal.
fn entry<K: Reconcile>(object: &K, audited: &Audited, after: Option<Spec>, actor: String) -> Entry {
    let change = SpecChange {
        kind: K::KIND.to_owned(),
        name: object.name_any(),
        uid: object.uid().unwrap_or_default(),
        application: audited.application.clone(),
        environment: audited.environment.clone(),
        before: None,
        after,
    };
    Entry { actor, fact: Fact::Changed(change), spec: None, chart_package: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_asked_for_once() {
        let recorded = Recorded::default();
        assert!(!recorded.has("a", 1));
        recorded.keep("a".into(), 3);
        assert!(recorded.has("a", 3) && recorded.has("a", 2) && !recorded.has("a", 4) && !recorded.has("b", 1));
        recorded.forget("a");
        assert!(!recorded.has("a", 3));
    }
}
