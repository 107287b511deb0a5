//! What `orbit verify` finds in both sets of stores: SQLite with the local layout, and DynamoDB with S3.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use aws_sdk_s3::Client;
use bytes::Bytes;
use orbit_plane::{
    api::Workload,
    aws,
    chart_store::{
        self, ChartStore, Condition, Deployment, DeploymentState, DynamoDbTable, Entry, Fact, ItemKey, SqliteTable,
        Table, Write,
    },
    digest::Digest,
    image_harbor::{self, ImageHarbor, store_bytes},
    release::{ApplicationKey, ChartRecord, ClusterRef, ImagePlatform, Release, StoredImage},
    settings::StoreSettings,
    verify::verify_stores,
};
use serde_json::json;

use super::image_harbor::setting;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A set of stores, and the way past their front doors.
struct Stores {
    plane: String,
    store: ChartStore,
    table: Arc<dyn Table>,
    harbor: Arc<dyn ImageHarbor>,
    disk: Disk,
    _directory: tempfile::TempDir,
}

/// Where the Harbor's bytes really lie.
enum Disk {
    Local(PathBuf),
    S3 { client: Client, bucket: String, plane: String },
}

impl Disk {
    /// Puts other bytes in place of a blob's, or none at all.
    async fn tamper(&self, digest: &Digest, content: Option<Bytes>) {
        match self {
            Self::Local(blobs) => {
                let path = blobs.join(digest.hex());
                std::fs::remove_file(&path).unwrap();
                if let Some(content) = content {
                    std::fs::write(path, content).unwrap();
                }
            }
            Self::S3 { client, bucket, plane } => {
                let pointer = client.get_object().bucket(bucket).key(format!("{plane}/blobs/sha256/{}", digest.hex()));
                let pointer = pointer.send().await.unwrap().body.collect().await.unwrap().into_bytes();
                let pointer: serde_json::Value = serde_json::from_slice(&pointer).unwrap();
                let key = pointer["key"].as_str().unwrap();
                match content {
                    None => drop(client.delete_object().bucket(bucket).key(key).send().await.unwrap()),
                    Some(content) => {
                        let put = client.put_object().bucket(bucket).key(key).body(content.into());
                        put.send().await.unwrap();
                    }
                }
            }
        }
    }
}

async fn embedded() -> Stores {
    let directory = tempfile::tempdir().unwrap();
    let settings = StoreSettings { data_dir: Some(directory.path().to_owned()), ..Default::default() };
    let table: Arc<dyn Table> = Arc::new(SqliteTable::open(directory.path()).await.unwrap());
    Stores {
        plane: "orbit".into(),
        store: ChartStore::on("orbit", table.clone()).unwrap(),
        table,
        harbor: image_harbor::open(&settings).await.unwrap(),
        disk: Disk::Local(directory.path().join("harbor/blobs/sha256")),
        _directory: directory,
    }
}

async fn production() -> Stores {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let plane = format!("t-{}", &uuid::Uuid::new_v4().to_string()[..18]);
    let settings = StoreSettings {
        plane: Some(plane.clone()),
        s3_bucket: Some(setting("ORBIT_TEST_S3_BUCKET")),
        s3_endpoint: Some(setting("ORBIT_TEST_S3_ENDPOINT").parse().unwrap()),
        ..Default::default()
    };
    let endpoint = setting("ORBIT_TEST_DYNAMODB_ENDPOINT").parse().unwrap();
    let table: Arc<dyn Table> = Arc::new(DynamoDbTable::open(&plane, Some(&endpoint)).await.unwrap());
    let config = aws::sdk_config(settings.s3_endpoint.as_ref()).await;
    let config = aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build();
    Stores {
        store: ChartStore::on(&plane, table.clone()).unwrap(),
        table,
        harbor: image_harbor::open(&settings).await.unwrap(),
        disk: Disk::S3 { client: Client::from_conf(config), bucket: settings.s3_bucket.unwrap(), plane: plane.clone() },
        plane,
        _directory: tempfile::tempdir().unwrap(),
    }
}

