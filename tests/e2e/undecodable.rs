//! Objects that cannot be read as their kind: left from an older or looser schema.

use k8s_openapi::api::admissionregistration::v1::MutatingAdmissionPolicyBinding;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, Config, Resource,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use orbit_plane::{
    api::{EnvironmentOverlay, HelmChart, ImageUpload},
    controllers::install,
};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::plane::{Plane, Stores, image::Image, registry::Registry, tool};

/// A cluster of this test's own, since its schema is loosened for a while. It ends with the test, however that goes.
struct Cluster {
    name: String,
}

impl Cluster {
    async fn up() -> (Self, String, Client) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let cluster = Self { name: format!("undecodable-{}", std::process::id()) };
        let up = Command::new(tool("testbed")).args(["up", "--name", &cluster.name]).output().await.unwrap();
        assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
        let path = String::from_utf8(up.stdout).unwrap().trim().to_owned();
        let kubeconfig = Kubeconfig::read_from(&path).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        (cluster, path, Client::try_from(config).unwrap())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let down = std::process::Command::new(tool("testbed")).args(["down", "--name", &self.name]).output();
        if !down.is_ok_and(|down| down.status.success()) {
            eprintln!("the cluster stays up: testbed down --name {}", self.name);
        }
    }
}

/// Lets the API server take anything as a spec of this kind.
async fn loosen<K: Resource<DynamicType = ()>>(client: &Client) {
    let name = format!("{}.{}", K::plural(&()), K::group(&()));
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let crd = crds.get(&name).await.unwrap();
    let mut version = serde_json::to_value(&crd.spec.versions[0]).unwrap();
    version["schema"] = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    let loose = json!({"spec": {"versions": [version]}});
    crds.patch(&name, &PatchParams::default(), &Patch::Merge(loose)).await.unwrap();
}

/// Creates an object as soon as the API server takes it: a looser schema is in force a moment after it was applied, and
/// a policy is out of force a moment after it was deleted.
async fn create<K: Resource<DynamicType = ()>>(client: &Client, name: &str, spec: Value) {
    let kind = ApiResource::erase::<K>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), "default", &kind);
    let object = DynamicObject::new(name, &kind).data(json!({"spec": spec}));
    let created = async {
        while let Err(refused) = api.create(&PostParams::default(), &object).await {
            assert!(matches!(&refused, kube::Error::Api(status) if matches!(status.code, 403 | 422)), "{refused}");
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), created)
        .await
        .expect("the looser schema comes into force");
}

#[tokio::test]
async fn what_cannot_be_read_is_told_of_and_harms_nobody() {
    let (_cluster, kubeconfig, client) = Cluster::up().await;
    install::install(&client).await.unwrap();
    loosen::<ImageUpload>(&client).await;
    loosen::<HelmChart>(&client).await;
    loosen::<EnvironmentOverlay>(&client).await;
    // Nor does whoever stamps changes understand them.
    let stamps: Api<MutatingAdmissionPolicyBinding> = Api::all(client.clone());
    stamps.delete("orbit-changed-by", &Default::default()).await.unwrap();
    create::<ImageUpload>(&client, "odd-upload", json!({"application": 7})).await;
    create::<HelmChart>(&client, "odd-chart", json!("not even an object")).await;
    create::<EnvironmentOverlay>(&client, "odd-overlay", json!({"application": "web", "environment": ["dev"]})).await;
    install::install(&client).await.unwrap();

    let plane = Plane::new(client.clone(), "default", Stores::Embedded, &["--kubeconfig", &kubeconfig]).await;
    let controller = plane.start().await;
    let registry = Registry::start().await;
    let image = registry.push(&Image::of("web"), "shop/web", "1").await;
    plane.upload("web", "1.0.0", &image, json!({"environments": ["dev"]})).await;
    plane.until_ready::<ImageUpload>("web").await;
    plane.until_ready::<EnvironmentOverlay>("web.dev").await;
    for name in ["odd-upload", "odd-chart", "odd-overlay"] {
        plane.until_told_of(name, "Unreadable").await;
    }
    let kind = ApiResource::erase::<ImageUpload>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), "default", &kind);
    let odd = api.get("odd-upload").await.unwrap();
    let ready = &odd.data["status"]["conditions"][0];
    assert_eq!(
        (&ready["type"], &ready["status"], &ready["reason"]),
        (&json!("Ready"), &json!("False"), &json!("Unreadable"))
    );
    assert!(ready["message"].as_str().unwrap().contains("Expected a string"), "{ready}");
    // Nothing holds them: they go when they are deleted.
    let deleted = api.delete("odd-upload", &Default::default()).await.unwrap();
    assert!(deleted.is_right(), "it is gone at once: {deleted:?}");
    controller.stop().await;
}
