//! A registry with something in it, for tests: two applications of two tenants, on real stores.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode, header},
    middleware,
};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tower::ServiceExt;

use crate::{
    chart_store::{ChartStore, Entry, Fact, SqliteTable},
    digest::{Digest, canonical_json},
    image_harbor::{ImageHarbor, LocalHarbor, store_bytes},
    overlay::{artifact::Artifact, renderer::Rendering},
    registry::{Limits, Registry, readers::testing::Cluster, router},
    release::{ApplicationKey, ChartRecord, ImagePlatform, Release, StoredImage},
    requests::{self, Requests},
};

pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A registry, and what lies in it.
pub struct Shelf {
    pub registry: Registry,
    pub cluster: Arc<Cluster>,
    /// What is recorded of its requests.
    pub requests: Requests,
    router: Router,
    harbor: Arc<LocalHarbor>,
    store: ChartStore,
    _directory: tempfile::TempDir,
}

/// An image as it was stored.
pub struct Image {
    pub index: Vec<u8>,
    pub manifest: Vec<u8>,
    pub attestation: Vec<u8>,
    pub layer: Vec<u8>,
}

/// A chart as it was published.
pub struct Chart {
    pub manifest: Vec<u8>,
    pub package: Vec<u8>,
}

impl Shelf {
    pub async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let harbor = Arc::new(LocalHarbor::open(directory.path()).await.unwrap());
        let store = ChartStore::on("orbit", Arc::new(SqliteTable::open(directory.path()).await.unwrap())).unwrap();
        let cluster = Arc::new(Cluster::default());
        let (sender, _) = mpsc::channel(1);
        let readers = cluster.readers();
        let registry = Registry::new(harbor.clone(), store.clone(), sender, readers, None, Limits::default());
        let requests = Requests::default();
        let observed = middleware::from_fn_with_state(requests.clone(), requests::observe);
        let router = router(registry.clone()).layer(observed);
        Self { router, registry, cluster, requests, harbor, store, _directory: directory }
    }

    async fn keep(&self, key: &ApplicationKey, blobs: &[&Vec<u8>]) -> Vec<Digest> {
        let mut digests = Vec::new();
        for blob in blobs {
            digests.push(store_bytes(self.harbor.as_ref() as &dyn ImageHarbor, blob.to_vec()).await.unwrap());
        }
        self.store.link(key, &digests).await.unwrap();
        digests
    }

    pub async fn record(&self, key: &ApplicationKey, fact: Fact, chart_package: Option<Bytes>) {
        let entry = Entry { actor: "maria".into(), fact, spec: None, chart_package };
        self.store.record(key, entry).await.unwrap();
    }

    /// Stores an image: an index with one platform and its attestation.
    pub async fn image(&self, repository: &str, version: &str) -> Image {
        let key = key(repository);
        let config = canonical_json(&json!({"os": "linux", "architecture": "amd64", "of": version}));
        let layer = format!("the layer of {repository} {version}").into_bytes();
        let described = |media_type: &str, bytes: &[u8]| json!({"mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len()});
        let manifest = serde_json::to_vec_pretty(&json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": described("application/vnd.oci.image.config.v1+json", &config),
            "layers": [described("application/vnd.oci.image.layer.v1.tar", &layer)],
        }))
        .unwrap();
        let attestation = canonical_json(&json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/vnd.example.sbom",
            "config": described("application/vnd.oci.empty.v1+json", b"{}"), "layers": [],
            "subject": described(OCI_MANIFEST, &manifest), "annotations": {"made": "by hand"},
        }));
        // Its type is left out, as the spec allows.
        let index = canonical_json(&json!({
            "schemaVersion": 2,
            "manifests": [described(OCI_MANIFEST, &manifest), described(OCI_MANIFEST, &attestation)],
        }));
        let blobs = self.keep(&key, &[&config, &layer, &manifest, &attestation, &index]).await;
        let image = StoredImage {
            name: "main".into(),
            digest: blobs[4],
            media_type: OCI_INDEX.into(),
            size: 1,
            platforms: vec![ImagePlatform { platform: "linux/amd64".into(), manifest: blobs[2], config: blobs[0] }],
            blobs,
        };
        let release = Release::new(&key.application, version, vec![image], BTreeMap::new(), Default::default());
        self.record(&key, Fact::Stored { release }, None).await;
        Image { index, manifest, attestation, layer }
    }

    /// Publishes a release's chart; its package goes into the Chart Store, as those of usual size do.
    pub async fn chart(&self, repository: &str, version: &str) -> Chart {
        let key = key(repository);
        let config = canonical_json(&json!({"name": key.application, "version": version}));
        let package = format!("the package of {repository} {version}").into_bytes();
        let manifest = canonical_json(&json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": {"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": Digest::of(&config), "size": config.len()},
            "layers": [{"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "digest": Digest::of(&package), "size": package.len()}],
        }));
        self.keep(&key, &[&config, &manifest]).await;
        let size = package.len() as u64;
        let chart =
            ChartRecord { digest: Digest::of(&manifest), package: Digest::of(&package), size, unrestricted: None };
        self.record(&key, Fact::Charted { version: version.into(), chart }, Some(package.clone().into())).await;
        Chart { manifest, package }
    }

    /// Renders an environment: its artifact's manifest.
    pub async fn overlay(&self, repository: &str, environment: &str, content: &str) -> Vec<u8> {
        let key = key(repository);
        let rendering = Rendering {
            manifest: content.into(),
            files: BTreeMap::from([("kustomization.yaml".into(), content.into())]),
            objects: Vec::new(),
            images: Vec::new(),
        };
        let artifact = Artifact::of(&rendering, environment, None).unwrap();
        let blobs: Vec<Vec<u8>> = artifact.all_blobs().map(|blob| blob.to_vec()).collect();
        self.keep(&key, &blobs.iter().collect::<Vec<_>>()).await;
        let fact = Fact::Rendered {
            environment: environment.into(),
            version: None,
            artifact: artifact.digest(),
            inputs_digest: Digest::of(content),
            objects: 0,
            images: Vec::new(),
        };
        self.record(&key, fact, None).await;
        artifact.manifest.to_vec()
    }

    /// Gives a release up, as the reconciler does.
    pub async fn purge(&self, repository: &str, version: &str) {
        let key = key(repository);
        let record = self.store.release(&key, version).await.unwrap().unwrap();
        let chart = record.chart.iter().flat_map(|chart| [chart.digest, chart.package]);
        let blobs: Vec<_> = record.release.images.iter().flat_map(|image| image.blobs.clone()).chain(chart).collect();
        self.store.unlink(&key, &blobs).await.unwrap();
        let fact = Fact::Purged { version: version.into(), release_digest: record.release.digest };
        self.record(&key, fact, None).await;
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let (mut parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        // Another one each time: answers that say the same are the same.
        parts.headers.remove(requests::REQUEST_ID);
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub async fn ask(&self, method: &str, path: &str, authorization: Option<&str>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(value) = authorization {
            request = request.header(header::AUTHORIZATION, value);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// `GET` with Maria's token.
    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, Some(&format!("Bearer {}", crate::registry::readers::testing::MARIA))).await
    }
}

fn key(repository: &str) -> ApplicationKey {
    let (namespace, application) = repository.split_once('/').unwrap();
    ApplicationKey::new(namespace, application)
}

/// An answer, read.
#[derive(Debug, PartialEq)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}")).to_str().unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) {
        let said = self.json();
        assert_eq!((self.status.as_u16(), said["errors"][0]["code"].as_str()), (status, Some(code)), "{said}");
        assert!(!said["errors"][0]["message"].as_str().unwrap().is_empty());
    }
}
