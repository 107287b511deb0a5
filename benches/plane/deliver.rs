//! From an artifact to a cluster: how soon one arrives, and five hundred at once.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    pin::pin,
    process::Stdio,
    time::{Duration, Instant},
};

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
    runtime::{
        WatchStreamExt,
        watcher::{self, watcher},
    },
};
use orbit_plane::{
    api::{EnvironmentOverlay, EphemeralCluster},
    digest::Digest,
};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{plane::Plane, report::Row, scene::Scene};

const OVERLAYS: usize = 500;
const ROUNDS: usize = 25;
const PATIENCE: Duration = Duration::from_secs(600);

/// Measures it.
pub async fn measure() -> Vec<Row> {
    println!("Delivering {OVERLAYS} overlays, and one {ROUNDS} times (usually 1 minute)");
    let scene = Scene::new().await;
    let plane = Plane::start(scene.folder.path(), &scene.kubeconfig(), &[]).await;
    let overlays: Api<EnvironmentOverlay> = Api::namespaced(scene.client.clone(), &scene.namespace);
    for number in 0..OVERLAYS {
        overlay(&overlays, &name(number), "0").await;
    }
    let all: BTreeSet<_> = (0..OVERLAYS).map(name).collect();
    let rendered = pin!(watcher(overlays.clone(), watcher::Config::default()).default_backoff().touched_objects());
    until_all(rendered, &all, |it| artifact(it).map(|_| it.spec.application.clone())).await;

    // All of it waits for the cluster.
    let config_maps: Api<ConfigMap> = Api::namespaced(scene.client.clone(), &scene.namespace);
    let arriving = pin!(watcher(config_maps.clone(), watcher::Config::default()).default_backoff().touched_objects());
    let began = Instant::now();
    join(&scene).await;
    until_all(arriving, &all, |it| Some(it.name_any())).await;
    let ours = began.elapsed();
    let theirs = kubectl_applies(&scene, &all).await;

    let mut times = Vec::with_capacity(ROUNDS);
    for round in 1..=ROUNDS {
        times.push(one(&overlays, &config_maps, &round.to_string()).await);
    }
    times.sort();
    let median = times[ROUNDS / 2].as_secs_f64() * 1000.0;
    plane.stop().await;
    scene.end().await;
    let (ours, theirs) = (ours.as_secs_f64() * 1000.0, theirs.as_secs_f64() * 1000.0);
    vec![
        Row {
            name: "artifact published to applied in a cluster",
            value: median,
            unit: "ms",
            beside: 250.0,
            ratio: 250.0 / median,
            beside_what: "the promise",
            promise: "less than 250 ms",
            kept: median < 250.0,
        },
        Row {
            name: "500 overlays to a new cluster",
            value: ours,
            unit: "ms",
            beside: theirs,
            ratio: theirs / ours,
            beside_what: "kubectl apply --server-side",
            promise: "no slower",
            kept: ours <= theirs,
        },
    ]
}

/// From the moment in which the artifact of the first overlay is published until the cluster has what is in it.
async fn one(overlays: &Api<EnvironmentOverlay>, config_maps: &Api<ConfigMap>, value: &str) -> Duration {
    let only = |name: &str| watcher::Config::default().fields(&format!("metadata.name={name}"));
    let first = name(0);
    let mut rendered =
        pin!(watcher(overlays.clone(), only(&format!("{first}.dev"))).default_backoff().touched_objects());
    let mut applied = pin!(watcher(config_maps.clone(), only(&first)).default_backoff().touched_objects());
    // Both watches are there before anything changes.
    let before = rendered.next().await.expect("a watch has no end").expect("it is watched");
    applied.next().await.expect("a watch has no end").expect("it is watched");
    overlay(overlays, &first, value).await;
    let published = async {
        while let Some(seen) = rendered.next().await {
            if seen.is_ok_and(|seen| artifact(&seen) != artifact(&before)) {
                return Instant::now();
            }
        }
        unreachable!("a watch has no end")
    };
    let arrived = async {
        while let Some(seen) = applied.next().await {
            if seen.is_ok_and(|seen| seen.data.is_some_and(|data| data["a"] == value)) {
                return Instant::now();
            }
        }
        unreachable!("a watch has no end")
    };
    let both = tokio::time::timeout(PATIENCE, futures::future::join(published, arrived));
    let (published, arrived) = both.await.expect("it arrives");
    arrived.saturating_duration_since(published)
}

fn name(number: usize) -> String {
    format!("web-{number}")
}

fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  a: \"{value}\"\n")
}

fn artifact(overlay: &EnvironmentOverlay) -> Option<Digest> {
    overlay.status.as_ref()?.artifact.as_ref().map(|artifact| artifact.digest)
}

async fn overlay(api: &Api<EnvironmentOverlay>, application: &str, value: &str) {
    let spec = json!({
        "application": application, "environment": "dev",
        "base": {"manifests": [config_map(application, value)]},
    });
    apply(api, "EnvironmentOverlay", &format!("{application}.dev"), json!({"spec": spec})).await;
}

/// Makes the plane's own cluster one that it delivers to.
async fn join(scene: &Scene) {
    let path = PathBuf::from(std::env::var_os("KUBECONFIG").expect("KUBECONFIG names a file"));
    let kubeconfig = std::fs::read_to_string(path).expect("it can be read");
    let secrets: Api<Secret> = Api::namespaced(scene.client.clone(), &scene.namespace);
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "here"}, "stringData": {"value": kubeconfig}});
    secrets.patch("here", &PatchParams::apply("bench"), &Patch::Apply(secret)).await.expect("a Secret is applied");
    let clusters: Api<EphemeralCluster> = Api::namespaced(scene.client.clone(), &scene.namespace);
    let spec = json!({"connection": {"kubeConfig": {"secretRef": {"name": "here"}}}});
    let labels = json!({"orbit.k8or.io/environment": "dev"});
    apply(&clusters, "EphemeralCluster", "here", json!({"metadata": {"labels": labels}, "spec": spec})).await;
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

/// Waits until each of these has been seen, by the names that are given to what is seen.
async fn until_all<K>(
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

/// The same ConfigMaps into another namespace, by the command.
async fn kubectl_applies(scene: &Scene, all: &BTreeSet<String>) -> Duration {
    let other = Scene::new().await;
    let manifests: Vec<_> = all.iter().map(|name| config_map(name, "0")).collect();
    let file = scene.folder.path().join("manifests.yaml");
    std::fs::write(&file, manifests.join("---\n")).expect("a file");
    let began = Instant::now();
    kubectl(&["apply", "--server-side", "--namespace", &other.namespace, "--filename"], &file).await;
    let took = began.elapsed();
    other.end().await;
    took
}

async fn kubectl(arguments: &[&str], file: &Path) {
    let run = Command::new("kubectl").args(arguments).arg(file).stdout(Stdio::null()).status().await;
    assert!(run.expect("kubectl is on the PATH, as make bench puts it there").success(), "kubectl {arguments:?}");
}
