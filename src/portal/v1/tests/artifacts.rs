//! What is stored of charts and environments, as it is shown and handed out.

use std::collections::BTreeMap;

use axum::{
    body::Body,
    http::{Method, StatusCode, header},
};
use serde_json::json;

use super::bench::{Answer, Bench, Browser};
use crate::{
    chart_store::{Entry, Fact},
    digest::Digest,
    image_harbor::store_bytes,
    overlay::{artifact::Artifact, renderer::Rendering},
    portal::testing::{MARIA, VERA},
    release::{ApplicationKey, ChartRecord},
    tgz,
};

const CHART: &str = "/api/v1/namespaces/shop/charts/web/1.0.0";
const ARCHIVE: &str = "/api/v1/namespaces/shop/charts/web/1.0.0/archive";
const MANIFESTS: &str = "/api/v1/namespaces/shop/overlays/web/prod/manifests";
const MANIFESTS_FILE: &str = "/api/v1/namespaces/shop/overlays/web/prod/manifests?format=yaml";
const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  namespace: shop\n";
const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: web\nstringData:\n  password: hunter2\n";

fn package() -> Vec<u8> {
    let files = BTreeMap::from([
        ("web/Chart.yaml".to_owned(), b"name: web\n".to_vec()),
        ("web/icon.png".to_owned(), vec![0x89, 0xff]),
        ("web/templates/service.yaml".to_owned(), SERVICE.into()),
    ]);
    tgz::pack(&files).unwrap()
}

impl Bench {
    /// The chart of 1.0.0, and what is rendered of it for prod, a Secret among it.
    pub async fn publish(&self) {
        let package = package();
        let chart = ChartRecord {
            digest: Digest::of("chart"),
            package: Digest::of(&package),
            size: package.len() as u64,
            unrestricted: None,
        };
        let rendering = Rendering {
            manifest: format!("{SERVICE}---\n{SECRET}"),
            files: BTreeMap::new(),
            objects: Vec::new(),
            images: Vec::new(),
        };
        let artifact = Artifact::of(&rendering, "web.prod", Some("1.0.0")).unwrap();
        for blob in artifact.all_blobs() {
            store_bytes(self.harbor.as_ref(), blob.clone()).await.unwrap();
        }
        let charted = Fact::Charted { version: "1.0.0".into(), chart };
        let rendered = Fact::Rendered {
            environment: "prod".into(),
            version: Some("1.0.0".into()),
            artifact: artifact.digest(),
            inputs_digest: Digest::of("inputs"),
            objects: 2,
            images: Vec::new(),
        };
        for (fact, chart_package) in [(charted, Some(package.into())), (rendered, None)] {
            let entry = Entry { actor: "orbit-plane".into(), fact, spec: None, chart_package };
            self.charts.record(&ApplicationKey::new("shop", "web"), entry).await.unwrap();
        }
    }

    async fn get_unless(&self, browser: &Browser, path: &str, tag: &str) -> Answer {
        let request = browser.request(&Method::GET, path).header(header::IF_NONE_MATCH, tag);
        self.send(request.body(Body::empty()).unwrap()).await
    }
}

#[tokio::test]
async fn a_charts_files_are_shown_and_its_package_is_handed_out() {
    let bench = Bench::new().await;
    bench.publish().await;
    let vera = bench.sign_in(VERA).await;
    let shown = bench.get(&vera, CHART).await;
    let package = package();
    assert_eq!(
        shown.json(),
        json!({
            "digest": Digest::of("chart"),
            "package": Digest::of(&package),
            "size": package.len(),
            "files": [
                {"path": "Chart.yaml", "size": 10, "content": "name: web\n"},
                {"path": "icon.png", "size": 2, "notShown": "noText"},
                {"path": "templates/service.yaml", "size": SERVICE.len(), "content": SERVICE},
            ],
        })
    );
    let file = bench.get_bytes(&vera, ARCHIVE).await;
    assert_eq!(file.1, package, "byte for byte");
    let header = |name: &str| file.0.get(name).unwrap().to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/gzip");
    assert_eq!(header("content-disposition"), "attachment; filename=\"web-1.0.0.tgz\"");
    assert_eq!(header("etag"), format!("\"{}\"", Digest::of(&package)));
}

