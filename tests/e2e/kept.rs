//! What comes first, and what never goes: kinds, claims, and what is to be kept.

use k8s_openapi::{
    api::core::v1::{Namespace, PersistentVolumeClaim},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Resource, ResourceExt,
    api::{ApiResource, DynamicObject},
    core::GroupVersionKind,
};
use orbit_plane::api::{Delivery, EnvironmentOverlay, condition_type};
use serde_json::json;

use crate::{
    cluster::with_namespace,
    fleet::{Fleet, config_map},
    plane::condition,
};

#[tokio::test]
async fn a_kind_may_come_with_its_objects_and_stays_when_they_go() {
    with_namespace(|client, namespace| async move {
        let fleet = Fleet::of(client.clone(), &namespace).await;
        let group = format!("{namespace}.example.com");
        let widget = format!("apiVersion: {group}/v1\nkind: Widget\nmetadata: {{name: one}}\n");
        // It goes with the test's namespace: the cluster is everybody's.
        let home = Api::<Namespace>::all(client.clone()).get(&namespace).await.unwrap();
        let definition = serde_yaml::to_string(&json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("widgets.{group}"), "ownerReferences": [home.owner_ref(&())]},
            "spec": {
                "group": group, "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
                "versions": [{
                    "name": "v1", "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": {"type": "object"}},
                }],
            },
        }))
        .unwrap();
        fleet.overlay("web", &[&widget, &definition], json!({})).await;
        let delivery = fleet.until_delivered("web").await;
        assert_eq!(delivery.status.unwrap().inventory.unwrap().objects, 2);
        let told = ["requested", "applied", "healthy"].map(|state| format!("{state} dev here -"));
        assert_eq!(fleet.told("web").await, told, "at the first attempt");

        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(&group, "v1", "Widget"));
        let widgets: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &kind);
        assert!(widgets.get_opt("one").await.unwrap().is_some());
        fleet.plane.delete::<EnvironmentOverlay>("web.dev").await;
        fleet.plane.until_gone::<Delivery>(&fleet.delivery("web", "here")).await;
        assert!(widgets.get_opt("one").await.unwrap().is_none());
        let definitions: Api<CustomResourceDefinition> = Api::all(client);
        let stays = definitions.get(&format!("widgets.{group}")).await.unwrap();
        assert!(stays.metadata.deletion_timestamp.is_none(), "others may have objects of its kind");
    })
    .await;
}

#[tokio::test]
async fn claims_are_neither_made_anew_by_force_nor_pruned() {
    with_namespace(|client, namespace| async move {
        let fleet = Fleet::of(client.clone(), &namespace).await;
        let claim = |class: &str| {
            format!(
                "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: data}}\nspec:\n  storageClassName: {class}\n  \
                 accessModes: [ReadWriteOnce]\n  resources: {{requests: {{storage: 1Mi}}}}\n"
            )
        };
        let kept = config_map("kept", "1")
            .replace("  name: kept\n", "  name: kept\n  annotations: {helm.sh/resource-policy: keep}\n");
        let forced = json!({"delivery": {"force": true}});
        let name = fleet.delivery("web", "here");
        fleet.overlay("web", &[&claim("slow"), &kept], forced.clone()).await;
        // No volume is ever bound to it here.
        let is_applied = |it: &Delivery| it.status.as_ref().is_some_and(|status| status.applied.is_some());
        fleet.plane.until(&name, "applied", is_applied).await;
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(client, &namespace);
        let data = claims.get("data").await.unwrap();

        fleet.overlay("web", &[&claim("quick"), &kept], forced.clone()).await;
        let is_halted = |it: &Delivery| {
            condition(it, condition_type::READY).is_some_and(|ready| ready.reason == "ImmutableField")
        };
        let halted = fleet.plane.until(&name, "refused", is_halted).await;
        let message = &condition(&halted, condition_type::READY).unwrap().message;
        assert!(message.contains("PersistentVolumeClaim data"), "{message}");
        assert_eq!(claims.get("data").await.unwrap().uid(), data.uid(), "what is in it would be gone");

        fleet.overlay("web", &[&config_map("one", "1")], forced).await;
        fleet.until_delivered("web").await;
        let there = claims.get("data").await.unwrap();
        assert_eq!((there.uid(), there.metadata.deletion_timestamp), (data.uid(), None));
        assert_eq!(fleet.value("kept").await.as_deref(), Some("1"));
    })
    .await;
}
