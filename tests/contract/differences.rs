//! `orbit diff` on a small set of stores, as a person runs it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use orbit_plane::{
    api::{OverlayImage, SelectionReason, Workload},
    chart_store::{self, ChartStore, Entry, Fact, SpecText},
    digest::Digest,
    image_harbor::{self, ImageHarbor, store_bytes},
    overlay::{
        artifact::Artifact,
        renderer::{Renderer, Rendering},
    },
    portal,
    release::{ApplicationKey, ChartRecord, ImagePlatform, Release, StoredImage},
    settings::StoreSettings,
    tgz, viewport,
};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::served::served;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

struct Stores {
    store: ChartStore,
    harbor: Arc<dyn ImageHarbor>,
    server: [String; 4],
    _directory: tempfile::TempDir,
}

impl Stores {
    async fn new() -> Self {
        Self::rendered_by(None).await
    }

    /// Of a plane that renders the charts of versions with this program.
    async fn rendered_by(program: Option<&str>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = StoreSettings { data_dir: Some(directory.path().to_owned()), ..Default::default() };
        let store = chart_store::open(&settings).await.unwrap();
        let harbor = image_harbor::open(&settings).await.unwrap();
        let stores = portal::Stores {
            charts: store.clone(),
            harbor: harbor.clone(),
            renderer: program.map(|program| Arc::new(Renderer::new(program.into(), 1, Duration::from_secs(60)))),
            kube_version: "1.36.0".into(),
        };
        let server = served(viewport::open(&settings).unwrap(), stores).await;
        Self { store, harbor, server, _directory: directory }
    }

    async fn put(&self, content: impl Into<Bytes>) -> Digest {
        let digest = store_bytes(&*self.harbor, content).await.unwrap();
        self.store.link(&key(), &[digest]).await.unwrap();
        digest
    }

    async fn record(&self, fact: Fact, spec: Option<Value>, chart_package: Option<Bytes>) {
        let spec = spec.map(|spec| SpecText::of(&spec).0);
        let entry = Entry { actor: "maria".into(), fact, spec, chart_package };
        self.store.record(&key(), entry).await.unwrap();
    }

    /// An image of a base layer, and one of the version's own.
    async fn image(&self, version: &str) -> Digest {
        let config = json!({
            "os": "linux", "architecture": "amd64",
            "config": {"Env": ["PATH=/bin", format!("VERSION={version}")], "User": "65532"},
            "rootfs": {"type": "layers", "diff_ids": [Digest::of("base"), Digest::of(version)]},
        });
        let config = config.to_string();
        let layer = |content: &str| json!({"mediaType": "text/plain", "digest": Digest::of(content), "size": 1024});
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "layers": [layer("base"), layer(version)],
            "config": {"mediaType": "text/plain", "digest": Digest::of(&config), "size": config.len()},
        });
        self.put(config).await;
        self.put(manifest.to_string()).await
    }

    /// A release with its chart.
    async fn release(&self, version: &str) -> Digest {
        let digest = self.image(version).await;
        let stored = StoredImage {
            name: "main".into(),
            digest,
            media_type: MANIFEST.into(),
            size: 1,
            platforms: vec![ImagePlatform { platform: "linux/amd64".into(), manifest: digest, config: digest }],
            blobs: vec![digest],
        };
        let release = Release::new("web", version, vec![stored], BTreeMap::new(), Workload::default());
        self.record(Fact::Stored { release }, None, None).await;
        let values = format!("# chosen\nimage:\n  tag: {version}\nreplicas: 1\n");
        let about = format!("apiVersion: v2\nname: web\nversion: {version}\n");
        let template = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n  tag: {{ .Values.image.tag | quote }}\n";
        let files = [
            ("web/Chart.yaml", about.as_str()),
            ("web/values.yaml", values.as_str()),
            ("web/templates/map.yaml", template),
        ];
        let files = files.map(|(path, text)| (path.to_owned(), text.to_owned())).into();
        let package = Bytes::from(tgz::pack(&files).unwrap());
        let chart = ChartRecord {
            digest: Digest::of(version),
            package: Digest::of(&package),
            size: package.len() as u64,
            unrestricted: None,
        };
        self.record(Fact::Charted { version: version.into(), chart }, None, Some(package)).await;
        digest
    }

    /// What an overlay makes of a version.
    async fn render(&self, environment: &str, version: &str, image: Digest, replicas: u32) {
        let spec = json!({"application": "web", "environment": environment, "values": {"replicas": replicas}});
        let selected = Fact::Selected {
            environment: environment.into(),
            version: version.into(),
            chart_digest: Digest::of(version),
            reason: SelectionReason::Newest,
        };
        self.record(selected, Some(spec), None).await;
        let reference = format!("registry.example/shop/web@{image}");
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": format!("shop-{environment}")}, "spec": {"replicas": replicas},
        });
        let rendering = Rendering {
            manifest: serde_yaml::to_string(&object).unwrap(),
            files: BTreeMap::from([("kustomization.yaml".into(), "{}".into())]),
            objects: Vec::new(),
            images: Vec::new(),
        };
        let artifact = Artifact::of(&rendering, "web", Some(version)).unwrap();
        for blob in artifact.all_blobs() {
            self.put(blob.clone()).await;
        }
        let rendered = Fact::Rendered {
            environment: environment.into(),
            version: Some(version.into()),
            artifact: artifact.digest(),
            inputs_digest: Digest::of(environment),
            objects: 1,
            images: vec![OverlayImage { reference, digest: Some(image), tracked: true }],
        };
        self.record(rendered, None, None).await;
    }

    /// The code that `orbit diff web` exits with, and all it prints.
    async fn diff(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orbit"));
        command.args(["diff", "web", "-n", "shop"]).args(arguments).args(&self.server).env_clear();
        let output = command.output().await.unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    }

    async fn json(&self, a: &str, b: &str) -> Value {
        let (_, said) = self.diff(&[a, b, "-o", "json"]).await;
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"))
    }
}

