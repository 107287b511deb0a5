//! Objects that cannot be read as their kind: left from an older or looser schema.

use k8s_openapi::api::admissionregistration::v1::MutatingAdmissionPolicyBinding;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, Resource,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
    runtime::wait::await_condition,
};
use orbit_plane::{
    api::{Delivery, EnvironmentOverlay, EphemeralCluster, FINALIZER, HelmChart, ImageUpload, label},
    controllers::install,
};
use serde_json::{Value, json};

use crate::{
    own_cluster::OwnCluster,
    plane::{Plane, Stores, config_map, image::Image, registry::Registry},
};

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

/// Objects of a kind, whatever they are.
fn of_kind<K: Resource<DynamicType = ()>>(client: &Client) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), "default", &ApiResource::erase::<K>(&()))
}

/// Creates an object as soon as the API server takes it: a looser schema is in force a moment after it was applied, and
/// a policy is out of force a moment after it was deleted.
async fn create<K: Resource<DynamicType = ()>>(client: &Client, name: &str, spec: Value) {
    let api = of_kind::<K>(client);
    let object = DynamicObject::new(name, &ApiResource::erase::<K>(&())).data(json!({"spec": spec}));
    once_taken(async || api.create(&PostParams::default(), &object).await).await;
}

/// Makes an object one that cannot be read, and asks for its end.
async fn spoil_and_delete<K: Resource<DynamicType = ()>>(client: &Client, name: &str, spec: Value) {
    loosen::<K>(client).await;
    let api = of_kind::<K>(client);
    let patch = Patch::Merge(json!({"spec": spec}));
    once_taken(async || api.patch(name, &PatchParams::default(), &patch).await).await;
    assert!(api.delete(name, &Default::default()).await.unwrap().is_left(), "it is held");
}

async fn once_taken(write: impl AsyncFn() -> kube::Result<DynamicObject>) {
    let taken = async {
        while let Err(refused) = write().await {
            assert!(matches!(&refused, kube::Error::Api(status) if matches!(status.code, 403 | 422)), "{refused}");
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), taken).await.expect("the looser schema comes into force");
}

/// Waits until an object says that it stays, though it was deleted, and for these.
async fn until_it_stays_for<K: Resource<DynamicType = ()>>(plane: &Plane, name: &str, words: &str) {
    let says_so = await_condition(of_kind::<K>(&plane.client), name, |object: Option<&DynamicObject>| {
        let message = object.and_then(|object| object.data["status"]["conditions"][0]["message"].as_str());
        message.is_some_and(|it| it.contains("being deleted, and stays") && it.contains(words))
    });
    tokio::time::timeout(plane.patience, says_so).await.expect("it says that it stays").unwrap();
}

/// Waits until an object is gone, whatever it was.
async fn until_gone<K: Resource<DynamicType = ()>>(plane: &Plane, name: &str) {
    let gone = await_condition(of_kind::<K>(&plane.client), name, |object: Option<&DynamicObject>| object.is_none());
    tokio::time::timeout(plane.patience, gone).await.expect("it goes").unwrap();
}

