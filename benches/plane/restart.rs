//! A restart with 200 settled objects: nothing is rendered, nothing written.

use std::{
    ops::Add,
    time::{Duration, Instant},
};

use kube::{
    Api, Resource,
    api::{ListParams, Patch, PatchParams},
    core::NamespaceResourceScope,
};
use orbit_plane::api::{EnvironmentOverlay, HelmChart, ImageUpload};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{plane::Plane, registry::Registry, report::Row, scene::Scene};

/// Each brings an ImageUpload, a HelmChart and two EnvironmentOverlays.
const APPLICATIONS: usize = 50;
const OBJECTS: usize = 4 * APPLICATIONS;
const SETTLED_WITHIN: Duration = Duration::from_secs(600);
/// A plane that has looked at everything and then does nothing for this long has settled.
const QUIET: Duration = Duration::from_secs(3);

/// Measures it.
pub async fn measure() -> Vec<Row> {
    println!("Settling {OBJECTS} objects and restarting (usually 1 minute)");
    let scene = Scene::new().await;
    let registry = Registry::start();
    registry.fill(scene.folder.path(), &["shop/web:1.0.0"]);
    let kubeconfig = scene.kubeconfig();

    // Where clients reach it does not change with a restart.
    let address = ["--public-url", "http://127.0.0.1:8480"];
    let plane = Plane::start(scene.folder.path(), &kubeconfig, &address).await;
    upload(&scene, &registry.host).await;
    let began = Instant::now();
    while ready(&scene).await < OBJECTS {
        assert!(began.elapsed() < SETTLED_WITHIN, "{} of {OBJECTS} objects are ready", ready(&scene).await);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let settling = settled(&plane).await;
    plane.stop().await;
    let before = scene.api_writes();
    // Or nothing would be counted at all.
    assert!(settling.renderings > 0.0 && settling.writes > 0.0 && !before.is_empty(), "{settling:?}, {before:?}");

    let plane = Plane::start(scene.folder.path(), &kubeconfig, &address).await;
    let restart = settled(&plane).await;
    plane.stop().await;
    let after = scene.api_writes().split_off(before.len());
    if !after.is_empty() {
        println!("The restart wrote: {after:?}");
    }
    // Somebody has to let go what is held.
    let plane = Plane::start(scene.folder.path(), &kubeconfig, &address).await;
    scene.end_with(plane).await;

    let row = |name, unit, value: f64, beside: f64| Row {
        name,
        value,
        unit,
        beside,
        ratio: value / beside,
        beside_what: "settling them",
        promise: "none",
        kept: value == 0.0,
    };
    let (sent, sent_before) = (after.len() as f64, before.len() as f64);
    vec![
        row("restart, 200 settled objects: renders", "renders", restart.renderings, settling.renderings),
        row("restart, 200 settled objects: store counters", "writes", restart.writes, settling.writes),
        row("restart, 200 settled objects: API audit log", "writes", sent, sent_before),
    ]
}

/// What the plane counts of itself.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Counters {
    reconciliations: f64,
    renderings: f64,
    writes: f64,
}

async fn counters(plane: &Plane) -> Counters {
    let answer = reqwest::get(format!("{}/metrics", plane.health)).await.expect("it answers");
    let text = answer.text().await.expect("metrics are text");
    let sum = |name: &str| {
        let lines = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        lines
            .map(|line| line.rsplit(' ').next().and_then(|n| n.parse::<f64>().ok()).expect("a number"))
            .fold(0.0, f64::add)
    };
    Counters {
        reconciliations: sum("orbit_reconciliations_total"),
        renderings: sum("orbit_renderings_total"),
        writes: sum("orbit_external_writes_total"),
    }
}

/// The counters once every object was looked at and nothing moves any more.
async fn settled(plane: &Plane) -> Counters {
    let began = Instant::now();
    let mut last = (counters(plane).await, Instant::now());
    while last.0.reconciliations < OBJECTS as f64 || last.1.elapsed() < QUIET {
        assert!(began.elapsed() < SETTLED_WITHIN, "it does not settle: {:?}", last.0);
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = counters(plane).await;
        if now != last.0 {
            last = (now, Instant::now());
        }
    }
    last.0
}

async fn upload(scene: &Scene, registry: &str) {
    let uploads: Api<ImageUpload> = Api::namespaced(scene.client.clone(), &scene.namespace);
    for i in 0..APPLICATIONS {
        let name = format!("web-{i}");
        let upload = json!({
            "apiVersion": "orbit.k8or.io/v1alpha1",
            "kind": "ImageUpload",
            "metadata": {"name": name},
            "spec": {
                "application": name,
                "version": "1.0.0",
                "images": [{"name": "main", "source": {"reference": {"image": format!("{registry}/shop/web:1.0.0")}}}],
                "environments": ["dev", "prod"],
            },
        });
        uploads.patch(&name, &PatchParams::apply("bench"), &Patch::Apply(upload)).await.expect("an upload is applied");
    }
}

async fn ready(scene: &Scene) -> usize {
    ready_of::<ImageUpload>(scene).await
        + ready_of::<HelmChart>(scene).await
        + ready_of::<EnvironmentOverlay>(scene).await
}

async fn ready_of<K>(scene: &Scene) -> usize
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + Serialize,
{
    let api: Api<K> = Api::namespaced(scene.client.clone(), &scene.namespace);
    let objects = api.list(&ListParams::default()).await.expect("objects are listed");
    let is_ready = |object: &K| {
        let object = serde_json::to_value(object).expect("an object is JSON");
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let rendered = K::kind(&()) != "EnvironmentOverlay" || object["status"]["artifact"] != Value::Null;
        rendered && conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "True")
    };
    objects.iter().filter(|object| is_ready(object)).count()
}
