//! From what befalls a pod in a cluster to the condition that tells of it.

use std::{
    collections::BTreeSet,
    pin::pin,
    time::{Duration, Instant},
};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
    runtime::{
        WatchStreamExt,
        watcher::{self, watcher},
    },
};
use orbit_plane::api::Delivery;
use serde_json::json;

use crate::{
    fleet::{Fleet, PATIENCE, until_all},
    plane::Plane,
    report::Row,
    scene::Scene,
};

const ROUNDS: usize = 60;
const PROMISE: f64 = 5000.0;
const APPLICATION: &str = "web";

/// Measures it.
pub async fn measure() -> Vec<Row> {
    println!("Troubling a pod {ROUNDS} times (usually 20 seconds)");
    let scene = Scene::new().await;
    let fleet = Fleet::of(&scene);
    let plane = Plane::start(scene.folder.path(), &scene.kubeconfig(), &[]).await;
    fleet.join().await;
    fleet.overlay(APPLICATION, &deployment()).await;
    let pod = first_pod(&fleet).await;

    let deliveries = watcher(fleet.deliveries(), watcher::Config::default());
    let mut deliveries = pin!(deliveries.default_backoff().touched_objects());
    let mut times = Vec::with_capacity(ROUNDS);
    for round in 1..=ROUNDS {
        let trouble = format!("round {round} of {ROUNDS}");
        afflict(&fleet, &pod, &trouble).await;
        let began = Instant::now();
        let told = async {
            while let Some(seen) = deliveries.next().await {
                if seen.is_ok_and(|delivery| tells(&delivery, &trouble)) {
                    return began.elapsed();
                }
            }
            unreachable!("a watch has no end")
        };
        times.push(tokio::time::timeout(PATIENCE, told).await.expect("the delivery tells of it"));
    }
    times.sort();
    scene.end_with(plane).await;
    let slow = milliseconds(times[ROUNDS * 95 / 100]);
    vec![Row {
        name: "pod event to condition, 95th percentile",
        value: slow,
        unit: "ms",
        beside: PROMISE,
        ratio: PROMISE / slow,
        beside_what: "the promise",
        promise: "at most 5 s",
        kept: slow <= PROMISE,
    }]
}

/// The name of the first pod of the application: Kubernetes' own controllers make it, and no node ever runs it.
async fn first_pod(fleet: &Fleet) -> String {
    let pods = watcher(fleet.api::<Pod>(), watcher::Config::default());
    let mut pods = Box::pin(pods.default_backoff().touched_objects());
    let is_there = BTreeSet::from([APPLICATION.to_owned()]);
    until_all(&mut pods, &is_there, |pod| pod.labels().get("app").cloned()).await;
    let delivered = watcher(fleet.deliveries(), watcher::Config::default());
    let delivered = Box::pin(delivered.default_backoff().touched_objects());
    let name = fleet.delivery_name(APPLICATION);
    let is_applied = |it: &Delivery| it.status.as_ref()?.applied.as_ref().map(|_| it.name_any());
    until_all(delivered, &BTreeSet::from([name]), is_applied).await;
    let there = fleet.api::<Pod>().list(&kube::api::ListParams::default()).await.expect("pods are listed");
    there.items.first().expect("there is one").name_any()
}

/// Says of a pod what a kubelet would.
async fn afflict(fleet: &Fleet, pod: &str, message: &str) {
    let status = json!({"status": {"phase": "Pending", "containerStatuses": [{
        "name": "main", "image": "none", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": {"reason": "ImagePullBackOff", "message": message}},
    }]}});
    let params = PatchParams { field_manager: Some("kubelet".into()), ..PatchParams::default() };
    fleet.api::<Pod>().patch_status(pod, &params, &Patch::Merge(status)).await.expect("a pod's status is written");
}

fn tells(delivery: &Delivery, trouble: &str) -> bool {
    let conditions = delivery.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    conditions.iter().any(|condition| condition.message.contains(trouble))
}

fn deployment() -> String {
    serde_yaml::to_string(&json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": APPLICATION},
        "spec": {
            "selector": {"matchLabels": {"app": APPLICATION}},
            "template": {
                "metadata": {"labels": {"app": APPLICATION}},
                "spec": {"containers": [{"name": "main", "image": "none.invalid/none:1"}]},
            },
        },
    }))
    .expect("a Deployment is YAML")
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
