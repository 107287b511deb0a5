//! The API in process, on the embedded Viewport.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    body::Body,
    extract::ConnectInfo,
    http::{Request, StatusCode, header},
};
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::{
    api::{SelectionReason, Workload},
    chart_store::{ChartStore, Deployment, DeploymentState, Entry, Fact, SqliteTable},
    digest::Digest,
    release::{ApplicationKey, ClusterRef, ImagePlatform, Release, StoredImage},
    settings::StoreSettings,
    viewport::{self, Projector},
};

struct Bench {
    router: Router,
    _directory: tempfile::TempDir,
}

impl Bench {
    /// shop/web in three versions, of which prod runs the second; one cluster of two is lost.
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let table = SqliteTable::open(directory.path()).await.unwrap();
        let store = ChartStore::on("orbit", Arc::new(table)).unwrap();
        let key = ApplicationKey::new("shop", "web");
        let mut facts: Vec<Fact> = ["1.0.0", "1.1.0", "1.2.0"]
            .map(|version| {
                let release = Release::new("web", version, vec![image(version)], [].into(), Workload::default());
                Fact::Stored { release }
            })
            .into();
        facts.push(Fact::Selected {
            environment: "prod".into(),
            version: "1.1.0".into(),
            chart_digest: Digest::of("chart"),
            reason: SelectionReason::Pinned,
        });
        facts.extend([
            deployed("eu-1", DeploymentState::Healthy),
            deployed("us-1", DeploymentState::Healthy),
            deployed("us-1", DeploymentState::Lost),
        ]);
        for fact in facts {
            let entry = Entry { actor: "maria".into(), fact, spec: None, chart_package: None };
            store.record(&key, entry).await.unwrap();
        }
        let settings = StoreSettings { data_dir: Some(directory.path().to_owned()), ..StoreSettings::default() };
        let viewport = viewport::open(&settings).unwrap();
        Projector::new(store, viewport.clone()).catch_up().await.unwrap();
        Self { router: router(viewport), _directory: directory }
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let path = format!("{ROOT}/namespaces/shop{path}");
        ask(&self.router, Request::get(path), "127.0.0.1:40000", "127.0.0.1:8080").await
    }
}

fn deployed(cluster: &str, state: DeploymentState) -> Fact {
    Fact::Deployment(Deployment {
        environment: "prod".into(),
        cluster: ClusterRef::new("fleet", cluster, format!("uid-of-{cluster}")),
        version: Some("1.1.0".into()),
        artifact: Digest::of("artifact"),
        images: vec![image("1.1.0").digest],
        state,
        inventory: None,
        detail: None,
        attempt: 0,
        replaces: None,
    })
}