macro_rules! contract {
    ($($name:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test] async fn $name() { super::$name(super::embedded().await).await; })*
        }
        mod production {
            $(#[tokio::test] async fn $name() { super::$name(super::production().await).await; })*
        }
    };
}

contract!(
    what_is_whole_gives_no_finding,
    a_blob_that_is_gone_is_missed_by_all_who_need_it,
    a_blob_that_is_too_short_is_found,
    other_bytes_of_the_same_size_are_found_by_a_deep_look,
    a_manifest_that_is_none_is_found,
    a_blob_without_a_link_is_found,
    a_chart_that_was_changed_in_the_chart_store_is_found,
    what_was_given_up_is_not_missed,
    what_runs_and_what_a_rollback_goes_back_to_is_needed,
);

fn key(application: &str) -> ApplicationKey {
    ApplicationKey::new("shop", application)
}

/// Blobs that a test asks for by what they are.
#[derive(Debug, Clone)]
struct Published {
    layer: Digest,
    image: Digest,
    chart_config: Digest,
    chart: Digest,
    yaml: Digest,
    artifact: Digest,
}

impl Stores {
    /// A manifest over blobs, the first of which is its config; all stored, and linked to an application.
    async fn manifest(&self, key: &ApplicationKey, blobs: &[&str]) -> (Digest, Vec<Digest>) {
        let mut digests = Vec::new();
        let mut descriptors = Vec::new();
        for blob in blobs {
            let digest = store_bytes(&*self.harbor, blob.to_string()).await.unwrap();
            descriptors.push(json!({"mediaType": "text/plain", "digest": digest, "size": blob.len()}));
            digests.push(digest);
        }
        let layers = descriptors.split_off(1);
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptors[0], "layers": layers});
        let manifest = store_bytes(&*self.harbor, manifest.to_string()).await.unwrap();
        digests.push(manifest);
        self.store.link(key, &digests).await.unwrap();
        (manifest, digests)
    }

    async fn record(&self, key: &ApplicationKey, fact: Fact, chart_package: Option<Bytes>) {
        let entry = Entry { actor: "maria".into(), fact, spec: None, chart_package };
        self.store.record(key, entry).await.unwrap();
    }

    /// Release 1.4.0 of an application with its chart, rendered for prod.
    async fn publish(&self, application: &str) -> Published {
        let key = &key(application);
        let (image, blobs) = self.manifest(key, &["image config", "layer one", "layer two"]).await;
        let config = blobs[0];
        let stored = StoredImage {
            name: "main".into(),
            digest: image,
            media_type: MANIFEST.into(),
            size: 1,
            platforms: vec![ImagePlatform { platform: "linux/amd64".into(), manifest: image, config }],
            blobs: blobs.clone(),
        };
        let release = Release::new(application, "1.4.0", vec![stored], BTreeMap::new(), Workload::default());
        self.record(key, Fact::Stored { release }, None).await;

        // As small charts are: the package lies in the Chart Store, and only there.
        let package = Bytes::from(format!("package of {application}"));
        let chart_config = format!("chart config of {application}");
        let chart = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": "text/plain", "digest": Digest::of(&chart_config), "size": chart_config.len()},
            "layers": [{"mediaType": "text/plain", "digest": Digest::of(&package), "size": package.len()}],
        });
        let chart_config = store_bytes(&*self.harbor, chart_config).await.unwrap();
        let chart = store_bytes(&*self.harbor, chart.to_string()).await.unwrap();
        self.store.link(key, &[chart_config, chart]).await.unwrap();
        let size = package.len() as u64;
        let record = ChartRecord { digest: chart, package: Digest::of(&package), size, unrestricted: None };
        self.record(key, Fact::Charted { version: "1.4.0".into(), chart: record }, Some(package)).await;

        let yaml = format!("final YAML of {application}");
        let (artifact, blobs) = self.manifest(key, &["{}", "kustomization", &yaml]).await;
        let rendered = Fact::Rendered {
            environment: "prod".into(),
            version: Some("1.4.0".into()),
            artifact,
            inputs_digest: Digest::of("inputs"),
            objects: 1,
            images: vec![],
        };
        self.record(key, rendered, None).await;
        Published { layer: Digest::of("layer one"), image, chart_config, chart, yaml: blobs[2], artifact }
    }

    /// What is found, a line each.
    async fn found(&self, deep: bool) -> Vec<String> {
        let findings = verify_stores(&self.store, &*self.harbor, deep).await.unwrap();
        findings.into_iter().map(|finding| format!("{}: {}", finding.subject, finding.problem)).collect()
    }
}

