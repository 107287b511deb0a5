//! From an artifact to a cluster: how soon one arrives, and five hundred at once.

use std::{
    collections::BTreeSet,
    pin::pin,
    process::Stdio,
    time::{Duration, Instant},
};

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    ResourceExt,
    runtime::{
        WatchStreamExt,
        watcher::{self, watcher},
    },
};
use orbit_plane::api::EnvironmentOverlay;
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
    println!("Delivering {OVERLAYS} overlays, and one {ROUNDS} times (usually 1 minute)");
    let scene = Scene::new().await;
    let fleet = Fleet::of(&scene);
    let plane = Plane::start(scene.folder.path(), &scene.kubeconfig(), &[]).await;
    let all: BTreeSet<_> = (0..OVERLAYS).map(name).collect();
    for name in &all {
        fleet.overlay(name, &config_map(name, "0")).await;
    }
    let overlays = watcher(fleet.api::<EnvironmentOverlay>(), watcher::Config::default());
    let rendered = pin!(overlays.default_backoff().touched_objects());
    until_all(rendered, &all, |it| artifact(it).map(|_| it.spec.application.clone())).await;

    // All of it waits for the cluster.
    let arriving = watcher(fleet.api::<ConfigMap>(), watcher::Config::default());
    let arriving = pin!(arriving.default_backoff().touched_objects());
    let began = Instant::now();
    fleet.join().await;
    until_all(arriving, &all, |it| Some(it.name_any())).await;
    let ours = began.elapsed();
    let theirs = kubectl_applies(&scene, &all).await;

    let mut times = Vec::with_capacity(ROUNDS);
    for round in 1..=ROUNDS {
        times.push(one(&fleet, &round.to_string()).await);
    }
    times.sort();
    let median = times[ROUNDS / 2].as_secs_f64() * 1000.0;
    plane.stop().await;
    scene.end().await;
    let (ours, theirs) = (ours.as_secs_f64() * 1000.0, theirs.as_secs_f64() * 1000.0);
    vec![
        Row {
            name: "artifact published to applied in a cluster, median",
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

/// The same ConfigMaps into another namespace, by the command.
async fn kubectl_applies(scene: &Scene, all: &BTreeSet<String>) -> Duration {
    let other = Scene::new().await;
    let manifests: Vec<_> = all.iter().map(|name| config_map(name, "0")).collect();
    let file = scene.folder.path().join("manifests.yaml");
    std::fs::write(&file, manifests.join("---\n")).expect("a file");
    let mut kubectl = Command::new("kubectl");
    kubectl.args(["apply", "--server-side", "--namespace", &other.namespace, "--filename"]).arg(&file);
    let began = Instant::now();
    let run = kubectl.stdout(Stdio::null()).status().await.expect("make bench puts kubectl on the PATH");
    let took = began.elapsed();
    assert!(run.success(), "kubectl apply: {run}");
    other.end().await;
    took
}
