//! Who is let in where: every endpoint of a real plane, with credentials that a real API server knows, or does not.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, PostParams},
};
use orbit_plane::{
    api::{EnvironmentOverlay, HelmChart},
    digest::Digest,
};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    cluster::with_namespace,
    plane::Stores,
    scene::{Scene, account},
};

#[tokio::test]
async fn every_endpoint_asks_the_cluster_who_it_is() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client.clone(), &namespace, Stores::Embedded, &[]).await;
        let withdrawn = withdrawn_token(&scene).await;
        // May read everything, where it is at home.
        let neighbour = account(&client, &neighbouring_namespace(&client, &namespace).await, "reader", true).await;
        let client = Client::of(&scene);
        for path in endpoints(&scene).await {
            for (who, credentials, status) in [
                ("nobody", Credentials::None, StatusCode::UNAUTHORIZED),
                ("a guess", Credentials::Bearer("guess"), StatusCode::UNAUTHORIZED),
                ("a guess by Basic", Credentials::Basic("guess"), StatusCode::UNAUTHORIZED),
                ("a guessed robot", Credentials::Robot("guess"), StatusCode::UNAUTHORIZED),
                ("one that is gone", Credentials::Bearer(&withdrawn), StatusCode::UNAUTHORIZED),
                ("one that is gone, by Basic", Credentials::Basic(&withdrawn), StatusCode::UNAUTHORIZED),
                ("without rights", Credentials::Bearer(&scene.stranger), StatusCode::FORBIDDEN),
                ("another namespace's", Credentials::Bearer(&neighbour), StatusCode::FORBIDDEN),
                ("another namespace's, by Basic", Credentials::Basic(&neighbour), StatusCode::FORBIDDEN),
                ("a reader", Credentials::Bearer(&scene.reader), StatusCode::OK),
                ("a reader by Basic", Credentials::Basic(&scene.reader), StatusCode::OK),
            ] {
                let client = client.of_another();
                let head = client.ask(Method::HEAD, &path, &credentials).await;
                assert_eq!(head.status(), status, "{who}: HEAD {path}");
                let answer = client.ask(Method::GET, &path, &credentials).await;
                assert_eq!(answer.status(), status, "{who}: GET {path}");
                if status != StatusCode::OK {
                    let code = if status == StatusCode::FORBIDDEN { "DENIED" } else { "UNAUTHORIZED" };
                    let refusal: Value = answer.json().await.unwrap();
                    assert_eq!(refusal["errors"][0]["code"], code, "{who}: {path}: {refusal}");
                }
                // A token for the same opens as much.
                let issued = client.log_in(&path, &credentials).await;
                if status == StatusCode::UNAUTHORIZED {
                    assert_eq!(issued.status(), status, "{who}: {path}");
                    continue;
                }
                let issued: Value = issued.error_for_status().unwrap().json().await.unwrap();
                let token = Credentials::Bearer(issued["token"].as_str().unwrap());
                assert_eq!(client.ask(Method::GET, &path, &token).await.status(), status, "{who}: {path}");
            }
        }
    })
    .await;
}

enum Credentials<'a> {
    None,
    Bearer(&'a str),
    Basic(&'a str),
    Robot(&'a str),
}

impl Credentials<'_> {
    fn on(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::None => request,
            Self::Bearer(token) => request.bearer_auth(token),
            Self::Basic(token) => request.basic_auth("anybody", Some(token)),
            Self::Robot(password) => request.basic_auth("orbit-cluster.fleet.eu-1", Some(password)),
        }
    }
}

/// Somebody who asks the registry. Who guesses is soon asked to wait, so each has an address of its own.
struct Client {
    registry: String,
    number: AtomicU8,
    http: reqwest::Client,
}

impl Client {
    fn of(scene: &Scene) -> Self {
        Self { registry: scene.plane.registry(), number: AtomicU8::new(0), http: reqwest::Client::new() }
    }

