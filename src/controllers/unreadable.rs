//! An object that cannot be read as its kind harms no other: it is told so, and let go when it is deleted. One whose end
//! would see to something elsewhere stays until it can be read, or somebody has seen to that.

use kube::{
    Api,
    api::{ApiResource, DynamicObject},
    core::{DeserializeGuard, error_boundary::InvalidObject},
    runtime::{controller::Action, events::EventType},
};
use serde_json::{Value, json};

use super::{
    conditions::{conditions, now},
    context::{Context, set_status},
    finalizers,
    outcome::Halt,
    reconcile::Reconcile,
};
use crate::api::{Condition, FINALIZER, reason};

/// How many objects a message names.
const NAMED: usize = 5;

/// Says what is wrong with it, or lets it go.
pub async fn skip<K: Reconcile>(invalid: &InvalidObject, object: &DeserializeGuard<K>, context: &Context) -> Action {
    let meta = &invalid.metadata;
    let (namespace, name) = (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default());
    let problem = format!("this object cannot be read as {}: {}", K::KIND, invalid.error);
    let outcome = match (meta.deletion_timestamp.is_some(), finalizers::is_held(meta)) {
        (false, _) => tell::<K>(invalid, object, context, &format!("{problem}. Nothing is done for it")).await,
        (true, false) => Ok(()),
        (true, true) => match end::<K>(invalid, object, context, &problem).await {
            Ok(()) => Ok(()),
            Err(halt) => {
                let waits = format!("{problem}. It is being deleted, and waits: {halt}");
                // That what it waits for is told of is no reason to wait.
                if let Err(untold) = tell::<K>(invalid, object, context, &waits).await {
                    tracing::debug!(%untold, "the condition of a deletion that waits could not be written");
                }
                Err(halt)
            }
        },
    };
    let uid = meta.uid.as_deref().unwrap_or_default();
    match outcome {
        Ok(()) => {
            context.backoff.forget(uid);
            Action::await_change()
        }
        Err(halt) => {
            tracing::warn!(kind = K::KIND, namespace, name, %halt, "an object that cannot be read waits");
            Action::requeue(context.backoff.failed(uid))
        }
    }
}

/// Lets it go, unless it would leave something behind.
async fn end<K: Reconcile>(
    invalid: &InvalidObject,
    object: &DeserializeGuard<K>,
    context: &Context,
    problem: &str,
) -> Result<(), Halt> {
    let meta = &invalid.metadata;
    let (namespace, name) = (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default());
    match K::leaves_behind(context, namespace, name).await? {
        None => Ok(finalizers::release::<K>(meta, context).await?),
        Some(remains) => tell::<K>(invalid, object, context, &stays(problem, &remains)).await,
    }
}

/// Why it is not let go.
fn stays(problem: &str, remains: &str) -> String {
    format!(
        "{problem}. It is being deleted, and stays: {remains} would be forgotten. Let a version of the plane end it that can read it, or delete that yourself, and then take the finalizer {FINALIZER} off if it is still there"
    )
}

/// Some names in words, for what is left behind.
pub fn named(names: &[String]) -> String {
    let more = names.len().saturating_sub(NAMED);
    let listed = names[..names.len() - more].join(", ");
    if more > 0 { format!("{listed} and {more} more") } else { listed }
}

/// A condition and an event, once. The status is taken and given back as it is, but for its conditions: whatever else it
/// says stays the plane's own.
async fn tell<K: Reconcile>(
    invalid: &InvalidObject,
    object: &DeserializeGuard<K>,
    context: &Context,
    message: &str,
) -> Result<(), Halt> {
    let meta = &invalid.metadata;
    let resource = ApiResource::erase::<K>(&());
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), namespace, &resource);
    let name = meta.name.as_deref().unwrap_or_default();
    let Some(mut raw) = api.get_opt(name).await? else { return Ok(()) };
    let mut status = raw.data.get_mut("status").map_or_else(|| json!({}), Value::take);
    let Some(wanted) = with_conditions(&mut status, message, meta.generation) else { return Ok(()) };
    status["conditions"] = wanted;
    match set_status(&api, meta, &status).await {
        Ok(_) => {}
        // What is too odd for the plane may be so for the API server. The event remains.
        Err(kube::Error::Api(refusal)) if matches!(refusal.code, 400..=499) && !matches!(refusal.code, 409 | 429) => {
            tracing::warn!(kind = K::KIND, namespace, name, %refusal, "no condition could be set")
        }
        Err(error) => return Err(error.into()),
    }
    context.publish(object, EventType::Warning, reason::UNREADABLE, message).await;
    Ok(())
}

/// The conditions that are to be, unless they are.
fn with_conditions(status: &mut Value, message: &str, generation: Option<i64>) -> Option<Value> {
    let before: Vec<Condition> =
        status.get("conditions").cloned().and_then(|list| serde_json::from_value(list).ok()).unwrap_or_default();
    let wanted = conditions(&before, &Err(Halt::stalled(reason::UNREADABLE, message)), generation, now());
    (wanted != before).then(|| json!(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_named() {
        let names: Vec<_> = (0..7).map(|i| format!("d{i}")).collect();
        assert_eq!(named(&names[..1]), "d0");
        assert_eq!(named(&names[..5]), "d0, d1, d2, d3, d4");
        assert_eq!(named(&names), "d0, d1, d2, d3, d4 and 2 more");
    }

    #[test]
    fn it_is_told_once() {
        let mut status = json!({"release": {"version": 7}});
        let told = with_conditions(&mut status, "no", Some(1)).expect("it was not told yet");
        assert_eq!(told[1]["type"], "Stalled");
        status["conditions"] = told;
        assert_eq!(with_conditions(&mut status, "no", Some(1)), None);
        assert!(with_conditions(&mut status, "no, for another reason", Some(1)).is_some());
        assert_eq!(status["release"]["version"], 7);
    }
}
