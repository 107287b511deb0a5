//! A blob from the plane, beside the same blob from the S3 server that the plane gets it from: once sent on to S3, once
//! passed through. On one machine the S3 server hands a file to the kernel and is done, which nobody who passes bytes on
//! can do; so it is passed through once more from the other end of a line.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
    rbac::v1::RoleBinding,
};
use kube::{Api, api::PostParams};
use orbit_plane::{image_harbor, settings::StoreSettings};
use serde_json::{Value, json};
use url::Url;

use crate::{ingest::write_archive, line::Line, plane::Plane, report::Row, scene::Scene};

const MIB: u64 = 1024 * 1024;
const LAYER: u64 = 256 * MIB;
/// How often each is fetched, in turns: what the machine does besides befalls all.
const TIMES: usize = 7;
const GIGABIT: f64 = 1e9;

/// Measures it.
pub async fn measure() -> Vec<Row> {
    println!("Downloading a layer of 256 MiB (usually 1 minute)");
    let endpoint: Url = setting("ORBIT_TEST_S3_ENDPOINT").parse().expect("a URL");
    let near = downloads(&endpoint).await;
    let server = endpoint.socket_addrs(|| None).expect("an address")[0];
    let line = Line::to(server, GIGABIT).await;
    let far = downloads(&format!("http://{}", line.address).parse().expect("a URL")).await;
    vec![
        row("blob download, sent on to S3", near.sent_on, near.plain),
        row("blob download, passed through", near.passed_through, near.plain),
        row("blob download over 1 Gbit/s to S3, passed through", far.passed_through, far.plain),
    ]
}

/// How fast a blob comes by each way, in MiB per second.
struct Ways {
    plain: f64,
    sent_on: f64,
    passed_through: f64,
}

/// Downloads what a plane has in the S3 service at an endpoint.
async fn downloads(endpoint: &Url) -> Ways {
    let scene = Scene::new().await;
    let archive = scene.folder.path().join("layer.tar");
    write_archive(&archive, LAYER);
    let bucket = setting("ORBIT_TEST_S3_BUCKET");
    let name = scene.namespace.clone();
    // Clients are never sent to a host that they know the plane by. S3 is 127.0.0.1 here, so that those who ask for
    // localhost are sent there, and those who ask for 127.0.0.1 are not.
    let arguments = ["--plane", &name, "--s3-bucket", &bucket, "--s3-endpoint", endpoint.as_str()];
    let arguments = [&arguments[..], &["--s3-redirect", "--public-url", "http://localhost"]].concat();
    let plane = Plane::start(scene.folder.path(), &scene.kubeconfig(), &arguments).await;
    upload(&scene, &plane, &archive);

    let token = reader(&scene).await;
    let repository = format!("{}/v2/{}/layer", plane.registry, scene.namespace);
    let manifest = reqwest::Client::new().get(format!("{repository}/manifests/1.0.0")).bearer_auth(&token);
    let manifest: Value = manifest.send().await.expect("an answer").json().await.expect("a manifest");
    let digest = manifest["layers"][0]["digest"].as_str().expect("a layer").to_owned();
    let settings = StoreSettings {
        plane: Some(name),
        s3_bucket: Some(bucket),
        s3_endpoint: Some(endpoint.clone()),
        ..StoreSettings::default()
    };
    let harbor = image_harbor::open(&settings).await.expect("a bucket");
    let direct = harbor.download_url(&digest.parse().expect("a digest"), Duration::from_secs(600)).await;
    let direct = direct.expect("S3 answers").expect("S3 has such addresses").to_string();
    let through = format!("{repository}/blobs/{digest}");
    let sent_on = through.replace("127.0.0.1", "localhost");

    let (mut by_plane, mut by_redirect, mut by_s3) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TIMES {
        by_s3.push(fetch(&direct, None).await);
        by_redirect.push(fetch(&sent_on, Some(&token)).await);
        by_plane.push(fetch(&through, Some(&token)).await);
    }
    scene.end_with(plane).await;
    Ways { plain: median(by_s3), sent_on: median(by_redirect), passed_through: median(by_plane) }
}

fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: `testbed stores up`, and eval `testbed env`"))
}

fn row(name: &'static str, value: f64, beside: f64) -> Row {
    let ratio = value / beside;
    Row {
        name,
        value,
        unit: "MiB/s",
        beside,
        ratio,
        beside_what: "plain S3 get",
        promise: "at least 80 %",
        kept: ratio >= 0.8,
    }
}

fn upload(scene: &Scene, plane: &Plane, archive: &Path) {
    let upload = Command::new(env!("CARGO_BIN_EXE_orbit"))
        .args(["upload", "--application", "layer", "--version", "1.0.0", "--environment", "dev"])
        .args(["--namespace", &scene.namespace, "--server", &plane.registry])
        .arg(archive)
        .env("XDG_STATE_HOME", scene.folder.path())
        .output()
        .expect("orbit upload runs");
    assert!(upload.status.success(), "{}\n{}", String::from_utf8_lossy(&upload.stderr), plane.written());
}

/// The token of an account that may do everything in the scene's namespace.
async fn reader(scene: &Scene) -> String {
    let account: ServiceAccount = serde_json::from_value(json!({"metadata": {"name": "reader"}})).expect("an account");
    let accounts: Api<ServiceAccount> = Api::namespaced(scene.client.clone(), &scene.namespace);
    accounts.create(&PostParams::default(), &account).await.expect("an account is created");
    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": scene.namespace}],
    }))
    .expect("a binding");
    let bindings: Api<RoleBinding> = Api::namespaced(scene.client.clone(), &scene.namespace);
    bindings.create(&PostParams::default(), &binding).await.expect("a binding is created");
    let spec = TokenRequestSpec { expiration_seconds: Some(3600), ..Default::default() };
    let request = TokenRequest { spec: Some(spec), ..Default::default() };
    let issued = accounts.create_token_request("reader", &PostParams::default(), &request).await.expect("a token");
    issued.status.and_then(|status| status.token).expect("a token")
}

/// MiB per second of one download, over a connection of its own.
async fn fetch(url: &str, token: Option<&str>) -> f64 {
    let request = reqwest::Client::new().get(url);
    let request = match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    let began = Instant::now();
    let mut answer = request.send().await.expect("an answer").error_for_status().expect("the blob");
    let mut bytes = 0;
    while let Some(chunk) = answer.chunk().await.expect("the next bytes") {
        bytes += chunk.len();
    }
    assert!(bytes as u64 > LAYER, "{bytes} bytes");
    bytes as f64 / MIB as f64 / began.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