    fn of_another(&self) -> Self {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let http = reqwest::Client::builder().local_address(IpAddr::from([127, 0, 1, number])).build().unwrap();
        Self { registry: self.registry.clone(), number: AtomicU8::new(0), http }
    }

    async fn ask(&self, method: Method, path: &str, credentials: &Credentials<'_>) -> Response {
        let url = format!("http://{}{path}", self.registry);
        credentials.on(self.http.request(method, url)).send().await.unwrap()
    }

    /// Asks for a token for the repository of a path.
    async fn log_in(&self, path: &str, credentials: &Credentials<'_>) -> Response {
        let repository = ["/manifests/", "/blobs/", "/tags/", "/referrers/"]
            .iter()
            .find_map(|end| Some(path.strip_prefix("/v2/")?.split_once(end)?.0))
            .expect("a path in a repository");
        let scope = format!("repository:{repository}:pull");
        let url = format!("http://{}/v2/token", self.registry);
        credentials.on(self.http.get(url).query(&[("service", ""), ("scope", &scope)])).send().await.unwrap()
    }
}

/// Of an image, a chart and an overlay: by tag and by digest, their blobs, tags and referrers.
async fn endpoints(scene: &Scene) -> Vec<String> {
    let chart = scene.plane.api::<HelmChart>().get("web.1.0.0").await.unwrap().status.unwrap().artifact.unwrap();
    let overlay = scene.plane.api::<EnvironmentOverlay>().get("web.dev").await.unwrap().status.unwrap();
    let image = Digest::of(&scene.image.manifest);
    let mut paths = Vec::new();
    for (repository, tag, digest) in [
        ("web", "1.0.0", image),
        ("charts/web", "1.0.0", chart.digest),
        ("overlays/web", "dev", overlay.artifact.unwrap().digest),
    ] {
        let base = format!("/v2/{}/{repository}", scene.plane.namespace);
        let by_digest = format!("{base}/manifests/{digest}");
        let manifest = Client::of(scene).ask(Method::GET, &by_digest, &Credentials::Bearer(&scene.reader)).await;
        let manifest: Value = manifest.error_for_status().unwrap().json().await.unwrap();
        let layer = manifest["layers"][0]["digest"].as_str().unwrap();
        paths.push(format!("{base}/manifests/{tag}"));
        paths.push(by_digest);
        paths.push(format!("{base}/blobs/{layer}"));
        paths.push(format!("{base}/tags/list"));
        paths.push(format!("{base}/referrers/{digest}"));
    }
    paths
}

/// A namespace that goes with this one.
async fn neighbouring_namespace(client: &kube::Client, beside: &str) -> String {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let owner = namespaces.get(beside).await.unwrap().owner_ref(&()).unwrap();
    let metadata = json!({"generateName": format!("{beside}-"), "ownerReferences": [owner]});
    let neighbour: Namespace = serde_json::from_value(json!({"metadata": metadata})).unwrap();
    namespaces.create(&PostParams::default(), &neighbour).await.unwrap().name_any()
}

/// A token that was good until its account was deleted.
async fn withdrawn_token(scene: &Scene) -> String {
    let token = account(&scene.plane.client, &scene.plane.namespace, "leaver", true).await;
    let path = format!("/v2/{}/web/tags/list", scene.plane.namespace);
    let client = Client::of(scene);
    let status = async || client.ask(Method::GET, &path, &Credentials::Bearer(&token)).await.status();
    assert_eq!(status().await, StatusCode::OK);
    let accounts: Api<ServiceAccount> = Api::namespaced(scene.plane.client.clone(), &scene.plane.namespace);
    accounts.delete("leaver", &DeleteParams::default()).await.unwrap();
    // The registry believes for ten seconds what it has found out, and so does the API server.
    let refused = async {
        while status().await != StatusCode::UNAUTHORIZED {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(scene.plane.patience, refused).await.expect("a token ends with its account");
    token
}
