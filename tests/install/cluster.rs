//! A connection to the cluster under test, prepared for the plane, and objects of any kind in it.

use std::future::Future;

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Config,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
    config::KubeConfigOptions,
    core::GroupVersionKind,
    discovery::{self, Scope},
};
use orbit_plane::controllers::install;
use serde_json::{Value, json};

/// The cluster's administrator.
pub async fn client() -> Client {
    // Several tests of one process come here; whoever is first installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = Config::from_kubeconfig(&KubeConfigOptions::default()).await;
    Client::try_from(config.expect("KUBECONFIG names a cluster: see `testbed env`")).expect("the kubeconfig is usable")
}

/// Runs a test in a new namespace of a cluster that has the kinds; the namespace goes afterwards, however it went.
pub async fn with_namespace<F: Future<Output = ()> + Send + 'static>(
    labels: Value,
    test: impl FnOnce(Client, String) -> F,
) {
    let client = client().await;
    install::install(&client).await.expect("the cluster takes the kinds");
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace: Namespace =
        serde_json::from_value(json!({"metadata": {"generateName": "orbit-install-", "labels": labels}})).unwrap();
    let name = namespaces.create(&PostParams::default(), &namespace).await.unwrap().metadata.name.unwrap();
    let outcome = tokio::spawn(test(client, name.clone())).await;
    namespaces.delete(&name, &DeleteParams::default()).await.unwrap();
    if let Err(failure) = outcome {
        std::panic::resume_unwind(failure.into_panic());
    }
}

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