#[tokio::test]
async fn manifests_are_shown_and_handed_out_without_what_secrets_keep() {
    let bench = Bench::new().await;
    bench.publish().await;
    let vera = bench.sign_in(VERA).await;
    let shown = bench.get(&vera, MANIFESTS).await;
    let found = shown.json();
    assert_eq!(shown.header("etag"), format!("\"{}\"", found["digest"].as_str().unwrap()));
    assert_eq!((&found["version"], &found["inputsDigest"]), (&json!("1.0.0"), &json!(Digest::of("inputs"))));
    assert_eq!(
        found["objects"][0],
        json!({"name": "Service/web", "namespace": "shop", "yaml": SERVICE, "masked": false})
    );
    assert_eq!((&found["objects"][1]["name"], &found["objects"][1]["masked"]), (&json!("Secret/web"), &json!(true)));
    let file = bench.get(&vera, MANIFESTS_FILE).await;
    assert_eq!(file.header("content-type"), "application/yaml");
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"web.prod.yaml\"");
    assert!(file.text.starts_with(SERVICE) && file.text.contains("password: '***'"), "{}", file.text);
    for answer in [&shown, &file] {
        assert!(!answer.text.contains("hunter2"), "{}", answer.text);
    }
}

#[tokio::test]
async fn nothing_is_sent_twice() {
    let bench = Bench::new().await;
    bench.publish().await;
    let vera = bench.sign_in(VERA).await;
    for path in [CHART, ARCHIVE, MANIFESTS, MANIFESTS_FILE] {
        let first = bench.get(&vera, path).await;
        assert_eq!(first.header("cache-control"), "private, no-cache", "{path}");
        let again = bench.get_unless(&vera, path, first.header("etag")).await;
        assert_eq!((again.status, again.text.as_str()), (StatusCode::NOT_MODIFIED, ""), "{path}");
        assert_eq!(again.header("etag"), first.header("etag"));
        assert_eq!(bench.get_unless(&vera, path, "\"sha256:0\"").await.status, StatusCode::OK, "{path}");
        // To have had it once is no right to it.
        let elsewhere = path.replace("/shop/", "/bank/");
        assert_eq!(bench.get_unless(&vera, &elsewhere, "*").await.status, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_with_what_to_look_at() {
    let bench = Bench::new().await;
    let maria = bench.sign_in(MARIA).await;
    for (path, status, detail) in [
        ("charts/web/1.0.0", 404, "not published yet: the conditions of its HelmChart say why"),
        ("charts/web/1.0.0/archive", 404, "not published yet"),
        ("charts/web/9.0.0", 404, "has no version 9.0.0"),
        ("charts/api/1.0.0", 404, "shop/api has no version"),
        ("overlays/web/prod/manifests", 404, "for prod: the conditions of its EnvironmentOverlay say why"),
        ("overlays/web/dev/manifests", 404, "nothing is rendered of shop/web for dev"),
        ("overlays/web/prod/manifests?format=pdf", 400, "format"),
        ("overlays/web/prod/manifests?file=x", 400, "file"),
        ("charts/..%2Fapi/1.0.0", 400, "cannot be the name of an application"),
        ("charts/web/..%2F..%2Fx", 400, "cannot be the name of a version"),
        ("charts/web/1.0.0%22%0d%0aX:%20y/archive", 400, "cannot be the name of a version"),
        ("overlays/web/..%2Fx/manifests", 400, "cannot be the name of an environment"),
    ] {
        let answer = bench.get(&maria, &format!("/api/v1/namespaces/shop/{path}")).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {answer:?}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert!(answer.json()["detail"].as_str().unwrap().contains(detail), "{path}: {answer:?}");
    }
}
