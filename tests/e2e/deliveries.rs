//! What is delivered to a cluster: brought, changed, put right, refused, and taken away.

use std::path::PathBuf;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Service};
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    runtime::wait::{await_condition, conditions},
};
use orbit_plane::api::{Delivery, EnvironmentOverlay, EphemeralCluster, condition_type, label, reason};
use serde_json::json;

use crate::{
    audit::Log,
    cluster::with_namespace,
    fleet::{Fleet, config_map, labelled},
    plane::condition,
};

#[tokio::test]
async fn an_overlay_is_brought_to_its_cluster_and_taken_away_again() {
    with_namespace(|client, namespace| async move {
        let fleet = Fleet::of(client, &namespace).await;
        fleet.overlay("web", &[&config_map("one", "1"), &config_map("two", "2")], json!({})).await;
        let delivery = fleet.until_delivered("web").await;
        assert_eq!(delivery.status.unwrap().inventory.unwrap().objects, 2);
        assert_eq!((fleet.value("one").await.as_deref(), fleet.value("two").await.as_deref()), (Some("1"), Some("2")));
        let one = fleet.config_maps().get("one").await.unwrap();
        assert!(labelled(&one, label::DELIVERY) && labelled(&one, label::PLANE));
        let overlay = fleet.plane.until_ready::<EnvironmentOverlay>("web.dev").await;
        let clusters = overlay.status.unwrap().clusters.unwrap();
        assert_eq!((clusters.desired, clusters.applied), (1, 1));

        // What is not wanted any more goes, what is changed changes.
        fleet.overlay("web", &[&config_map("one", "changed"), &config_map("three", "3")], json!({})).await;
        fleet.until_delivered("web").await;
        assert_eq!(fleet.value("one").await.as_deref(), Some("changed"));
        assert_eq!((fleet.value("two").await, fleet.value("three").await.as_deref()), (None, Some("3")));

        fleet.plane.delete::<EnvironmentOverlay>("web.dev").await;
        fleet.plane.until_gone::<Delivery>(&fleet.delivery("web", "here")).await;
        assert_eq!((fleet.value("one").await, fleet.value("three").await), (None, None));
        let one = ["requested", "applied", "healthy"].map(|state| format!("{state} dev here -"));
        let expected = [one.as_slice(), one.as_slice(), &["removed dev here -".to_owned()]].concat();
        assert_eq!(fleet.told("web").await, expected);
        fleet.plane.verify().await;
    })
    .await;
}