fn key() -> ApplicationKey {
    ApplicationKey::new("shop", "web")
}

#[tokio::test]
async fn versions_and_environments_are_compared() {
    let stores = Stores::new().await;
    let (old, new) = (stores.release("1.4.0").await, stores.release("1.5.0").await);
    stores.render("dev", "1.5.0", new, 1).await;
    stores.render("prod", "1.4.0", old, 3).await;

    for same in ["1.4.0", "dev", "env:prod", "version:1.5.0"] {
        let (code, said) = stores.diff(&[same, same]).await;
        assert_eq!((code, said.matches(": the same").count()), (Some(0), 3), "{said}");
    }

    let (code, said) = stores.diff(&["prod", "dev"]).await;
    assert_eq!(code, Some(1), "{said}");
    for line in [
        "--- environment prod (1.4.0)",
        "+++ environment dev (1.5.0)",
        "- image.tag: \"1.4.0\"",
        "+ replicas: 1",
        "Deployment.apps/web changed",
        "-  namespace: shop-prod",
        "+  replicas: 1",
        &format!("- main: {old}"),
        "+   env.VERSION: 1.5.0",
        "1 (1.00 KiB) shared, 1 (1.00 KiB) only in the first, 1 (1.00 KiB) only in the second",
    ] {
        assert!(said.lines().any(|found| found.trim_start() == line || found.ends_with(line)), "{line}\n{said}");
    }

    // Versions alone, whose charts nobody renders here.
    let versions = stores.json("1.4.0", "1.5.0").await;
    assert_eq!(versions["same"], false);
    let files: Vec<_> = versions["objects"]["changes"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(files, ["Chart.yaml", "values.yaml"]);
    assert_eq!(versions["images"][0]["settings"], json!([{"name": "env.VERSION", "a": "1.4.0", "b": "1.5.0"}]));
    let mixed = stores.json("1.4.0", "prod").await;
    assert_eq!(mixed["values"]["changes"], json!([{"name": "replicas", "a": "1", "b": "3"}]));
    assert_eq!(mixed["images"], json!([]));
    assert!(mixed["objects"]["notCompared"].as_str().unwrap().contains("orbit-renderer"), "{mixed}");
}

#[tokio::test]
async fn the_charts_of_versions_are_rendered() {
    let renderer = std::env::var("ORBIT_TEST_RENDERER").expect("ORBIT_TEST_RENDERER names the orbit-renderer program");
    let stores = Stores::rendered_by(Some(&renderer)).await;
    let old = stores.release("1.4.0").await;
    stores.release("1.5.0").await;
    stores.render("prod", "1.4.0", old, 1).await;
    let (code, said) = stores.diff(&["1.4.0", "1.5.0"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("ConfigMap/web changed") && said.contains("-  tag: 1.4.0\n+  tag: 1.5.0\n"), "{said}");
    let (_, said) = stores.diff(&["1.4.0", "prod"]).await;
    assert!(said.contains("ConfigMap/web removed") && said.contains("Deployment.apps/web added"), "{said}");
}

#[tokio::test]
async fn what_cannot_be_compared_is_told_from_what_differs() {
    let stores = Stores::new().await;
    let image = stores.release("1.4.0").await;
    let release_digest = stores.store.release(&key(), "1.4.0").await.unwrap().unwrap().release.digest;
    stores.render("dev", "1.4.0", image, 1).await;
    for (b, reason) in [
        ("1.5.0", "has no version 1.5.0"),
        ("prod", "nothing is rendered of shop/web for prod"),
        ("env:1.4.0", "nothing is rendered of shop/web for 1.4.0"),
    ] {
        let (code, said) = stores.diff(&["1.4.0", b]).await;
        assert!(code == Some(2) && said.contains(reason), "{code:?} {said}");
    }
    // What an environment still runs of it can be compared all the same.
    stores.record(Fact::Purged { version: "1.4.0".into(), release_digest }, None, None).await;
    stores.store.unlink(&key(), &[image]).await.unwrap();
    let (code, said) = stores.diff(&["1.4.0", "dev"]).await;
    assert!(code == Some(2) && said.contains("was given up"), "{said}");
    let (code, said) = stores.diff(&["dev", "dev"]).await;
    assert!(code == Some(0) && said.contains("values: not compared: the data of version 1.4.0"), "{said}");
}
