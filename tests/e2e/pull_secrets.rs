//! What pods pull with where others than the plane apply overlays (`delivery.mode: None`).

use std::time::Duration;

use k8s_openapi::{
    ByteString,
    api::core::v1::{Namespace, Secret},
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
    runtime::wait::await_condition,
};
use orbit_plane::api::{
    ConditionStatus, Delivery, EnvironmentOverlay, EphemeralCluster, PULL_SECRET, annotation, condition_type,
};
use serde_json::json;

use crate::{
    cluster::with_namespace,
    fleet::{Fleet, config_map, own_kubeconfig},
    plane::condition,
};

/// The credential of the cluster `here`, beside its object.
const ISSUED: &str = "here-orbit-pull";

#[tokio::test]
async fn clusters_are_given_what_pods_pull_with_also_where_others_apply() {
    with_namespace(|client, namespace| async move {
        let fleet = Fleet::of(client.clone(), &namespace).await;
        let secrets: Api<Secret> = Api::namespaced(client, &namespace);
        let issued = secrets.get(ISSUED).await.unwrap();
        let left_to_others = json!({"delivery": {"mode": "None", "secrets": [{"name": "db"}]}});
        fleet.overlay("web", &[&config_map("one", "1")], left_to_others).await;
        until_pulled_with(&fleet, &secrets, &issued).await;
        let published = fleet.plane.until_ready::<EnvironmentOverlay>("web.dev").await;
        let ready = condition(&published, condition_type::READY).unwrap();
        assert!(ready.message.contains("delivery.secrets (db) are not copied"), "{ready:?}");
        let deliveries = fleet.plane.api::<Delivery>().list(&ListParams::default()).await.unwrap().items;
        assert!(deliveries.is_empty() && fleet.value("one").await.is_none(), "nothing else comes: {deliveries:?}");

        // What the plane delivers to the same namespace does not take it away when it ends.
        let there = secrets.get(PULL_SECRET).await.unwrap();
        fleet.overlay("cart", &[&config_map("two", "2")], json!({})).await;
        fleet.until_delivered("cart").await;
        fleet.plane.delete::<EnvironmentOverlay>("cart.dev").await;
        fleet.plane.until_gone::<Delivery>(&fleet.delivery("cart", "here")).await;
        assert_eq!(secrets.get(PULL_SECRET).await.unwrap().uid(), there.uid());

        // The next credential follows.
        secrets.delete(ISSUED, &DeleteParams::default()).await.unwrap();
        until_pulled_with(&fleet, &secrets, &until_another(&fleet, &secrets, &issued).await).await;
    })
    .await;
}

#[tokio::test]
async fn another_credential_changes_nothing_but_the_pull_secret() {
    with_namespace(|client, namespace| async move {
        let mut fleet = Fleet::of(client.clone(), &namespace).await;
        let secrets: Api<Secret> = Api::namespaced(client, &namespace);
        fleet.overlay("web", &[&config_map("one", "1")], json!({})).await;
        let delivery = fleet.until_delivered("web").await;
        let issued = secrets.get(ISSUED).await.unwrap();
        until_pulled_with(&fleet, &secrets, &issued).await;
        let object = fleet.config_maps().get("one").await.unwrap();
        let known = credential_id(&fleet.plane.until_ready::<EphemeralCluster>("here").await);
        let writes = fleet.plane.writes().await;

        secrets.delete(ISSUED, &DeleteParams::default()).await.unwrap();
        until_pulled_with(&fleet, &secrets, &until_another(&fleet, &secrets, &issued).await).await;
        // That is said once all is done.
        let is_another = |cluster: &EphemeralCluster| credential_id(cluster).is_some_and(|id| Some(id) != known);
        fleet.plane.until("here", "one with another credential", is_another).await;
        let after = fleet.plane.writes().await;
        let more = |what: &str| after.get(what).copied().unwrap_or(0) - writes.get(what).copied().unwrap_or(0);
        assert_eq!(more("apply to cluster"), 1, "the Secret: {writes:?}, then {after:?}");
        let untouched = fleet.config_maps().get("one").await.unwrap();
        assert_eq!(untouched.resource_version(), object.resource_version());

        // Nor has anything to be done there when the delivery is looked at next.
        fleet.stop().await;
        fleet.start().await;
        fleet.plane.until_reconciled("Delivery").await;
        let looked_at = fleet.until_delivered("web").await;
        assert_eq!(looked_at.resource_version(), delivery.resource_version());
        assert_eq!(fleet.plane.writes().await.get("apply to cluster").copied().unwrap_or(0), 0);
    })
    .await;
}

