//! The same chart and overlay give the same artifact, in this process and any other.

use std::{process::Command, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use orbit_plane::{
    api::EnvironmentOverlaySpec,
    manifestor::package,
    overlay::{
        artifact::Artifact,
        inputs::{BaseInput, Inputs, Surroundings},
    },
};

use crate::{chart_samples::sample, renderer};

/// The digest of the artifact of sample "named" under the overlay below. It changes with the chart's templates, with
/// what Helm and Kustomize make of them, and with the artifact's shape, and on purpose only.
const GOLDEN: &str = include_str!("golden.sha256");

const OVERLAY: &str = r#"
application: web
environment: prod
targetNamespace: shop-prod
values: {resources: {limits: {memory: 256Mi}}}
kustomize:
  replicas: [{name: web, count: 3}]
  labels: {team: checkout}
  annotations: {mode: "0644", answer: "yes", light: "on"}
  configMaps: [{name: motd, data: {text: "hello\n", mode: "0644", answer: "yes"}}]
  patches:
  - target: {kind: Deployment}
    patch: '- {op: add, path: /spec/template/spec/priorityClassName, value: shop}'
"#;

async fn digest() -> String {
    let renderer = renderer(Duration::from_secs(30));
    let chart = package("web", "1.4.0", &sample("named").chart()).unwrap();
    let spec: EnvironmentOverlaySpec = serde_yaml::from_str(OVERLAY).unwrap();
    let surroundings = Surroundings {
        registry_host: "registry.example:5000",
        image_pull_secret: Some("orbit-pull"),
        kube_version: "1.36.3",
        versions: renderer.versions().await.unwrap(),
    };
    let inputs = Inputs::new(&spec, "shop", BaseInput::Chart(chart.digest), &surroundings);
    let rendering = renderer.render(inputs.request(Some(BASE64_STANDARD.encode(&chart.tgz)))).await.unwrap();
    Artifact::of(&rendering, "web.prod", Some("1.4.0")).unwrap().digest().to_string()
}

#[tokio::test]
async fn golden_digest() {
    let digest = digest().await;
    println!("artifact {digest}");
    assert_eq!(digest, GOLDEN.trim(), "the overlay's bytes changed: is that meant?");
}

#[tokio::test]
async fn another_process_in_another_directory_renders_the_same_bytes() {
    let elsewhere = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "golden::golden_digest", "--nocapture"])
        .current_dir(elsewhere.path())
        .env("TZ", "Asia/Tokyo")
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains(&format!("artifact {}", digest().await)), "{said}");
}
