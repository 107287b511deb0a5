//! A plane with a TLS certificate that the clusters' nodes trust, and releases of `web` for `dev`.

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use orbit_plane::api::{ConditionStatus, Delivery, EnvironmentOverlay, EphemeralCluster, condition_type};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    image,
    plane::{Controller, Plane, Stores, condition, image::Image, registry::Registry},
    remote::{self, Remote},
};

/// Tests take turns: they share the clusters, and some take them away from under each other's feet.
static TURN: Mutex<()> = Mutex::const_new(());

pub struct Scene {
    pub plane: Plane,
    pub clusters: Vec<Remote>,
    controller: Option<Controller>,
    source: Registry,
    _turn: MutexGuard<'static, ()>,
}

impl Scene {
    /// A plane at work with the clusters that all tests share.
    pub async fn of(client: kube::Client, namespace: &str) -> Self {
        let turn = TURN.lock().await;
        let secret = format!("{namespace}/plane-tls");
        let plane = Plane::new(client, namespace, Stores::Embedded, &["--tls-secret", &secret]).await;
        let plane = plane.at(remote::shared_address());
        let certificates = plane.folder().join("certificates").display().to_string();
        remote::run(&["certificate", &certificates]).await;
        let [authority, certificate, key] = ["ca.crt", "tls.crt", "tls.key"]
            .map(|file| std::fs::read_to_string(format!("{certificates}/{file}")).unwrap());
        let data = json!({"ca.crt": authority, "tls.crt": certificate, "tls.key": key});
        apply_secret(&plane, "plane-tls", "kubernetes.io/tls", data).await;
        let controller = plane.start().await;
        let source = Registry::start().await;
        let mut scene = Self { plane, clusters: Vec::new(), controller: Some(controller), source, _turn: turn };
        for cluster in Remote::shared().await {
            scene.join(cluster).await;
        }
        scene
    }

    /// Makes a cluster known to the plane, as one for the environment dev, and the plane to its nodes.
    pub async fn join(&mut self, cluster: Remote) {
        let (plane, name) = (&self.plane, &cluster.name);
        self.introduce(&cluster).await;
        plane
            .apply::<EphemeralCluster>(name, json!({"connection": {"kubeConfig": {"secretRef": {"name": name}}}}))
            .await;
        let labels = json!({"metadata": {"labels": {"orbit.k8or.io/environment": "dev"}}});
        plane.patch::<EphemeralCluster>(name, labels).await;
        plane.until_ready::<EphemeralCluster>(name).await;
        self.clusters.push(cluster);
    }

    /// Gives the plane the cluster's kubeconfig, and its nodes the plane's authority.
    pub async fn introduce(&self, cluster: &Remote) {
        let authority = self.plane.folder().join("certificates/ca.crt").display().to_string();
        cluster.testbed(&["trust", &self.plane.registry(), &authority]).await;
        apply_secret(&self.plane, &cluster.name, "Opaque", json!({"value": cluster.kubeconfig})).await;
    }

    /// Uploads a version that runs.
    pub async fn release(&self, version: &str) {
        self.release_image(version, &image::of_version(version).await).await;
    }

