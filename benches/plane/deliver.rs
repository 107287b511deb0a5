//! From an artifact to a cluster: how soon one arrives, and five hundred at once.

use std::{
    collections::BTreeSet,
    fmt::Debug,
    pin::pin,
    process::Stdio,
    time::{Duration, Instant},
};

use futures::StreamExt;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::ConfigMap};
use kube::{
    Resource, ResourceExt,
    core::NamespaceResourceScope,
    runtime::{
        WatchStreamExt,
        watcher::{self, watcher},
    },
};
use orbit_plane::{
    api::{ConditionStatus, EnvironmentOverlay},
    chart_store,
    settings::StoreSettings,
    viewport,
};
use serde::de::DeserializeOwned;
use tokio::process::Command;

use crate::{
    fleet::{Fleet, PATIENCE, artifact, config_map, overlay_name, until_all},
    plane::Plane,
    report::Row,
    scene::Scene,
};

const OVERLAYS: usize = 500;
const ROUNDS: usize = 25;

/// Measures it.
pub async fn measure() -> Vec<Row> {
    println!("Delivering {OVERLAYS} overlays twice, and one {ROUNDS} times (usually 2 minutes)");
    let whole = crowd::<Deployment>("500 overlays of a whole application to a new cluster", application).await;
    let smallest = crowd::<ConfigMap>("500 overlays of one ConfigMap to a new cluster", |name| config_map(name, "0"));
    vec![soonest().await, whole, smallest.await]
}

/// How soon a cluster has what was published for it.
async fn soonest() -> Row {
    let scene = Scene::new().await;
    let fleet = Fleet::of(&scene);
    let plane = Plane::start(scene.folder.path(), &scene.kubeconfig(), &[]).await;
    fleet.overlay(&name(0), &config_map(&name(0), "0")).await;
    fleet.join().await;
    let arriving = watcher(fleet.api::<ConfigMap>(), watcher::Config::default());
    let arriving = pin!(arriving.default_backoff().touched_objects());
    until_all(arriving, &BTreeSet::from([name(0)]), |it| Some(it.name_any())).await;
    let mut times = Vec::with_capacity(ROUNDS);
    for round in 1..=ROUNDS {
        times.push(one(&fleet, &round.to_string()).await);
    }
    times.sort();
    let median = times[ROUNDS / 2].as_secs_f64() * 1000.0;
    scene.end_with(plane).await;
    Row {
        name: "artifact published to applied in a cluster, median",
        value: median,
        unit: "ms",
        beside: 250.0,
        ratio: 250.0 / median,
        beside_what: "the promise",
        promise: "less than 250 ms",
        kept: median < 250.0,
    }
}

/// How long the overlays of many applications take to a cluster that joins, beside the same manifests by the command. An
/// application's last object is a `Last` of its name.
async fn crowd<Last>(what: &'static str, manifest: impl Fn(&str) -> String) -> Row
where
    Last:
        Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let scene = Scene::new().await;
    let fleet = Fleet::of(&scene);
    let plane = Plane::start(scene.folder.path(), &scene.kubeconfig(), &[]).await;
    let all: BTreeSet<_> = (0..OVERLAYS).map(name).collect();
    for name in &all {
        fleet.overlay(name, &manifest(name)).await;
    }
    let overlays = watcher(fleet.api::<EnvironmentOverlay>(), watcher::Config::default());
    let rendered = pin!(overlays.default_backoff().touched_objects());
    until_all(rendered, &all, |it| is_said(it).then(|| it.spec.application.clone())).await;
    until_projected(&scene).await;

    // All of it waits for the cluster, and nothing else is left to be done.
    let ours = until_there::<Last>(&scene, &all, fleet.join()).await;
    // The command has the machine to itself: all that is to be said of it has been said.
    let overlays = watcher(fleet.api::<EnvironmentOverlay>(), watcher::Config::default());
    let told = pin!(overlays.default_backoff().touched_objects());
    until_all(told, &all, |it| is_there(it).then(|| it.spec.application.clone())).await;
    until_projected(&scene).await;
    let theirs = kubectl_applies::<Last>(&scene, &all, all.iter().map(|name| manifest(name)).collect()).await;
    scene.end_with(plane).await;
    let (ours, theirs) = (ours.as_secs_f64() * 1000.0, theirs.as_secs_f64() * 1000.0);
    Row {
        name: what,
        value: ours,
        unit: "ms",
        beside: theirs,
        ratio: theirs / ours,
        beside_what: "kubectl apply --server-side",
        promise: "no slower",
        kept: ours <= theirs,
    }
}

/// Whether an overlay says that it is rendered.
fn is_said(overlay: &EnvironmentOverlay) -> bool {
    artifact(overlay).is_some() && is_ready(overlay)
}