#[tokio::test]
async fn a_delivery_that_moves_takes_the_pull_secret_along_as_the_last_one() {
    with_namespace(|client, namespace| async move {
        let fleet = Fleet::of(client.clone(), &namespace).await;
        let [from, to] = ["from", "to"].map(|end| format!("{namespace}-{end}"));
        for name in [&from, &to] {
            fleet.lend::<Namespace>(json!({"metadata": {"name": name}})).await;
        }
        let secrets = |namespace: &str| Api::<Secret>::namespaced(client.clone(), namespace);
        for (application, name) in [("web", "one"), ("cart", "two")] {
            fleet.overlay(application, &[&config_map(name, "1")], json!({"targetNamespace": from})).await;
            fleet.until_delivered(application).await;
        }
        let shared = secrets(&from).get(PULL_SECRET).await.unwrap();
        fleet.overlay("web", &[&config_map("one", "1")], json!({"targetNamespace": to})).await;
        until_moved(&fleet, "web", &secrets(&to), &to).await;
        assert_eq!(secrets(&from).get(PULL_SECRET).await.unwrap().uid(), shared.uid(), "the other one pulls there");
        fleet.overlay("cart", &[&config_map("two", "1")], json!({"targetNamespace": to})).await;
        until_moved(&fleet, "cart", &secrets(&to), &to).await;
        assert!(secrets(&from).get_opt(PULL_SECRET).await.unwrap().is_none(), "nobody pulls there any more");
    })
    .await;
}

/// Waits until the delivery of an application is healthy in a namespace, and pods can pull there.
async fn until_moved(fleet: &Fleet, application: &str, secrets: &Api<Secret>, to: &str) {
    let name = fleet.delivery(application, "here");
    fleet
        .plane
        .until(&name, "there", |delivery: &Delivery| {
            delivery.spec.target_namespace == to
                && condition(delivery, condition_type::READY).is_some_and(|c| c.status == ConditionStatus::True)
        })
        .await;
    assert!(secrets.get_opt(PULL_SECRET).await.unwrap().is_some());
}

#[tokio::test]
async fn a_pull_secret_of_somebody_else_is_left_alone_and_told_of() {
    with_namespace(|client, namespace| async move {
        let fleet = Fleet::of(client.clone(), &namespace).await;
        let secrets: Api<Secret> = Api::namespaced(client, &namespace);
        let theirs: Secret =
            serde_json::from_value(json!({"metadata": {"name": PULL_SECRET}, "stringData": {"a": "theirs"}})).unwrap();
        let theirs = secrets.create(&PostParams::default(), &theirs).await.unwrap();
        fleet.overlay("web", &[&config_map("one", "1")], json!({"delivery": {"mode": "None"}})).await;
        let cluster = fleet
            .plane
            .until("here", "one that tells of it", |cluster: &EphemeralCluster| {
                let ready = condition(cluster, condition_type::READY);
                ready.is_some_and(|ready| ready.message.contains(&format!("Secret {PULL_SECRET}")))
            })
            .await;
        assert_eq!(condition(&cluster, condition_type::READY).unwrap().status, ConditionStatus::True);
        assert_eq!(secrets.get(PULL_SECRET).await.unwrap().resource_version(), theirs.resource_version());
    })
    .await;
}

fn credential_id(cluster: &EphemeralCluster) -> Option<String> {
    Some(cluster.status.as_ref()?.credential.as_ref()?.id.clone())
}

