//! Objects of any kind, as JSON.

use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, Patch, PatchParams},
    core::GroupVersionKind,
    discovery::{self, Scope},
};
use serde_json::Value;

/// The API for an object's kind, in the namespace that the object names.
async fn api_of(client: &Client, object: &Value) -> (Api<DynamicObject>, String) {
    let (version, kind) = (object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
    let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
    let gvk = GroupVersionKind::gvk(group, version, kind);
    let (resource, capabilities) = discovery::pinned_kind(client, &gvk).await.unwrap_or_else(|e| panic!("{kind}: {e}"));
    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
    let api = match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => {
            let namespace = object["metadata"]["namespace"].as_str();
            let namespace = namespace.unwrap_or_else(|| panic!("{kind} {name} names no namespace"));
            Api::namespaced_with(client.clone(), namespace, &resource)
        }
    };
    (api, name)
}

/// Applies an object, or asks what would come of it.
pub async fn apply(client: &Client, object: &Value, dry_run: bool) -> Result<(), String> {
    let (api, name) = api_of(client, object).await;
    let params = PatchParams {
        dry_run,
        field_validation: Some(kube::api::ValidationDirective::Strict),
        ..PatchParams::apply("test").force()
    };
    let applied = api.patch(&name, &params, &Patch::Apply(object)).await;
    applied.map(drop).map_err(|e| format!("{} {name}: {e}", object["kind"]))
}

/// Deletes an object.
pub async fn delete(client: &Client, object: &Value) {
    let (api, name) = api_of(client, object).await;
    api.delete(&name, &DeleteParams::default()).await.unwrap();
}