/// A Deployment is healthy once its controller has seen it, a moment after it was applied.
#[tokio::test]
async fn what_is_healthy_in_a_moment_is_applied_once() {
    with_namespace(|client, namespace| async move {
        let fleet = Fleet::of(client, &namespace).await;
        let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 0\n  \
                          selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    \
                          spec: {containers: [{name: main, image: registry.example/web}]}\n";
        let log = Log::own();
        fleet.overlay("web", &[deployment, &config_map("web", "1")], json!({})).await;
        fleet.until_delivered("web").await;
        let writes = log.writes(&namespace);
        for object in ["deployments/web", "configmaps/web"] {
            let applied = writes.iter().filter(|write| **write == format!("patch {object}")).count();
            assert_eq!(applied, 1, "{object}: {writes:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_others_change_is_put_right() {
    with_namespace(|client, namespace| async move {
        let fleet = Fleet::of(client, &namespace).await;
        fleet.overlay("web", &[&config_map("one", "1"), &config_map("two", "2")], json!({})).await;
        fleet.until_delivered("web").await;
        let api = fleet.config_maps();
        let corrected = |name: &'static str, value: &'static str| {
            await_condition(api.clone(), name, move |there: Option<&ConfigMap>| {
                there.and_then(|it| it.data.as_ref()?.get("a")).is_some_and(|it| it == value)
            })
        };
        let params = PatchParams { field_manager: Some("somebody".into()), ..PatchParams::default() };
        // What others add is theirs.
        api.patch("one", &params, &Patch::Merge(json!({"data": {"theirs": "x"}}))).await.unwrap();
        api.patch("one", &params, &Patch::Merge(json!({"data": {"a": "drifted"}}))).await.unwrap();
        tokio::time::timeout(fleet.plane.patience, corrected("one", "1")).await.unwrap().unwrap();
        assert_eq!(api.get("one").await.unwrap().data.unwrap()["theirs"], "x");
        api.delete("two", &DeleteParams::default()).await.unwrap();
        tokio::time::timeout(fleet.plane.patience, corrected("two", "2")).await.unwrap().unwrap();
        fleet.plane.until_told_of(&fleet.delivery("web", "here"), "DriftCorrected").await;
    })
    .await;
}

#[tokio::test]
async fn what_others_change_is_reported_where_that_is_asked_for() {
    with_namespace(|client, namespace| async move {
        let fleet = Fleet::of(client, &namespace).await;
        fleet.overlay("web", &[&config_map("one", "1")], json!({"delivery": {"driftPolicy": "Report"}})).await;
        fleet.until_delivered("web").await;
        let params = PatchParams { field_manager: Some("somebody".into()), ..PatchParams::default() };
        fleet.config_maps().patch("one", &params, &Patch::Merge(json!({"data": {"a": "x"}}))).await.unwrap();
        let delivery = fleet
            .plane
            .until(&fleet.delivery("web", "here"), "drifted", |delivery: &Delivery| {
                condition(delivery, condition_type::DRIFTED).is_some()
            })
            .await;
        let message = &condition(&delivery, condition_type::DRIFTED).unwrap().message;
        assert!(message.contains("ConfigMap one") && message.contains("somebody"), "{message}");
        assert_eq!(fleet.value("one").await.as_deref(), Some("x"));
    })
    .await;
}

#[tokio::test]
async fn what_is_somebody_elses_is_left_alone() {
    with_namespace(|client, namespace| async move {
        let fleet = Fleet::of(client, &namespace).await;
        let theirs: ConfigMap =
            serde_json::from_value(json!({"metadata": {"name": "theirs"}, "data": {"a": "theirs"}})).unwrap();
        fleet.config_maps().create(&PostParams::default(), &theirs).await.unwrap();
        fleet.overlay("web", &[&config_map("mine", "1"), &config_map("theirs", "2")], json!({})).await;
        let name = fleet.delivery("web", "here");
        let message = fleet.plane.until_stalled::<Delivery>(&name, reason::NOT_OWNED).await;
        assert!(message.contains("ConfigMap theirs"), "{message}");
        assert_eq!((fleet.value("theirs").await.as_deref(), fleet.value("mine").await), (Some("theirs"), None));

        // Nor do two overlays take an object from each other.
        fleet.overlay("shop", &[&config_map("shared", "1")], json!({})).await;
        fleet.until_delivered("shop").await;
        fleet.overlay("cart", &[&config_map("shared", "2")], json!({})).await;
        let message = fleet.plane.until_stalled::<Delivery>(&fleet.delivery("cart", "here"), reason::NOT_OWNED).await;
        assert!(message.contains(&format!("{namespace}/{}", fleet.delivery("shop", "here"))), "{message}");
        assert_eq!(fleet.value("shared").await.as_deref(), Some("1"));
    })
    .await;
}

#[tokio::test]
async fn an_overlay_may_bring_the_namespace_that_it_goes_to() {
    with_namespace(|client, namespace| async move {
        let fleet = Fleet::of(client.clone(), &namespace).await;
        let target = format!("{namespace}-target");
        let brought = |tier: &str| {
            format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {target}, labels: {{tier: {tier}}}}}\n")
        };
        let more = json!({"targetNamespace": target});
        fleet.overlay("web", &[&brought("one"), &config_map("web", "1")], more.clone()).await;
        let delivery = fleet.until_delivered("web").await;
        assert_eq!(delivery.status.unwrap().inventory.unwrap().objects, 2);
        let namespaces: kube::Api<Namespace> = kube::Api::all(client);
        let there = namespaces.get(&target).await.unwrap();
        assert!(labelled(&there, label::DELIVERY) && there.labels()["tier"] == "one");
        fleet.overlay("web", &[&brought("two"), &config_map("web", "1")], more).await;
        fleet.until_delivered("web").await;
        assert_eq!(namespaces.get(&target).await.unwrap().labels()["tier"], "two");
        // What others have in it would go with it.
        fleet.plane.delete::<EnvironmentOverlay>("web.dev").await;
        fleet.plane.until_gone::<Delivery>(&fleet.delivery("web", "here")).await;
        assert_eq!(namespaces.get(&target).await.unwrap().uid(), there.uid());
        namespaces.delete(&target, &DeleteParams::default()).await.unwrap();
    })
    .await;
}

/// Whether it is found by a look or only when it would be changed: what others have is asked for once in a moment.
#[tokio::test]
async fn what_others_made_a_moment_ago_is_left_alone() {
    with_namespace(|client, namespace| async move {
        let fleet = Fleet::of(client, &namespace).await;
        // The first is looked for by itself, as long as nothing watches what the plane has; the second asks what others have.
        for name in ["first", "second"] {
            fleet.overlay(name, &[&config_map(name, "1")], json!({})).await;
            fleet.until_delivered(name).await;
        }
        let theirs: ConfigMap =
            serde_json::from_value(json!({"metadata": {"name": "theirs"}, "data": {"a": "theirs"}})).unwrap();
        fleet.config_maps().create(&PostParams::default(), &theirs).await.unwrap();
        fleet.overlay("web", &[&config_map("theirs", "2")], json!({})).await;
        let name = fleet.delivery("web", "here");
        let message = fleet.plane.until_stalled::<Delivery>(&name, reason::NOT_OWNED).await;
        assert!(message.contains("ConfigMap theirs"), "{message}");
        assert_eq!(fleet.value("theirs").await.as_deref(), Some("theirs"));
        fleet.config_maps().delete("theirs", &DeleteParams::default()).await.unwrap();
        fleet.until_delivered("web").await;
        assert_eq!(fleet.value("theirs").await.as_deref(), Some("2"));
    })
    .await;
}

#[tokio::test]
async fn what_others_made_since_a_delivery_broke_off_is_left_alone() {
    with_namespace(|client, namespace| async move {
        let fleet = Fleet::of(client.clone(), &namespace).await;
        let service = |port: i32| json!({"metadata": {"name": "later"}, "spec": {"ports": [{"port": port}]}});
        let later = "apiVersion: v1\nkind: Service\nmetadata: {name: later}\nspec: {ports: [{port: 80}]}\n";
        let invalid = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: first}\ndata: {\"no key\": \"\"}\n";
        fleet.overlay("web", &[invalid, later], json!({})).await;
        let name = fleet.delivery("web", "here");
        fleet.plane.until_stalled::<Delivery>(&name, "ObjectInvalid").await;
        let services: kube::Api<Service> = kube::Api::namespaced(client, &namespace);
        services.create(&PostParams::default(), &serde_json::from_value(service(81)).unwrap()).await.unwrap();
        fleet.overlay("web", &[&config_map("first", "1"), later], json!({})).await;
        let message = fleet.plane.until_stalled::<Delivery>(&name, reason::NOT_OWNED).await;
        assert!(message.contains("Service later"), "{message}");
        assert_eq!(services.get("later").await.unwrap().spec.unwrap().ports.unwrap()[0].port, 81);
    })
    .await;
}

#[tokio::test]
async fn a_restart_applies_nothing_and_finds_what_changed_meanwhile() {
    with_namespace(|client, namespace| async move {
        let mut fleet = Fleet::of(client, &namespace).await;
        fleet.overlay("web", &[&config_map("one", "1"), &config_map("two", "2")], json!({})).await;
        fleet.until_delivered("web").await;
        let version = |it: ConfigMap| it.resource_version();
        let before = version(fleet.config_maps().get("one").await.unwrap());
        fleet.stop().await;
        fleet.config_maps().delete("two", &DeleteParams::default()).await.unwrap();
        fleet.start().await;
        let back = await_condition(fleet.config_maps(), "two", |it: Option<&ConfigMap>| it.is_some());
        tokio::time::timeout(fleet.plane.patience, back).await.unwrap().unwrap();
        assert_eq!(version(fleet.config_maps().get("one").await.unwrap()), before);
        assert_eq!(fleet.told("web").await.len(), 3, "nothing new is told");
    })
    .await;
}

#[tokio::test]
async fn a_delivery_of_an_orphaning_overlay_leaves_what_it_brought() {
    with_namespace(|client, namespace| async move {
        let fleet = Fleet::of(client, &namespace).await;
        fleet.overlay("web", &[&config_map("one", "1")], json!({"deletionPolicy": "Orphan"})).await;
        fleet.until_delivered("web").await;
        fleet.plane.delete::<EnvironmentOverlay>("web.dev").await;
        fleet.plane.until_gone::<Delivery>(&fleet.delivery("web", "here")).await;
        assert_eq!(fleet.value("one").await.as_deref(), Some("1"));
        assert_eq!(fleet.told("web").await.last().map(String::as_str), Some("removed dev here -"));
    })
    .await;
}

/// All bytes of all files in a folder.
fn stored_in(folder: PathBuf) -> Vec<u8> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { stored_in(path) } else { std::fs::read(path).unwrap() }).collect()
}