async fn ask(router: &Router, request: axum::http::request::Builder, peer: &str, host: &str) -> (StatusCode, Value) {
    let mut request = request.header(header::HOST, host).body(Body::empty()).unwrap();
    request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let problem = response.headers()[header::CONTENT_TYPE] == "application/problem+json";
    assert_eq!(problem, !status.is_success(), "{response:?}");
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

fn image(content: &str) -> StoredImage {
    let manifest = Digest::of(content);
    StoredImage {
        name: "main".into(),
        digest: manifest,
        media_type: "application/vnd.oci.image.manifest.v1+json".into(),
        size: 1,
        platforms: vec![ImagePlatform { platform: "linux/amd64".into(), manifest, config: Digest::of("config") }],
        blobs: Vec::new(),
    }
}

#[tokio::test]
async fn every_question_is_answered() {
    let bench = Bench::new().await;
    let (status, lifecycle) = bench.get("/applications/web/lifecycle").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(lifecycle["environments"][0]["version"], "1.1.0");
    assert_eq!(lifecycle["events"]["items"][3]["transition"], "selected");
    assert_eq!(lifecycle["deployments"][1]["state"], "lost");
    let (_, of_one) = bench.get("/applications/web/lifecycle?version=1.0.0").await;
    assert_eq!(of_one["events"]["items"].as_array().unwrap().len(), 1);
    let digest = image("1.1.0").digest;
    let (_, places) = bench.get(&format!("/images/{digest}")).await;
    assert_eq!(places, serde_json::json!({"items": []}), "selected, and not rendered yet");
    let (_, holders) = bench.get(&format!("/images/{digest}/releases")).await;
    assert_eq!(holders["items"][0]["version"], "1.1.0");
    for (path, clusters) in [
        (format!("/images/{digest}/deployments"), vec!["eu-1"]),
        (format!("/images/{digest}/deployments?ever=true"), vec!["eu-1", "us-1"]),
        ("/clusters".to_owned(), vec!["eu-1"]),
        ("/clusters?ever=true&limit=200".to_owned(), vec!["eu-1", "us-1"]),
        ("/clusters?ever=true&uid=uid-of-us-1".to_owned(), vec!["us-1"]),
        ("/clusters/fleet/us-1".to_owned(), vec![]),
        ("/clusters/fleet/us-1?ever=true".to_owned(), vec!["us-1"]),
        ("/clusters/fleet/us-1?ever=true&uid=another".to_owned(), vec![]),
    ] {
        let (status, found) = bench.get(&path).await;
        let found: Vec<_> = found["items"].as_array().unwrap().iter().map(|one| &one["cluster"]["name"]).collect();
        assert!(status == StatusCode::OK && found == clusters, "{path}: {found:?}");
    }
    let (_, prod) = bench.get("/environments/prod").await;
    assert_eq!(prod["items"][0]["reason"], "Pinned");
    let (_, uploads) = bench.get("/uploads?user=maria").await;
    assert_eq!(uploads["items"].as_array().unwrap().len(), 3);
    let (_, uploads) = bench.get("/uploads?user=jonas").await;
    assert_eq!(uploads["items"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn lists_go_on_where_they_stopped() {
    let bench = Bench::new().await;
    let (_, first) = bench.get("/uploads?limit=2").await;
    let token = first["continue"].as_str().unwrap();
    let (_, second) = bench.get(&format!("/uploads?limit=2&continue={token}")).await;
    let versions: Vec<_> = [&first, &second]
        .iter()
        .flat_map(|page| page["items"].as_array().unwrap())
        .map(|upload| upload["version"].as_str().unwrap())
        .collect();
    assert_eq!((versions.len(), second.get("continue")), (3, None));
    assert!(["1.0.0", "1.1.0", "1.2.0"].iter().all(|version| versions.contains(version)), "{versions:?}");
}

#[tokio::test]
async fn what_cannot_be_answered_is_told() {
    let bench = Bench::new().await;
    for (path, status, detail) in [
        ("/applications/api/lifecycle", StatusCode::NOT_FOUND, "application api in namespace shop"),
        ("/images/latest", StatusCode::BAD_REQUEST, "is not a digest"),
        ("/uploads?limit=0", StatusCode::BAD_REQUEST, "from 1 to 200"),
        ("/uploads?limit=201", StatusCode::BAD_REQUEST, "from 1 to 200"),
        ("/uploads?limit=many", StatusCode::BAD_REQUEST, "limit"),
        ("/uploads?usr=maria", StatusCode::BAD_REQUEST, "usr"),
        ("/uploads?continue=x", StatusCode::BAD_REQUEST, "begin without it"),
        ("/uploads?ever=perhaps", StatusCode::BAD_REQUEST, "ever"),
        ("/nowhere", StatusCode::NOT_FOUND, "nothing under this path"),
    ] {
        let (found, problem) = bench.get(path).await;
        assert_eq!(found, status, "{path}");
        assert_eq!(problem["status"], status.as_u16(), "{path}");
        assert!(problem["detail"].as_str().unwrap().contains(detail), "{path}: {problem}");
    }
    let path = format!("{ROOT}/namespaces/shop/uploads");
    let (status, _) = ask(&bench.router, Request::post(path), "127.0.0.1:1", "127.0.0.1").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn only_this_machine_is_answered() {
    let bench = Bench::new().await;
    let path = format!("{ROOT}/namespaces/shop/uploads");
    for (peer, host, answered) in [
        ("127.0.0.1:40000", "localhost:8080", true),
        ("[::1]:40000", "[::1]:8080", true),
        ("[::ffff:127.0.0.1]:40000", "127.0.0.1:8080", true),
        ("10.0.0.7:40000", "127.0.0.1:8080", false),
        ("127.0.0.1:40000", "rebound.example", false),
    ] {
        let (status, _) = ask(&bench.router, Request::get(&path), peer, host).await;
        assert_eq!(status == StatusCode::OK, answered, "{peer} {host}: {status}");
    }
    // A server that does not say who asks.
    let request = Request::get(&path).header(header::HOST, "localhost").body(Body::empty()).unwrap();
    assert_eq!(bench.router.clone().oneshot(request).await.unwrap().status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_viewport_that_is_down_is_a_problem_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let in_the_way = directory.path().join("file");
    std::fs::write(&in_the_way, "").unwrap();
    let settings = StoreSettings { data_dir: Some(in_the_way.join("data")), ..StoreSettings::default() };
    let router = router(viewport::open(&settings).unwrap());
    let path = format!("{ROOT}/namespaces/shop/applications/web/lifecycle");
    let (status, problem) = ask(&router, Request::get(path), "127.0.0.1:1", "127.0.0.1").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("try again") && !detail.contains("file"), "{detail}");
}
