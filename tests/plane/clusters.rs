//! Clusters for a plane to deliver to, and what is delivered there without any image.

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use orbit_plane::api::{ConditionStatus, Delivery, EnvironmentOverlay, EphemeralCluster, condition_type};
use serde_json::{Value, json};

use super::{Plane, condition};

impl Plane {
    /// Makes a cluster for an environment, with a kubeconfig and further fields of its spec.
    pub async fn join(&self, name: &str, environment: &str, kubeconfig: &str, more: Value) {
        self.secret(name, json!({"value": kubeconfig})).await;
        let mut spec = json!({"connection": {"kubeConfig": {"secretRef": {"name": name}}}});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.apply::<EphemeralCluster>(name, spec).await;
        let labels = json!({"metadata": {"labels": {"orbit.k8or.io/environment": environment}}});
        self.patch::<EphemeralCluster>(name, labels).await;
    }

    /// Applies a Secret.
    pub async fn secret(&self, name: &str, data: Value) {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        api.patch(name, &PatchParams::apply("a-test").force(), &Patch::Apply(&secret)).await.unwrap();
    }

    /// The name of the delivery of an overlay to a cluster of this namespace.
    pub fn delivery(&self, overlay: &str, cluster: &str) -> String {
        format!("{overlay}.{}.{cluster}", self.namespace)
    }

    /// Waits until the delivery of an overlay to a cluster is healthy, and is of the overlay's present artifact.
    pub async fn until_delivered(&self, overlay: &str, cluster: &str) -> Delivery {
        let rendered = self.until_ready::<EnvironmentOverlay>(overlay).await;
        let wanted = rendered.status.unwrap().artifact.unwrap().digest;
        self.until(&self.delivery(overlay, cluster), "healthy", |delivery: &Delivery| {
            let applied = delivery.status.as_ref().and_then(|status| status.applied.as_ref());
            applied.is_some_and(|applied| applied.artifact == wanted)
                && condition(delivery, condition_type::READY).is_some_and(|c| c.status == ConditionStatus::True)
        })
        .await
    }
}

/// The kubeconfig that the tests work with themselves.
pub fn own_kubeconfig() -> String {
    let path = std::env::var("KUBECONFIG").expect("KUBECONFIG names a cluster: see `testbed env`");
    std::fs::read_to_string(path).unwrap()
}

/// A ConfigMap as a manifest.
pub fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  a: \"{value}\"\n")
}
