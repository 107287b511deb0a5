//! Clusters for tests to deliver to, and overlays that need no image.

use std::fmt::Debug;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{Api, Resource, ResourceExt, api::PostParams};
use orbit_plane::api::{Delivery, EnvironmentOverlay, EphemeralCluster};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::plane::{Controller, Plane, Stores};
pub use crate::plane::{config_map, own_kubeconfig};

/// A plane with one cluster: the one that it works in itself, under the name `here`.
pub struct Fleet {
    pub plane: Plane,
    controller: Option<Controller>,
}

impl Fleet {
    pub async fn of(client: kube::Client, namespace: &str) -> Self {
        let plane = Plane::new(client, namespace, Stores::Embedded, &[]).await;
        let controller = plane.start().await;
        let fleet = Self { plane, controller: Some(controller) };
        fleet.join("here", &own_kubeconfig(), json!({})).await;
        fleet.plane.until_ready::<EphemeralCluster>("here").await;
        fleet
    }

    /// Ends the plane's controller, in peace.
    pub async fn stop(&mut self) {
        self.controller.take().expect("it runs").stop().await;
    }

    /// Starts it again.
    pub async fn start(&mut self) {
        self.controller = Some(self.plane.start().await);
    }

    /// Makes a cluster for the environment dev, with a kubeconfig.
    pub async fn join(&self, name: &str, kubeconfig: &str, more: Value) {
        self.plane.join(name, "dev", kubeconfig, more).await;
    }

    /// Puts a kubeconfig into the Secret of this name.
    pub async fn kubeconfig(&self, name: &str, kubeconfig: &str) {
        self.plane.secret(name, json!({"value": kubeconfig})).await;
    }

    /// An overlay `app.dev` of these manifests.
    pub async fn overlay(&self, application: &str, manifests: &[&str], more: Value) -> EnvironmentOverlay {
        let mut spec = json!({
            "application": application, "environment": "dev", "base": {"manifests": manifests},
        });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.plane.apply(&format!("{application}.dev"), spec).await
    }

    /// The name of the delivery of an application to a cluster.
    pub fn delivery(&self, application: &str, cluster: &str) -> String {
        self.plane.delivery(&format!("{application}.dev"), cluster)
    }

    /// Waits until the delivery of an application to `here` is healthy, and is of the overlay's present artifact.
    pub async fn until_delivered(&self, application: &str) -> Delivery {
        self.plane.until_delivered(&format!("{application}.dev"), "here").await
    }

    /// ConfigMaps of the plane's own namespace, which things are delivered to.
    pub fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.plane.client.clone(), &self.plane.namespace)
    }

    /// What a ConfigMap holds under `a`, if it is there.
    pub async fn value(&self, name: &str) -> Option<String> {
        self.config_maps().get_opt(name).await.unwrap()?.data?.remove("a")
    }

    /// Makes an object of the whole cluster that goes with the test's namespace, also when the test fails: the cluster is
    /// everybody's.
    pub async fn lend<K>(&self, object: Value) -> K
    where
        K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
    {
        let client = self.plane.client.clone();
        let namespace = Api::<Namespace>::all(client.clone()).get(&self.plane.namespace).await.unwrap();
        let mut object: K = serde_json::from_value(object).unwrap();
        object.meta_mut().owner_references = namespace.owner_ref(&()).map(|owner| vec![owner]);
        Api::all(client).create(&PostParams::default(), &object).await.unwrap()
    }

    /// The journal's words on deployments, without the namespace.
    pub async fn told(&self, application: &str) -> Vec<String> {
        let lines = self.plane.journal(application).await;
        let prefix = format!("{}/", self.plane.namespace);
        let is_of_rendering =
            |line: &String| line.starts_with("rendered") || line.starts_with("removed dev") && !line.contains('/');
        lines.into_iter().filter(|line| !is_of_rendering(line)).map(|line| line.replace(&prefix, "")).collect()
    }
}

/// Whether an object carries a label.
pub fn labelled(object: &impl ResourceExt, label: &str) -> bool {
    object.labels().contains_key(label)
}