fn assert_one(found: &[String], parts: &[&str]) {
    assert!(found.len() == 1 && parts.iter().all(|part| found[0].contains(part)), "{parts:?}: {found:#?}");
}

async fn what_is_whole_gives_no_finding(stores: Stores) {
    stores.publish("web").await;
    stores.publish("api").await;
    // Bytes that nobody refers to are reclaimable, whatever they are.
    let unreferenced = store_bytes(&*stores.harbor, "unreferenced").await.unwrap();
    stores.disk.tamper(&unreferenced, Some("damaged".into())).await;
    assert_eq!(chart_store::verify(&stores.store).await.unwrap(), []);
    for deep in [false, true] {
        assert_eq!(stores.found(deep).await, [""; 0]);
    }
}

async fn a_blob_that_is_gone_is_missed_by_all_who_need_it(stores: Stores) {
    let web = stores.publish("web").await;
    stores.publish("api").await;
    stores.disk.tamper(&web.layer, None).await;
    stores.disk.tamper(&web.chart_config, None).await;
    stores.disk.tamper(&web.yaml, None).await;
    for deep in [false, true] {
        let found = stores.found(deep).await;
        // The layer is in the images of both.
        assert_eq!(found.len(), 4, "{found:#?}");
        for (digest, by) in [
            (web.layer, "release 1.4.0 of shop/web"),
            (web.layer, "release 1.4.0 of shop/api"),
            (web.chart_config, "the chart of release 1.4.0 of shop/web"),
            (web.yaml, "environment prod of shop/web"),
        ] {
            let line = format!("{digest}, which {by} needs: is ");
            assert!(found.iter().any(|found| found.starts_with(&line)), "{line}: {found:#?}");
        }
    }
}

async fn a_blob_that_is_too_short_is_found(stores: Stores) {
    let web = stores.publish("web").await;
    stores.disk.tamper(&web.layer, Some("layer".into())).await;
    for deep in [false, true] {
        assert_one(&stores.found(deep).await, &[&web.layer.to_string(), "release 1.4.0 of shop/web"]);
    }
}

async fn other_bytes_of_the_same_size_are_found_by_a_deep_look(stores: Stores) {
    let web = stores.publish("web").await;
    stores.disk.tamper(&web.layer, Some("layer uno".into())).await;
    assert_eq!(stores.found(false).await, [""; 0]);
    let other = Digest::of("layer uno").to_string();
    assert_one(&stores.found(true).await, &[&web.layer.to_string(), "is damaged", &other]);
}

async fn a_manifest_that_is_none_is_found(stores: Stores) {
    let web = stores.publish("web").await;
    for (manifest, by) in [(web.image, "release"), (web.chart, "chart"), (web.artifact, "environment prod")] {
        let mut whole = Vec::new();
        let mut bytes = stores.harbor.read(&manifest, None).await.unwrap();
        while let Some(chunk) = futures::TryStreamExt::try_next(&mut bytes).await.unwrap() {
            whole.extend_from_slice(&chunk);
        }
        // Even without a deep look: manifests are read anyway.
        stores.disk.tamper(&manifest, Some(vec![b' '; whole.len()].into())).await;
        assert_one(&stores.found(false).await, &[&manifest.to_string(), by, "is damaged"]);
        stores.disk.tamper(&manifest, Some(whole.into())).await;
    }
    // Whole as a blob, but no manifest.
    let text = store_bytes(&*stores.harbor, "no manifest").await.unwrap();
    let key = &key("web");
    stores.store.link(key, &[text]).await.unwrap();
    let rendered = Fact::Rendered {
        environment: "dev".into(),
        version: None,
        artifact: text,
        inputs_digest: Digest::of("inputs"),
        objects: 1,
        images: vec![],
    };
    stores.record(key, rendered, None).await;
    assert_one(&stores.found(false).await, &["environment dev", "cannot be read as the manifest"]);
}

