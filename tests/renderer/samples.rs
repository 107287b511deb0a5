//! The overlays of `config/samples`, and what users write like them, on a chart of the Manifestor's.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use orbit_plane::{
    api::{EnvironmentOverlay, Workload},
    digest::Digest,
    manifestor::{ChartInput, ImageConfig, RunAs, generate, package},
    overlay::{
        inputs::{BaseInput, Inputs, Surroundings},
        renderer::Renderer,
    },
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::renderer;

fn web() -> String {
    let config = json!({"config": {"User": "app", "ExposedPorts": {"8080/tcp": {}}}});
    let chart = generate(&ChartInput {
        application: "web",
        version: "1.4.0",
        release_digest: Digest::of("release"),
        repository: "shop/web".into(),
        image_digest: Digest::of("image"),
        image: &ImageConfig::parse(config.to_string().as_bytes()).unwrap(),
        run_as: RunAs::Numeric { uid: 1000, gid: None },
        config: &BTreeMap::from([("LOG_LEVEL".into(), "info".into())]),
        workload: &Workload::default(),
    });
    BASE64_STANDARD.encode(package("web", "1.4.0", &chart.unwrap()).unwrap().tgz)
}

/// The objects of an overlay, as `kind/name`.
async fn render(renderer: &Renderer, overlay: &EnvironmentOverlay) -> BTreeMap<String, Value> {
    let surroundings = Surroundings {
        registry_host: "registry.example",
        image_pull_secret: None,
        kube_version: "1.36.3",
        versions: renderer.versions().await.unwrap(),
    };
    let manifests = &overlay.spec.base.manifests;
    let (base, chart) = match manifests.as_slice() {
        [] => (BaseInput::Chart(Digest::of("chart")), Some(web())),
        manifests => (BaseInput::Manifests(manifests.join("\n---\n")), None),
    };
    let inputs = Inputs::new(&overlay.spec, "shop", base, &surroundings);
    let rendering = renderer.render(inputs.request(chart)).await.unwrap_or_else(|e| panic!("{e}: {overlay:?}"));
    let documents = serde_yaml::Deserializer::from_str(&rendering.manifest).map(|d| Value::deserialize(d).unwrap());
    let name = |object: &Value| format!("{}/{}", object["kind"], object["metadata"]["name"]).replace('"', "");
    documents.map(|object| (name(&object), object)).collect()
}

fn sample(name: &str) -> EnvironmentOverlay {
    let path = format!("{}/config/samples/environmentoverlay-{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[tokio::test]
async fn the_samples_render() {
    let renderer = renderer(Duration::from_secs(30));
    let prod = render(&renderer, &sample("range")).await;
    assert_eq!(prod["Deployment/web"]["spec"]["replicas"], 3);
    assert_eq!(prod["Deployment/web"]["metadata"]["namespace"], "shop-prod");
    let dev = render(&renderer, &sample("values")).await;
    assert_eq!(dev["ConfigMap/web"]["data"]["LOG_LEVEL"], "debug");
    assert!(dev.contains_key("NetworkPolicy/web"));
    let load = render(&renderer, &sample("patches")).await;
    assert_eq!(load["Deployment/web"]["spec"]["minReadySeconds"], 10);
    assert_eq!(load["Service/web"]["spec"]["sessionAffinity"], "ClientIP");
    assert!(load.contains_key("PodDisruptionBudget/web-load"));
    assert!(render(&renderer, &sample("pin")).await.contains_key("Deployment/web"));
    assert!(render(&renderer, &sample("manifests")).await.contains_key("ConfigMap/banner"));
}

/// Nobody writes a namespace into a patch: the overlay says where its objects go.
#[tokio::test]
async fn overrides_find_what_the_chart_makes_in_any_target_namespace() {
    let renderer = renderer(Duration::from_secs(30));
    let overlay = |target: Value| -> EnvironmentOverlay {
        serde_json::from_value(json!({
            "apiVersion": "orbit.k8or.io/v1alpha1",
            "kind": "EnvironmentOverlay",
            "metadata": {"name": "web.prod"},
            "spec": {
                "application": "web",
                "environment": "prod",
                "targetNamespace": target,
                "kustomize": {
                    "patches": [{"patch": "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {paused: true}}"}],
                    "configMaps": [{"name": "web", "behavior": "merge", "data": {"COLOUR": "red"}}],
                },
            },
        }))
        .unwrap()
    };
    for (target, namespace) in [(Value::Null, "shop"), (json!("shop-prod"), "shop-prod")] {
        let objects = render(&renderer, &overlay(target)).await;
        assert_eq!(objects["Deployment/web"]["spec"]["paused"], true);
        assert_eq!(objects["ConfigMap/web"]["data"], json!({"LOG_LEVEL": "info", "COLOUR": "red"}));
        for (name, object) in &objects {
            assert_eq!(object["metadata"]["namespace"], namespace, "{name}");
        }
    }
}