#[tokio::test]
async fn a_variable_that_a_cluster_lacks_is_named() {
    with_namespace(|client, namespace| async move {
        let fleet = Fleet::of(client, &namespace).await;
        fleet.overlay("web", &[&config_map("one", "${orbit:REGION}")], json!({})).await;
        let delivery = fleet.delivery("web", "here");
        let message = fleet.plane.until_reason::<Delivery>(&delivery, reason::VARIABLE_UNKNOWN).await;
        assert!(message.contains("ConfigMap one") && message.contains("REGION"), "{message}");
        fleet.plane.patch::<EphemeralCluster>("here", json!({"spec": {"variables": {"REGION": "eu"}}})).await;
        fleet.until_delivered("web").await;
        assert_eq!(fleet.value("one").await.as_deref(), Some("eu"));
    })
    .await;
}

#[tokio::test]
async fn secrets_are_copied_along_and_variables_filled_in() {
    with_namespace(|client, namespace| async move {
        let fleet = Fleet::of(client, &namespace).await;
        let target = format!("{namespace}-target");
        fleet.kubeconfig("web-db", "hunter2").await;
        let more = json!({"targetNamespace": target, "delivery": {"secrets": [{"name": "web-db"}]}});
        fleet.overlay("web", &[&config_map("one", "${orbit:REGION:=nowhere}")], more).await;
        fleet.until_delivered("web").await;
        let secrets: kube::Api<k8s_openapi::api::core::v1::Secret> =
            kube::Api::namespaced(fleet.plane.client.clone(), &target);
        let value =
            |it: Option<&k8s_openapi::api::core::v1::Secret>| it.and_then(|it| it.data.as_ref()?.get("value").cloned());
        assert_eq!(value(secrets.get_opt("web-db").await.unwrap().as_ref()).unwrap().0, b"hunter2");
        // A new password follows.
        fleet.kubeconfig("web-db", "hunter3").await;
        let follows = await_condition(secrets.clone(), "web-db", |it: Option<&k8s_openapi::api::core::v1::Secret>| {
            it.and_then(|it| it.data.as_ref()?.get("value")).is_some_and(|it| it.0 == b"hunter3")
        });
        tokio::time::timeout(fleet.plane.patience, follows).await.unwrap().unwrap();
        let maps: kube::Api<ConfigMap> = kube::Api::namespaced(fleet.plane.client.clone(), &target);
        assert_eq!(maps.get("one").await.unwrap().data.unwrap()["a"], "nowhere");
        for region in ["eu", "us"] {
            let variables = json!({"spec": {"variables": {"REGION": region}}});
            fleet.plane.patch::<EphemeralCluster>("here", variables).await;
            let is_there = move |it: Option<&ConfigMap>| {
                it.and_then(|it| it.data.as_ref()?.get("a")).is_some_and(|value| value == region)
            };
            let differs = await_condition(maps.clone(), "one", is_there);
            tokio::time::timeout(fleet.plane.patience, differs).await.unwrap().unwrap();
        }
        // Neither journal nor Harbor has a Secret, as it is or as the API has it.
        let stored = stored_in(fleet.plane.stores.data_dir());
        for secret in ["hunter2", "hunter3", "aHVudGVyMg", "aHVudGVyMw"] {
            assert!(!stored.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} is stored");
        }
        fleet.plane.delete::<EnvironmentOverlay>("web.dev").await;
        fleet.plane.until_gone::<Delivery>(&fleet.delivery("web", "here")).await;
        let uid = String::new();
        let gone = await_condition(secrets.clone(), "web-db", conditions::is_deleted(&uid));
        tokio::time::timeout(fleet.plane.patience, gone).await.unwrap().unwrap();
    })
    .await;
}