    /// Uploads a version with any image.
    pub async fn release_image(&self, version: &str, image: &Image) {
        let readiness = json!({"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1});
        let workload = json!({
            "ports": [{"name": "http", "containerPort": 8080}], "probes": {"readiness": readiness},
        });
        self.release_workload(version, image, workload).await;
    }

    /// Uploads a version that runs as this workload.
    pub async fn release_workload(&self, version: &str, image: &Image, workload: Value) {
        let reference = self.source.push(image, "shop/web", version).await;
        let more = json!({"environments": ["dev"], "config": {"LOG_LEVEL": "info"}, "workload": workload});
        self.plane.upload("web", version, &reference, more).await;
    }

    /// Changes the overlay `web.dev`, once it is there.
    pub async fn overlay(&self, patch: Value) {
        self.plane.until("web.dev", "there", |_: &EnvironmentOverlay| true).await;
        self.plane.patch::<EnvironmentOverlay>("web.dev", json!({"spec": patch})).await;
    }

    /// The name of the delivery to a cluster.
    pub fn delivery(&self, cluster: &str) -> String {
        format!("web.dev.{}.{cluster}", self.plane.namespace)
    }

    /// Waits until a version is healthy in a cluster.
    pub async fn until_healthy(&self, cluster: &str, version: &str) -> Delivery {
        let what = format!("healthy with {version}");
        let is_so = |delivery: &Delivery| {
            applied(delivery) == Some(version)
                && condition(delivery, condition_type::READY).is_some_and(|c| c.status == ConditionStatus::True)
        };
        self.plane.until(&self.delivery(cluster), &what, is_so).await
    }

    /// Waits until a version is healthy in all clusters.
    pub async fn until_healthy_everywhere(&self, version: &str) {
        for cluster in &self.clusters {
            self.until_healthy(&cluster.name, version).await;
        }
    }

    /// Waits until a version is asked for in a cluster.
    pub async fn until_requested(&self, cluster: &str, version: &str) {
        let is_so = |delivery: &Delivery| delivery.spec.version.as_deref() == Some(version);
        self.plane.until(&self.delivery(cluster), &format!("for {version}"), is_so).await;
    }

    /// Waits until a version is applied to a cluster, healthy or not.
    pub async fn until_applied(&self, cluster: &str, version: &str) {
        let what = format!("applied with {version}");
        self.plane.until(&self.delivery(cluster), &what, |delivery| applied(delivery) == Some(version)).await;
    }

    /// Sees to it that pods of this version answer in a cluster, and no others.
    pub async fn must_answer(&self, cluster: &Remote, version: &str) {
        let answers = cluster.answers(&self.plane.namespace).await;
        let expected = format!("web {version}, LOG_LEVEL=info\n");
        assert!(
            !answers.is_empty() && answers.iter().all(|answer| *answer == expected),
            "{version} does not run in {}: {answers:?}",
            cluster.name
        );
    }

    /// Sees to it that a cluster went from one version to the next, each step once.
    pub async fn must_have_rolled_out(&self, cluster: &Remote, versions: &[&str]) {
        let expected: Vec<_> = versions.iter().flat_map(|version| rollout(version)).collect();
        assert_eq!(self.told(&cluster.name).await, expected, "in {}", cluster.name);
    }

    /// Sees to it that all clusters come to the last of these versions, each step once.
    pub async fn must_roll_out_everywhere(&self, versions: &[&str]) {
        let last = versions.last().expect("there is a version");
        for cluster in &self.clusters {
            self.until_healthy(&cluster.name, last).await;
            self.must_answer(cluster, last).await;
            self.must_have_rolled_out(cluster, versions).await;
        }
    }

    /// What the journal says of a cluster: states and versions.
    pub async fn told(&self, cluster: &str) -> Vec<String> {
        let of = format!(" dev {}/{cluster} ", self.plane.namespace);
        self.plane.journal("web").await.iter().filter_map(|line| line.split_once(&of)).map(join).collect()
    }

    /// Ends the plane, in peace.
    pub async fn stop(&mut self) {
        self.controller.take().expect("it runs").stop().await;
    }

    /// SIGKILL for the plane.
    pub async fn kill(&mut self) {
        self.controller.take().expect("it runs").kill().await;
    }

    /// Starts it again.
    pub async fn start(&mut self) {
        self.controller = Some(self.plane.start().await);
    }

    /// Ends the plane, and clears the clusters of what it brought.
    pub async fn end(mut self) {
        self.plane.verify().await;
        if let Some(controller) = self.controller.take() {
            controller.stop().await;
        }
        for cluster in &self.clusters {
            cluster.clear(&self.plane.namespace).await;
        }
    }
}

/// What the journal tells of a version that is rolled out without trouble.
pub fn rollout(version: &str) -> [String; 3] {
    ["requested", "applied", "healthy"].map(|state| format!("{state} {version}"))
}

fn join((state, version): (&str, &str)) -> String {
    format!("{state} {version}")
}

fn applied(delivery: &Delivery) -> Option<&str> {
    delivery.status.as_ref()?.applied.as_ref()?.version.as_deref()
}

async fn apply_secret(plane: &Plane, name: &str, of_type: &str, data: Value) {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": of_type, "stringData": data,
    });
    let api: Api<Secret> = Api::namespaced(plane.client.clone(), &plane.namespace);
    api.patch(name, &PatchParams::apply("a-test").force(), &Patch::Apply(&secret)).await.unwrap();
}
