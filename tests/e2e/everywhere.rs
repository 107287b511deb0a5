//! A plane of all namespaces, as one is that is not kept to any: in a cluster of its own, since it would take over what
//! belongs to other tests.

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use orbit_plane::api::{
    ConditionStatus, Delivery, EnvironmentOverlay, EphemeralCluster, condition_type, label, reason,
};
use serde_json::{Value, json};

use crate::{
    own_cluster::OwnCluster,
    plane::{Plane, Stores, condition, config_map},
};

/// Gives a namespace these labels, and makes it if it is not there.
async fn namespace(plane: &Plane, name: &str, labels: Value) {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
    let api: Api<Namespace> = Api::all(plane.client.clone());
    api.patch(name, &PatchParams::apply("test").force(), &Patch::Apply(namespace)).await.unwrap();
}

/// An overlay `web.dev` of one ConfigMap, in the namespace at hand.
async fn overlay(plane: &Plane) {
    let spec = json!({"application": "web", "environment": "dev", "base": {"manifests": [config_map("one", "1")]}});
    plane.apply::<EnvironmentOverlay>("web.dev", spec).await;
    plane.until_ready::<EnvironmentOverlay>("web.dev").await;
}

async fn until_healthy(plane: &Plane, delivery: &str) -> Delivery {
    let is_healthy =
        |it: &Delivery| condition(it, condition_type::READY).is_some_and(|it| it.status == ConditionStatus::True);
    plane.until(delivery, "healthy", is_healthy).await
}

#[tokio::test]
async fn what_namespaces_say_of_clusters_is_heeded_at_once() {
    let cluster = OwnCluster::up("everywhere").await;
    let kubeconfig = std::fs::read_to_string(&cluster.kubeconfig).unwrap();
    let arguments = ["--kubeconfig", &cluster.kubeconfig];
    let mut plane = Plane::new(cluster.client.clone(), "shop", Stores::Embedded, &arguments).await.of_all_namespaces();
    let controller = plane.start().await;
    a_label_lets_others_in_and_out(&mut plane, &kubeconfig).await;
    a_cluster_is_imported_and_outlives_its_secret_for_a_while(&mut plane, &kubeconfig).await;
    controller.stop().await;
}

async fn a_label_lets_others_in_and_out(plane: &mut Plane, kubeconfig: &str) {
    namespace(plane, "fleet", json!({})).await;
    namespace(plane, "shop", json!({})).await;
    plane.namespace = "fleet".into();
    plane.join("eu-1", "dev", kubeconfig, json!({"allowedNamespaces": {"from": "All"}})).await;
    let joined = plane.until_ready::<EphemeralCluster>("eu-1").await;
    let message = &condition(&joined, condition_type::READY).unwrap().message;
    assert!(message.contains("until an administrator labels that namespace"), "{message}");
    plane.namespace = "shop".into();
    overlay(plane).await;
    assert_eq!(plane.names::<Delivery>().await, [""; 0]);

    namespace(plane, "fleet", json!({label::FLEET: "true"})).await;
    until_healthy(plane, "web.dev.fleet.eu-1").await;
    namespace(plane, "fleet", json!({})).await;
    plane.until_gone::<Delivery>("web.dev.fleet.eu-1").await;
    plane.delete::<EnvironmentOverlay>("web.dev").await;
}

/// Writes a kubeconfig as Cluster API does.
async fn cluster_api_secret(plane: &Plane, cluster: &str, kubeconfig: &str) {
    let labels = json!({"cluster.x-k8s.io/cluster-name": cluster, label::ENVIRONMENT: "dev"});
    let name = format!("{cluster}-kubeconfig");
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "labels": labels},
        "type": "cluster.x-k8s.io/secret", "stringData": {"value": kubeconfig},
    });
    let api: Api<Secret> = Api::namespaced(plane.client.clone(), &plane.namespace);
    api.patch(&name, &PatchParams::apply("capi").force(), &Patch::Apply(secret)).await.unwrap();
}

/// Writes a kubeconfig as vcluster does.
async fn vcluster_secret(plane: &Plane, name: &str, kubeconfig: &str) {
    let labels = json!({"app": "vcluster", label::ENVIRONMENT: "test"});
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": format!("vc-{name}"), "labels": labels},
        "stringData": {"config": kubeconfig},
    });
    let api: Api<Secret> = Api::namespaced(plane.client.clone(), &plane.namespace);
    api.patch(&format!("vc-{name}"), &PatchParams::apply("vcluster").force(), &Patch::Apply(secret)).await.unwrap();
}

async fn a_cluster_is_imported_and_outlives_its_secret_for_a_while(plane: &mut Plane, kubeconfig: &str) {
    plane.namespace = "imports".into();
    namespace(plane, "imports", json!({})).await;
    cluster_api_secret(plane, "eu-2", kubeconfig).await;
    overlay(plane).await;
    assert_eq!(plane.names::<EphemeralCluster>().await, [""; 0], "nobody asked for it");

    namespace(plane, "imports", json!({label::IMPORT_CLUSTERS: "true"})).await;
    let imported = plane.until_ready::<EphemeralCluster>("eu-2").await;
    assert_eq!(imported.labels()[label::ENVIRONMENT], "dev");
    vcluster_secret(plane, "dev", kubeconfig).await;
    let of_vcluster = plane.until_ready::<EphemeralCluster>("dev").await;
    assert_eq!(of_vcluster.labels()[label::ENVIRONMENT], "test");
    let delivery = until_healthy(plane, "web.dev.imports.eu-2").await;

    let secrets: Api<Secret> = Api::namespaced(plane.client.clone(), &plane.namespace);
    secrets.delete("eu-2-kubeconfig", &DeleteParams::default()).await.unwrap();
    let message = plane.until_reason::<EphemeralCluster>("eu-2", reason::KUBECONFIG_NOT_FOUND).await;
    assert!(message.contains("ends if it is not back after 1h"), "{message}");
    cluster_api_secret(plane, "eu-2", kubeconfig).await;
    assert_eq!(plane.until_ready::<EphemeralCluster>("eu-2").await.uid(), imported.uid());
    assert_eq!(until_healthy(plane, "web.dev.imports.eu-2").await.uid(), delivery.uid());

    plane.patch::<EphemeralCluster>("eu-2", json!({"spec": {"lostAfter": "1s"}})).await;
    secrets.delete("eu-2-kubeconfig", &DeleteParams::default()).await.unwrap();
    plane.until_gone::<EphemeralCluster>("eu-2").await;
    plane.until_gone::<Delivery>("web.dev.imports.eu-2").await;
    assert!(plane.journal("web").await.last().unwrap().starts_with("lost dev imports/eu-2"));
}