/// Waits until another credential is issued in place of one that was deleted.
async fn until_another(fleet: &Fleet, secrets: &Api<Secret>, before: &Secret) -> Secret {
    let uid = before.uid();
    let another =
        await_condition(secrets.clone(), ISSUED, move |it: Option<&Secret>| it.is_some_and(|it| it.uid() != uid));
    let another = tokio::time::timeout(fleet.plane.patience, another).await.expect("another is issued").unwrap();
    another.expect("it is there")
}

/// Waits until pods of the namespace pull with what was issued.
async fn until_pulled_with(fleet: &Fleet, secrets: &Api<Secret>, issued: &Secret) {
    let expected = config(issued).expect("a credential has it").clone();
    let given = await_condition(secrets.clone(), PULL_SECRET, move |it: Option<&Secret>| {
        it.and_then(config).is_some_and(|there| *there == expected)
    });
    tokio::time::timeout(fleet.plane.patience, given).await.expect("the cluster is given it").unwrap();
}

fn config(secret: &Secret) -> Option<&ByteString> {
    secret.data.as_ref()?.get(".dockerconfigjson")
}

#[tokio::test]
async fn a_cluster_that_is_known_twice_has_one_pull_secret_in_a_namespace() {
    with_namespace(|client, namespace| async move {
        let fleet = Fleet::of(client.clone(), &namespace).await;
        let secrets: Api<Secret> = Api::namespaced(client, &namespace);
        let issued = secrets.get(ISSUED).await.unwrap();
        fleet.overlay("web", &[&config_map("one", "1")], json!({})).await;
        fleet.until_delivered("web").await;
        until_pulled_with(&fleet, &secrets, &issued).await;
        let there = secrets.get(PULL_SECRET).await.unwrap();

        let plane = &fleet.plane;
        plane.join("too", "test", &own_kubeconfig(), json!({})).await;
        let too = plane.until_ready::<EphemeralCluster>("too").await;
        let ready = condition(&too, condition_type::READY).unwrap();
        assert!(ready.message.contains("known as here"), "{ready:?}");
        let manifests = json!({"manifests": [config_map("two", "2")]});
        let spec = json!({"application": "cart", "environment": "test", "base": manifests});
        plane.apply::<EnvironmentOverlay>("cart.test", spec.clone()).await;
        plane.until_delivered("cart.test", "too").await;
        assert_eq!(config(&secrets.get(PULL_SECRET).await.unwrap()), config(&issued));

        // Whichever goes first, what the other pulls with stays.
        plane.delete::<EnvironmentOverlay>("cart.test").await;
        plane.until_gone::<Delivery>(&plane.delivery("cart.test", "too")).await;
        let left = secrets.get(PULL_SECRET).await.unwrap();
        assert_eq!((left.uid(), left.data), (there.uid(), there.data));

        // Somebody who has taken it away by mistake has it back.
        secrets.delete(PULL_SECRET, &DeleteParams::default()).await.unwrap();
        let now = json!({"metadata": {"annotations": {annotation::REQUESTED_AT: "now"}}});
        plane.patch::<EphemeralCluster>("here", now).await;
        let back = until_pulled_with(&fleet, &secrets, &issued);
        tokio::time::timeout(Duration::from_secs(60), back).await.expect("it is back long before it is looked for");

        // Nobody pulls with what opens nothing any more.
        plane.apply::<EnvironmentOverlay>("cart.test", spec).await;
        plane.until_delivered("cart.test", "too").await;
        let past = json!({"spec": {"expiresAt": "2020-01-01T00:00:00Z"}});
        plane.patch::<EphemeralCluster>("here", past).await;
        plane.until_gone::<Delivery>(&fleet.delivery("web", "here")).await;
        plane
            .patch::<EphemeralCluster>("too", json!({"metadata": {"annotations": {annotation::REQUESTED_AT: "now"}}}))
            .await;
        until_pulled_with(&fleet, &secrets, &secrets.get("too-orbit-pull").await.unwrap()).await;
    })
    .await;
}