async fn a_blob_without_a_link_is_found(stores: Stores) {
    let web = stores.publish("web").await;
    stores.store.unlink(&key("web"), &[web.layer]).await.unwrap();
    assert_one(&stores.found(false).await, &[&web.layer.to_string(), "no link"]);
}

async fn a_chart_that_was_changed_in_the_chart_store_is_found(stores: Stores) {
    stores.publish("web").await;
    let at = ItemKey::new(format!("{}/application/shop/web", stores.plane), "chart/1.4.0");
    let item = stores.table.get(&at).await.unwrap().unwrap();
    let forged = Write::put_blob(at.clone(), item.body, "forged".into(), Condition::Any);
    stores.table.transact(&[forged]).await.unwrap();
    assert_one(&stores.found(false).await, &["the chart of release 1.4.0 of shop/web", "of 6 bytes"]);
    // Without it the Harbor would have to have the package.
    stores.table.transact(&[Write::delete(at, Condition::Any)]).await.unwrap();
    assert_one(&stores.found(false).await, &["the chart of release 1.4.0 of shop/web", "is not in"]);
}

async fn what_was_given_up_is_not_missed(stores: Stores) {
    let web = stores.publish("web").await;
    let key = &key("web");
    let record = stores.store.release(key, "1.4.0").await.unwrap().unwrap();
    let mut given_up = record.release.images[0].blobs.clone();
    given_up.extend([web.chart, web.chart_config]);
    stores.store.unlink(key, &given_up).await.unwrap();
    let purged = Fact::Purged { version: "1.4.0".into(), release_digest: record.release.digest };
    stores.record(key, purged, None).await;
    for digest in &given_up {
        stores.disk.tamper(digest, None).await;
    }
    assert_eq!(stores.found(true).await, [""; 0]);
    // What still runs is needed all the same.
    stores.disk.tamper(&web.yaml, None).await;
    assert_one(&stores.found(false).await, &["environment prod of shop/web"]);
}

async fn what_runs_and_what_a_rollback_goes_back_to_is_needed(stores: Stores) {
    let key = &key("web");
    let (old, _) = stores.manifest(key, &["{}", "the old YAML"]).await;
    let (new, _) = stores.manifest(key, &["{}", "the new YAML"]).await;
    let inventory = store_bytes(&*stores.harbor, "inventory").await.unwrap();
    stores.store.link(key, &[inventory]).await.unwrap();
    let say = async |artifact: Digest, state: DeploymentState| {
        let fact = Deployment {
            environment: "prod".into(),
            cluster: ClusterRef::new("fleet", "eu-1", "7b0c"),
            version: None,
            artifact,
            images: vec![],
            state,
            inventory: (state == DeploymentState::Applied).then_some(inventory),
            detail: None,
            attempt: 0,
            replaces: None,
        };
        stores.record(key, Fact::Deployment(fact), None).await;
    };
    say(old, DeploymentState::Healthy).await;
    say(new, DeploymentState::Applied).await;
    assert_eq!(chart_store::verify(&stores.store).await.unwrap(), []);
    assert_eq!(stores.found(false).await, [""; 0]);
    let needed = [old, Digest::of("the old YAML"), new, Digest::of("the new YAML"), inventory];
    stores.store.unlink(key, &needed).await.unwrap();
    let found = stores.found(false).await;
    assert_eq!(found.len(), needed.len(), "{found:#?}");
    assert!(found.iter().all(|line| line.contains("the deployment of prod to fleet/eu-1")), "{found:#?}");
    // A cluster may come back; what was removed from it does not.
    say(new, DeploymentState::Lost).await;
    assert_eq!(stores.found(false).await.len(), needed.len());
    say(new, DeploymentState::Removed).await;
    assert_eq!(stores.found(false).await, [""; 0]);
}