/// Waits until the Viewport has all that the journals have.
async fn until_projected(scene: &Scene) {
    let stores = StoreSettings { data_dir: Some(scene.folder.path().join("data")), ..StoreSettings::default() };
    let journals = chart_store::open_existing(&stores).await.expect("the plane's Chart Store");
    let viewport = viewport::open(&stores).expect("the plane's Viewport");
    let projected = async {
        loop {
            let cursors = viewport.cursors().await.expect("the Viewport answers");
            let (behind, _) = viewport::behind(&journals, &cursors).await.expect("the Chart Store answers");
            if behind.is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(PATIENCE, projected).await.expect("the Viewport gets there");
}

/// Whether an overlay says that its cluster runs it.
fn is_there(overlay: &EnvironmentOverlay) -> bool {
    let status = overlay.status.as_ref();
    let counts = status.and_then(|status| status.clusters.as_ref());
    counts.is_some_and(|counts| counts.desired == 1 && counts.healthy == 1) && is_ready(overlay)
}

fn is_ready(overlay: &EnvironmentOverlay) -> bool {
    let conditions = overlay.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    conditions.iter().any(|it| it.type_ == "Ready" && it.status == ConditionStatus::True)
}

/// From the moment in which the artifact of the first overlay is published until the cluster has what is in it.
async fn one(fleet: &Fleet, value: &str) -> Duration {
    let only = |name: &str| watcher::Config::default().fields(&format!("metadata.name={name}"));
    let first = name(0);
    let overlays = watcher(fleet.api::<EnvironmentOverlay>(), only(&overlay_name(&first)));
    let mut rendered = pin!(overlays.default_backoff().touched_objects());
    let config_maps = watcher(fleet.api::<ConfigMap>(), only(&first));
    let mut applied = pin!(config_maps.default_backoff().touched_objects());
    // Both watches are there before anything changes.
    let before = rendered.next().await.expect("a watch has no end").expect("it is watched");
    applied.next().await.expect("a watch has no end").expect("it is watched");
    fleet.overlay(&first, &config_map(&first, value)).await;
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

/// What the plane's own charts make of an image, as manifests; without pods, for there are no nodes.
fn application(name: &str) -> String {
    let labels = format!("{{app.kubernetes.io/name: {name}, app.kubernetes.io/instance: {name}}}");
    format!(
        "apiVersion: v1
kind: ServiceAccount
metadata: {{name: {name}, labels: {labels}}}
automountServiceAccountToken: false
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: {name}, labels: {labels}}}
data: {{LOG_LEVEL: info, GREETING: hello}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, labels: {labels}}}
spec:
  selector: {labels}
  ports: [{{name: http, port: 80, targetPort: http}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, labels: {labels}}}
spec:
  replicas: 0
  selector: {{matchLabels: {labels}}}
  template:
    metadata: {{labels: {labels}}}
    spec:
      serviceAccountName: {name}
      securityContext: {{runAsNonRoot: true, seccompProfile: {{type: RuntimeDefault}}}}
      containers:
      - name: main
        image: registry.example/{name}:1.0.0
        envFrom: [{{configMapRef: {{name: {name}}}}}]
        ports: [{{name: http, containerPort: 8080}}]
        readinessProbe: {{tcpSocket: {{port: http}}}}
        resources: {{requests: {{cpu: 50m, memory: 64Mi}}, limits: {{memory: 128Mi}}}}
"
    )
}

/// From the moment in which something is begun until the last object of each application has been seen in the namespace.
/// That is watched for whoever applies them, for it is work for the API server, too.
async fn until_there<Last>(scene: &Scene, all: &BTreeSet<String>, begin: impl Future<Output = ()>) -> Duration
where
    Last:
        Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let arriving = watcher(Fleet::of(scene).api::<Last>(), watcher::Config::default());
    let mut arriving = pin!(arriving.default_backoff());
    while !matches!(arriving.next().await, Some(Ok(watcher::Event::InitDone))) {}
    let began = Instant::now();
    let there = until_all(arriving.touched_objects(), all, |it: &Last| Some(it.name_any()));
    let there = async {
        there.await;
        began.elapsed()
    };
    futures::future::join(there, begin).await.0
}

/// The same manifests into another namespace, by the command.
async fn kubectl_applies<Last>(scene: &Scene, all: &BTreeSet<String>, manifests: Vec<String>) -> Duration
where
    Last:
        Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let other = Scene::new().await;
    let file = scene.folder.path().join("manifests.yaml");
    std::fs::write(&file, manifests.join("---\n")).expect("a file");
    let mut kubectl = Command::new("kubectl");
    kubectl.args(["apply", "--server-side", "--namespace", &other.namespace, "--filename"]).arg(&file);
    let apply = async {
        let run = kubectl.stdout(Stdio::null()).status().await.expect("make bench puts kubectl on the PATH");
        assert!(run.success(), "kubectl apply: {run}");
    };
    let took = until_there::<Last>(&other, all, apply).await;
    other.end().await;
    took
}
