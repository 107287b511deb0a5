//! The cluster that is delivered to: the one that the plane works in itself.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
    runtime::wait::await_condition,
};
use orbit_plane::{
    api::{Delivery, EphemeralCluster, PULL_SECRET, annotation, label},
    cluster_plane::Inventory,
    image_harbor,
};
use serde_json::json;

use crate::plane::{Plane, own_kubeconfig};

/// What the plane calls it.
pub const CLUSTER: &str = "here";
/// The Secret with its credential for the plane's registry.
const CREDENTIAL: &str = "here-orbit-pull";

/// Makes it known to a plane, for the environment edge.
pub async fn join(plane: &Plane) {
    plane.join(CLUSTER, "edge", &own_kubeconfig(), json!({})).await;
}

/// Changes a ConfigMap as somebody else.
pub async fn change(plane: &Plane, name: &str) {
    let params = PatchParams { field_manager: Some("somebody".into()), ..PatchParams::default() };
    config_maps(plane).patch(name, &params, &Patch::Merge(json!({"data": {"a": "drifted"}}))).await.unwrap();
}

/// Deletes a ConfigMap.
pub async fn delete(plane: &Plane, name: &str) {
    config_maps(plane).delete(name, &DeleteParams::default()).await.unwrap();
}

/// Takes the credential away, and asks for a look at the cluster.
pub async fn revoke(plane: &Plane) {
    // Another story may have done so a moment ago.
    match secrets(plane).delete(CREDENTIAL, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        deleted => drop(deleted.unwrap()),
    }
    let now = json!({"metadata": {"annotations": {annotation::REQUESTED_AT: jiff::Timestamp::now().to_string()}}});
    plane.patch::<EphemeralCluster>(CLUSTER, now).await;
}

/// Waits until it has a credential, and pods pull with that one.
pub async fn until_credited(plane: &Plane) {
    let api = secrets(plane);
    let config = |secret: Option<Secret>| secret?.data?.remove(".dockerconfigjson");
    let credited = async {
        loop {
            let issued = config(api.get_opt(CREDENTIAL).await.unwrap());
            if issued.is_some() && issued == config(api.get_opt(PULL_SECRET).await.unwrap()) {
                return;
            }
            // There are two to compare: no single watch tells when they are the same.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(plane.patience, credited).await.expect("the new credential is delivered");
}

/// Waits until it has these ConfigMaps of an application.
pub async fn until_it_has(plane: &Plane, application: &str, contents: &[(&str, &str)]) {
    for (end, value) in contents {
        let name = format!("{application}-{end}");
        let is_so = |there: Option<&ConfigMap>| {
            there.and_then(|it| it.data.as_ref()?.get("a")).is_some_and(|held| held == value)
        };
        let seen = tokio::time::timeout(plane.patience, await_condition(config_maps(plane), &name, is_so)).await;
        seen.unwrap_or_else(|_| panic!("ConfigMap {name} never held {value}")).unwrap();
    }
}

/// Every object that is marked as the plane's is in the inventory of a delivery, and the other way round.
pub async fn must_have_what_inventories_say(plane: &Plane) {
    let harbor = image_harbor::open(&plane.stores).await.unwrap();
    let mut expected = BTreeSet::from([format!("Secret {PULL_SECRET}")]);
    for delivery in plane.api::<Delivery>().list(&ListParams::default()).await.unwrap() {
        let name = delivery.name_any();
        let reference = delivery.status.and_then(|status| status.inventory);
        let reference = reference.unwrap_or_else(|| panic!("Delivery {name} has no inventory"));
        let inventory = Inventory::read(harbor.as_ref(), &reference.digest).await.unwrap();
        assert!(!inventory.objects().is_empty(), "the inventory of Delivery {name} is empty");
        expected.extend(inventory.ids().iter().map(|id| format!("{} {}", id.kind, id.name)));
    }
    assert_eq!(marked(plane).await, expected);
}

/// Nothing is left there.
pub async fn must_have_nothing(plane: &Plane) {
    assert_eq!(marked(plane).await, BTreeSet::new());
}

/// What carries a plane's mark there.
async fn marked(plane: &Plane) -> BTreeSet<String> {
    let marked = ListParams::default().labels(label::PLANE);
    let config_maps = config_maps(plane).list_metadata(&marked).await.unwrap();
    let secrets = secrets(plane).list_metadata(&marked).await.unwrap();
    let config_maps = config_maps.iter().map(|object| format!("ConfigMap {}", object.name_any()));
    config_maps.chain(secrets.iter().map(|object| format!("Secret {}", object.name_any()))).collect()
}

fn config_maps(plane: &Plane) -> Api<ConfigMap> {
    Api::namespaced(plane.client.clone(), &plane.namespace)
}

fn secrets(plane: &Plane) -> Api<Secret> {
    Api::namespaced(plane.client.clone(), &plane.namespace)
}
