//! Clusters with nodes, and the `testbed` program that rules them.

use std::{net::IpAddr, pin::pin, time::Duration};

use futures::StreamExt;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Namespace, Pod},
};
use kube::{
    Api, Client, Config, ResourceExt,
    api::{DeleteParams, ListParams},
    config::{KubeConfigOptions, Kubeconfig},
    runtime::{WatchStreamExt, watcher},
};

pub use crate::testbed::run;
use crate::testbed::{self, variable};

/// How long a pod may take to be ready: generous on a busy machine, since it is waited for by a watch.
const PATIENCE: Duration = Duration::from_secs(90);

/// A cluster with a node.
pub struct Remote {
    /// What the plane calls it.
    pub name: String,
    /// What testbed calls it.
    pub testbed: String,
    /// Its administrator's kubeconfig.
    pub kubeconfig: String,
    pub client: Client,
    /// Whether it goes when the test ends.
    is_own: bool,
}

impl Remote {
    /// The clusters that all tests share, as eu-1, eu-2 and so on.
    pub async fn shared() -> Vec<Self> {
        let mut clusters = Vec::new();
        for (number, testbed) in (1..).zip(variable("ORBIT_TEST_CLUSTERS").split_whitespace()) {
            clusters.push(Self::of(format!("eu-{number}"), testbed.to_owned()).await);
        }
        assert!(clusters.len() >= 2, "ORBIT_TEST_CLUSTERS has to name two clusters");
        clusters
    }

    /// A cluster of a test's own, which may be destroyed. It takes 11 s.
    pub async fn own(name: &str) -> Self {
        let clusters = variable("ORBIT_TEST_CLUSTERS");
        let testbed = format!("{}-own", clusters.split_whitespace().next().expect("it names clusters"));
        // One that a test left behind, because it was killed itself, is in the way.
        run(&["down", "--name", &testbed]).await;
        run(&["up", "--nodes", "1", "--name", &testbed]).await;
        let mut cluster = Self::of(name.to_owned(), testbed).await;
        cluster.is_own = true;
        cluster
    }

    /// Makes another cluster in its place, under its name.
    pub async fn made_anew(self) -> Self {
        let name = self.name.clone();
        // It ends here: what comes next has its name there too.
        drop(self);
        Self::own(&name).await
    }

    async fn of(name: String, testbed: String) -> Self {
        let path = run(&["kubeconfig", "--name", &testbed]).await;
        let kubeconfig = std::fs::read_to_string(path.trim()).unwrap();
        let parsed = Kubeconfig::from_yaml(&kubeconfig).unwrap();
        let config = Config::from_custom_kubeconfig(parsed, &KubeConfigOptions::default()).await.unwrap();
        Self { name, testbed, kubeconfig, client: Client::try_from(config).unwrap(), is_own: false }
    }

    /// Has testbed do something to it.
    pub async fn testbed(&self, arguments: &[&str]) {
        run(&[arguments, &["--name", &self.testbed]].concat()).await;
    }

    /// The pods in a namespace.
    pub fn pods(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// The Deployments in a namespace.
    pub fn deployments(&self, namespace: &str) -> Api<Deployment> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Those that take requests, and are not on their way out.
    pub async fn ready_pods(&self, namespace: &str) -> Vec<Pod> {
        let pods = self.pods(namespace).list(&ListParams::default()).await.unwrap();
        pods.items.into_iter().filter(is_ready).collect()
    }

    /// Waits until another pod than these takes requests.
    pub async fn until_another_is_ready(&self, namespace: &str, others: &[Pod]) {
        let is_another = |pod: &Pod| others.iter().all(|other| other.uid() != pod.uid());
        let mut pods =
            pin!(watcher(self.pods(namespace), watcher::Config::default()).default_backoff().applied_objects());
        let ready = async {
            while let Some(pod) = pods.next().await {
                if pod.is_ok_and(|pod| is_another(&pod) && is_ready(&pod)) {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.expect("another pod becomes ready");
    }

    /// What each ready pod answers.
    pub async fn answers(&self, namespace: &str) -> Vec<String> {
        let mut answers = Vec::new();
        for pod in self.ready_pods(namespace).await {
            let address = pod.status.and_then(|status| status.pod_ip).expect("a pod that runs has an address");
            let answer = reqwest::get(format!("http://{address}:8080/")).await.unwrap();
            answers.push(answer.text().await.unwrap());
        }
        answers
    }

    /// Takes a namespace away; nobody waits for its end.
    pub async fn clear(&self, namespace: &str) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces.delete(namespace, &DeleteParams::default()).await.unwrap();
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        if self.is_own {
            testbed::down(&self.testbed);
        }
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready = conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    ready && pod.metadata.deletion_timestamp.is_none()
}

/// The address of this machine that nodes reach.
pub fn shared_address() -> IpAddr {
    variable("ORBIT_TESTBED_ADDRESS").parse().unwrap()
}