/// Nobody stamps changes of what nobody understands.
async fn without_stamps(client: &Client) {
    let stamps: Api<MutatingAdmissionPolicyBinding> = Api::all(client.clone());
    stamps.delete("orbit-changed-by", &Default::default()).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_read_is_told_of_and_harms_nobody() {
    // Its schema is loosened for a while.
    let cluster = OwnCluster::up("undecodable").await;
    let client = cluster.client.clone();
    loosen::<ImageUpload>(&client).await;
    loosen::<HelmChart>(&client).await;
    loosen::<EnvironmentOverlay>(&client).await;
    loosen::<Delivery>(&client).await;
    without_stamps(&client).await;
    create::<ImageUpload>(&client, "odd-upload", json!({"application": 7})).await;
    create::<HelmChart>(&client, "odd-chart", json!("not even an object")).await;
    create::<EnvironmentOverlay>(&client, "odd-overlay", json!({"application": "web", "environment": ["dev"]})).await;
    create::<Delivery>(&client, "odd-delivery", json!({"application": ["web"]})).await;
    let deliveries = of_kind::<Delivery>(&client);
    let held = json!({"metadata": {"finalizers": [FINALIZER]}});
    deliveries.patch("odd-delivery", &PatchParams::default(), &Patch::Merge(held)).await.unwrap();
    install::install(&client).await.unwrap();

    let plane = Plane::new(client.clone(), "default", Stores::Embedded, &["--kubeconfig", &cluster.kubeconfig]).await;
    let controller = plane.start().await;
    let registry = Registry::start().await;
    let image = registry.push(&Image::of("web"), "shop/web", "1").await;
    plane.upload("web", "1.0.0", &image, json!({"environments": ["dev"]})).await;
    plane.until_ready::<ImageUpload>("web").await;
    plane.until_ready::<EnvironmentOverlay>("web.dev").await;
    for name in ["odd-upload", "odd-chart", "odd-overlay", "odd-delivery"] {
        plane.until_told_of(name, "Unreadable").await;
    }
    let api = of_kind::<ImageUpload>(&client);
    let odd = api.get("odd-upload").await.unwrap();
    let ready = &odd.data["status"]["conditions"][0];
    assert_eq!(
        (&ready["type"], &ready["status"], &ready["reason"]),
        (&json!("Ready"), &json!("False"), &json!("Unreadable"))
    );
    assert!(ready["message"].as_str().unwrap().contains("Expected a string"), "{ready}");
    // What may be in a cluster is not forgotten: it says what that is, and stays until somebody has seen to it.
    assert!(deliveries.delete("odd-delivery", &Default::default()).await.unwrap().is_left());
    until_it_stays_for::<Delivery>(&plane, "odd-delivery", label::DELIVERY).await;
    let released = json!({"metadata": {"finalizers": null}});
    deliveries.patch_metadata("odd-delivery", &PatchParams::default(), &Patch::Merge(released)).await.unwrap();
    plane.until_gone::<Delivery>("odd-delivery").await;
    // Nothing holds the others: they go when they are deleted.
    let deleted = api.delete("odd-upload", &Default::default()).await.unwrap();
    assert!(deleted.is_right(), "it is gone at once: {deleted:?}");
    controller.stop().await;
}

#[tokio::test]
async fn what_was_delivered_for_what_cannot_be_read_any_more_is_not_forgotten() {
    let cluster = OwnCluster::up("spoiled").await;
    let client = cluster.client.clone();
    without_stamps(&client).await;
    let plane = Plane::new(client.clone(), "default", Stores::Embedded, &["--kubeconfig", &cluster.kubeconfig]).await;
    let controller = plane.start().await;
    plane.join("here", "dev", &std::fs::read_to_string(&cluster.kubeconfig).unwrap(), json!({})).await;
    for (application, name) in [("web", "one"), ("cart", "two")] {
        let spec = json!({
            "application": application, "environment": "dev", "base": {"manifests": [config_map(name, "1")]},
        });
        plane.apply::<EnvironmentOverlay>(&format!("{application}.dev"), spec).await;
        plane.until_delivered(&format!("{application}.dev"), "here").await;
    }
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");

    // It goes once what was delivered has been ended, and the history knows.
    spoil_and_delete::<EnvironmentOverlay>(&client, "web.dev", json!({"targetNamespace": 7})).await;
    let delivery = plane.delivery("web.dev", "here");
    until_it_stays_for::<EnvironmentOverlay>(&plane, "web.dev", &format!("Delivery {delivery}")).await;
    assert!(maps.get_opt("one").await.unwrap().is_some(), "whether it is to be deleted is not known");
    plane.delete::<Delivery>(&delivery).await;
    until_gone::<EnvironmentOverlay>(&plane, "web.dev").await;
    assert!(maps.get_opt("one").await.unwrap().is_none());
    assert_eq!(plane.journal("web").await.last().map(String::as_str), Some("removed dev"));

    // Nor is a cluster let go with all that is there.
    spoil_and_delete::<EphemeralCluster>(&client, "here", json!({"lostAfter": 7})).await;
    let delivery = plane.delivery("cart.dev", "here");
    until_it_stays_for::<EphemeralCluster>(&plane, "here", &format!("what Delivery default/{delivery} brought")).await;
    let released = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    of_kind::<EphemeralCluster>(&client).patch("here", &PatchParams::default(), &released).await.unwrap();
    plane.until_gone::<Delivery>(&delivery).await;
    assert!(maps.get_opt("two").await.unwrap().is_some(), "that was for somebody else to see to");
    plane.verify().await;
    controller.stop().await;
}
