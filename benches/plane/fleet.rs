//! A cluster to deliver to (the plane's own), and overlays that need no image.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
    runtime::watcher,
};
use orbit_plane::{
    api::{Delivery, EnvironmentOverlay, EphemeralCluster},
    digest::Digest,
};
use serde_json::{Value, json};

use crate::scene::Scene;

/// How long anything may take that is waited for.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// What is asked of a plane in one namespace.
pub struct Fleet {
    client: Client,
    namespace: String,
}

impl Fleet {
    /// In the scene's namespace.
    pub fn of(scene: &Scene) -> Self {
        Self { client: scene.client.clone(), namespace: scene.namespace.clone() }
    }

    /// Objects of a kind.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Makes the plane's own cluster one that it delivers to, for the environment dev.
    pub async fn join(&self) {
        let path = PathBuf::from(std::env::var_os("KUBECONFIG").expect("KUBECONFIG names a file"));
        let kubeconfig = std::fs::read_to_string(path).expect("it can be read");
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "here"}, "stringData": {"value": kubeconfig},
        });
        let secrets = self.api::<Secret>();
        secrets.patch("here", &PatchParams::apply("bench"), &Patch::Apply(secret)).await.expect("a Secret is applied");
        let cluster = json!({
            "metadata": {"labels": {"orbit.k8or.io/environment": "dev"}},
            "spec": {"connection": {"kubeConfig": {"secretRef": {"name": "here"}}}},
        });
        apply(&self.api::<EphemeralCluster>(), "EphemeralCluster", "here", cluster).await;
    }

    /// Applies an application's overlay of this manifest.
    pub async fn overlay(&self, application: &str, manifest: &str) {
        let spec = json!({"application": application, "environment": "dev", "base": {"manifests": [manifest]}});
        let api = self.api::<EnvironmentOverlay>();
        apply(&api, "EnvironmentOverlay", &overlay_name(application), json!({"spec": spec})).await;
    }

    /// The name of an application's delivery.
    pub fn delivery_name(&self, application: &str) -> String {
        format!("{application}.dev.{}.here", self.namespace)
    }

    /// Deliveries.
    pub fn deliveries(&self) -> Api<Delivery> {
        self.api()
    }
}

/// The name of an application's overlay.
pub fn overlay_name(application: &str) -> String {
    format!("{application}.dev")
}

/// What an overlay was rendered to.
pub fn artifact(overlay: &EnvironmentOverlay) -> Option<Digest> {
    overlay.status.as_ref()?.artifact.as_ref().map(|artifact| artifact.digest)
}

/// A ConfigMap as a manifest.
pub fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  a: \"{value}\"\n")
}

/// Waits until each of these has been seen, by the names that are given to what is seen.
pub async fn until_all<K>(
    mut seen: impl Stream<Item = Result<K, watcher::Error>> + Unpin,
    all: &BTreeSet<String>,
    name: impl Fn(&K) -> Option<String>,
) {
    let mut missing = all.clone();
    let waiting = async {
        while !missing.is_empty() {
            let object = seen.next().await.expect("a watch has no end");
            if let Some(name) = object.ok().and_then(|object| name(&object)) {
                missing.remove(&name);
            }
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(waited.is_ok(), "{} of {} never came, such as {:?}", missing.len(), all.len(), missing.first());
}

async fn apply<K>(api: &Api<K>, kind: &str, name: &str, mut object: Value)
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    object["apiVersion"] = json!("orbit.k8or.io/v1alpha1");
    object["kind"] = json!(kind);
    object["metadata"]["name"] = json!(name);
    api.patch(name, &PatchParams::apply("bench").force(), &Patch::Apply(object)).await.expect("it is applied");
}
