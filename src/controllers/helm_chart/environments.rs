//! Environments that somebody wrote into a HelmChart by hand are taken over into the Chart Store.

use kube::{Resource, ResourceExt, api::ObjectMeta};

use crate::{
    api::{FIELD_MANAGER, HelmChart},
    chart_store::{Entry, Fact},
    controllers::{context::Context, outcome::Halt},
    release::{ApplicationKey, Description, ReleaseRecord},
};

/// Records the chart's environments, once per change of the spec and only where it was somebody else who changed them:
/// what the plane itself wrote there it had from the Chart Store.
pub async fn take_over(
    context: &Context,
    object: &HelmChart,
    key: &ApplicationKey,
    record: &ReleaseRecord,
) -> Result<(), Halt> {
    let mut environments = object.spec.environments.clone();
    environments.sort();
    let handled = object.status.as_ref().and_then(|status| status.observed_generation) == object.metadata.generation;
    if handled || environments == record.description.environments {
        return Ok(());
    }
    // The cache holds no managed fields.
    let live = context.api::<HelmChart>(&key.namespace).get_metadata(&object.name_any()).await?;
    if live.meta().generation != object.metadata.generation || !written_by_others(live.meta()) {
        return Ok(());
    }
    let spec = context.spec_text(key, &object.spec).await?;
    let description = Description { environments, ..record.description.clone() };
    let fact = Fact::Described { version: record.release.version.clone(), description };
    let entry = Entry { actor: context.actor(object), fact, spec: Some(spec), chart_package: None };
    context.chart_store.record(key, entry).await?;
    Ok(())
}

/// Whether somebody but the plane owns `spec.environments` (metadata.managedFields, Server-Side Apply).
fn written_by_others(meta: &ObjectMeta) -> bool {
    let owns = |fields: &serde_json::Value| fields.pointer("/f:spec/f:environments").is_some();
    meta.managed_fields
        .iter()
        .flatten()
        .filter(|entry| entry.fields_v1.as_ref().is_some_and(|fields| owns(&fields.0)))
        .any(|entry| entry.manager.as_deref() != Some(FIELD_MANAGER))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn meta(entries: serde_json::Value) -> ObjectMeta {
        serde_json::from_value(json!({"managedFields": entries})).unwrap()
    }

    #[test]
    fn only_the_owner_of_the_environments_counts() {
        let entry = |manager: &str, field: &str| json!({"manager": manager, "operation": "Update", "fieldsV1": {"f:spec": {field: {}}}});
        assert!(!written_by_others(&ObjectMeta::default()));
        assert!(!written_by_others(&meta(json!([
            entry("orbit-plane", "f:environments"),
            entry("kubectl", "f:suspend")
        ]))));
        assert!(written_by_others(&meta(json!([
            entry("orbit-plane", "f:source"),
            entry("kubectl-edit", "f:environments")
        ]))));
    }
}
