//! How an object is: as kstatus computes it, so that the plane, Flux, kpt and Argo CD say the same of it.
//!
//! The rules are those of `sigs.k8s.io/cli-utils/pkg/kstatus/status`: what all kinds have in common first (being
//! deleted, a generation that was not observed, the conditions `Reconciling` and `Stalled`), then the rules of a kind
//! (`kinds`), then a condition `Ready`. What says nothing of itself is current. One thing more is asked before something
//! is healthy for the first time: that its pods do not only start (`doubt`).

mod doubt;
pub mod events;
mod kinds;
pub mod pods;
mod refusal;
mod trouble;

use jiff::Timestamp;
use kube::core::{DynamicObject, GroupVersionKind};
use serde_json::Value;

pub use doubt::{Doubt, doubt};
pub(super) use refusal::reason as refusal_reason;
pub use refusal::refusal;
pub use trouble::Trouble;
pub(super) use trouble::one_line;

/// How an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Which of the four.
    pub state: HealthState,
    /// One CamelCase word: why.
    pub reason: String,
    /// The same as a sentence.
    pub message: String,
}

/// How an object is, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HealthState {
    /// It is as it was asked to be.
    Current,
    /// It is on its way there.
    InProgress,
    /// It does not get there by itself.
    Failed,
    /// It is being deleted.
    Terminating,
}

impl Health {
    fn new(state: HealthState, reason: impl Into<String>, message: impl Into<String>) -> Self {
        // Both may be the cluster's own words.
        Self { state, reason: one_line(&reason.into()), message: one_line(&message.into()) }
    }

    fn current(message: impl Into<String>) -> Self {
        Self::new(HealthState::Current, "Current", message)
    }

    fn in_progress(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(HealthState::InProgress, reason, message)
    }

    fn failed(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(HealthState::Failed, reason, message)
    }
}

/// How an object is at a time. Only one rule knows the time: a pod has a while until it counts as unschedulable.
pub fn status(kind: &GroupVersionKind, object: &DynamicObject, now: Timestamp) -> Health {
    let view = View { kind: &kind.kind, object };
    view.in_general()
        .or_else(|| kinds::status(&kind.group, &view, now))
        .or_else(|| view.by_ready())
        .unwrap_or_else(|| Health::current("Resource is current"))
}

/// An object, and how to look into it. What is not of the expected type counts as absent.
struct View<'a> {
    kind: &'a str,
    object: &'a DynamicObject,
}

/// A condition in an object's status.
struct Condition<'a> {
    kind: &'a str,
    status: &'a str,
    reason: &'a str,
    message: &'a str,
}

impl<'a> View<'a> {
    fn integer(&self, pointer: &str) -> Option<i64> {
        self.object.data.pointer(pointer)?.as_i64()
    }

    fn text(&self, pointer: &str) -> Option<&'a str> {
        self.object.data.pointer(pointer)?.as_str()
    }

    fn list(&self, pointer: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
        self.object.data.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
    }

    fn conditions(&self) -> impl Iterator<Item = Condition<'a>> + use<'a> {
        self.list("/status/conditions").map(|condition| {
            let text = |field| condition.get(field).and_then(Value::as_str).unwrap_or_default();
            Condition { kind: text("type"), status: text("status"), reason: text("reason"), message: text("message") }
        })
    }

    fn in_general(&self) -> Option<Health> {
        let metadata = &self.object.metadata;
        if metadata.deletion_timestamp.is_some() {
            let message = "Resource scheduled for deletion";
            return Some(Health::new(HealthState::Terminating, "Terminating", message));
        }
        if let (Some(generation), Some(observed)) = (metadata.generation, self.integer("/status/observedGeneration"))
            && generation != observed
        {
            return Some(Health::in_progress(
                "LatestGenerationNotObserved",
                format!("{} generation is {generation}, but latest observed generation is {observed}", self.kind),
            ));
        }
        self.conditions().filter(|condition| condition.status == "True").find_map(|condition| match condition.kind {
            "Reconciling" => Some(Health::in_progress(condition.reason, condition.message)),
            "Stalled" => Some(Health::failed(condition.reason, condition.message)),
            _ => None,
        })
    }

    fn by_ready(&self) -> Option<Health> {
        self.conditions().filter(|condition| condition.kind == "Ready").find_map(|ready| match ready.status {
            "True" => Some(Health::current("Resource is Ready")),
            "False" | "Unknown" => Some(Health::in_progress(ready.reason, ready.message)),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests;
