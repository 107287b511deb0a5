//! A plane with many clusters, each the real thing, and overlays that go to all of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    time::Duration,
};

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, Config, ResourceExt,
    api::ListParams,
    config::{KubeConfigOptions, Kubeconfig},
    runtime::watcher::{self, watcher},
};
use orbit_plane::{
    api::{ConditionStatus, Delivery, EnvironmentOverlay, EphemeralCluster, condition_type, label},
    digest::Digest,
};
use serde_json::json;

use crate::{
    plane::{Controller, Plane, Stores, condition, config_map},
    testbed,
};

/// How long it may take until everything is everywhere: each cluster has a processor or two for itself elsewhere.
const PATIENCE: Duration = Duration::from_secs(600);

/// A plane at work, and its clusters.
pub struct Crowd {
    pub plane: Plane,
    pub controller: Controller,
    /// Those that answer.
    pub alive: Vec<Member>,
    overlays: usize,
}

/// A cluster: etcd, an API server, and Kubernetes' controllers.
pub struct Member {
    /// What the plane and testbed call it.
    pub name: String,
    client: Client,
}

impl Member {
    async fn named(name: String) -> Self {
        // One that a test left behind, because it was killed itself, is in the way.
        testbed::run(&["down", "--name", &name]).await;
        let path = testbed::run(&["up", "--name", &name]).await;
        let kubeconfig = Kubeconfig::read_from(path.trim()).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        Self { name, client: Client::try_from(config).unwrap() }
    }

    /// A file of its.
    pub async fn file(&self, name: &str) -> std::path::PathBuf {
        let kubeconfig = testbed::run(&["kubeconfig", "--name", &self.name]).await;
        std::path::Path::new(kubeconfig.trim()).with_file_name(name)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        testbed::down(&self.name);
    }
}

impl Crowd {
    /// A plane at work with so many clusters, one after the other started for it.
    pub async fn of(client: Client, namespace: &str, clusters: usize) -> Self {
        let mut plane = Plane::new(client, namespace, Stores::Embedded, &[]).await;
        plane.patience = PATIENCE;
        let controller = plane.start().await;
        let mut crowd = Self { plane, controller, alive: Vec::new(), overlays: 0 };
        for number in 1..=clusters {
            let member = Member::named(format!("{}-{number}", testbed::variable("ORBIT_TEST_SCALE_NAME"))).await;
            let kubeconfig = std::fs::read_to_string(member.file("kubeconfig").await).unwrap();
            crowd.plane.join(&member.name, "dev", &kubeconfig, json!({})).await;
            crowd.alive.push(member);
        }
        for member in &crowd.alive {
            crowd.plane.until_ready::<EphemeralCluster>(&member.name).await;
        }
        crowd
    }

    /// Applies so many overlays, each of a ConfigMap that holds this.
    pub async fn overlays(&mut self, count: usize, value: &str) {
        self.overlays = count;
        for number in 0..count {
            let spec = json!({
                "application": application(number),
                "environment": "dev",
                "base": {"manifests": [config_map(&application(number), value)]},
            });
            self.plane.apply::<EnvironmentOverlay>(&format!("{}.dev", application(number)), spec).await;
        }
    }

    /// The names of all overlays.
    pub fn names(&self) -> Vec<String> {
        (0..self.overlays).map(|number| format!("{}.dev", application(number))).collect()
    }

    /// Waits until the present artifact of every overlay is healthy in every cluster that lives.
    pub async fn until_delivered(&self) {
        let mut missing = BTreeMap::new();
        for overlay in self.names() {
            let rendered = self.plane.until_ready::<EnvironmentOverlay>(&overlay).await;
            let artifact = rendered.status.unwrap().artifact.unwrap().digest;
            missing.extend(self.alive.iter().map(|member| (self.plane.delivery(&overlay, &member.name), artifact)));
        }
        let mut deliveries = pin!(watcher(self.plane.api::<Delivery>(), watcher::Config::default()));
        let all = async {
            while !missing.is_empty() {
                let event = deliveries.next().await.expect("a watch has no end").unwrap();
                if let watcher::Event::InitApply(delivery) | watcher::Event::Apply(delivery) = event {
                    let name = delivery.name_any();
                    if missing.get(&name).is_some_and(|artifact| is_healthy(&delivery, artifact)) {
                        missing.remove(&name);
                    }
                }
            }
        };
        let waited = tokio::time::timeout(PATIENCE, all).await;
        assert!(waited.is_ok(), "{} deliveries never were healthy: {:?}", missing.len(), missing.first_key_value());
    }

    /// Every cluster that lives holds exactly what was delivered, with this value.
    pub async fn must_hold(&self, value: &str) {
        let expected: BTreeSet<_> = (0..self.overlays).map(|number| (application(number), value.to_owned())).collect();
        for member in &self.alive {
            let api: Api<ConfigMap> = Api::namespaced(member.client.clone(), &self.plane.namespace);
            let there = api.list(&ListParams::default().labels(label::PLANE)).await.unwrap();
            let held = there.into_iter().map(|map| (map.name_any(), map.data.unwrap_or_default()["a"].clone()));
            assert_eq!(held.collect::<BTreeSet<_>>(), expected, "{}", member.name);
        }
    }

    /// Kills so many clusters, without a goodbye.
    pub async fn kill(&mut self, count: usize) -> Vec<Member> {
        let dead = self.alive.split_off(self.alive.len() - count);
        for member in &dead {
            testbed::run(&["kill", "--name", &member.name]).await;
        }
        dead
    }

    /// The last word of every overlay's journal on a cluster is this.
    pub async fn must_end_with(&self, state: &str, member: &Member) {
        let cluster = format!("{}/{}", self.plane.namespace, member.name);
        for number in 0..self.overlays {
            let journal = self.plane.journal(&application(number)).await;
            let last = journal.iter().rfind(|line| line.contains(&format!(" {cluster} ")));
            assert_eq!(last.map(String::as_str), Some(&*format!("{state} dev {cluster} -")), "{journal:?}");
        }
    }
}

fn application(number: usize) -> String {
    format!("web-{number}")
}

fn is_healthy(delivery: &Delivery, artifact: &Digest) -> bool {
    let applied = delivery.status.as_ref().and_then(|status| status.applied.as_ref());
    applied.is_some_and(|applied| applied.artifact == *artifact)
        && condition(delivery, condition_type::READY).is_some_and(|ready| ready.status == ConditionStatus::True)
}
