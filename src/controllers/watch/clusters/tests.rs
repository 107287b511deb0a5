use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use serde_json::json;

use super::*;
use crate::controllers::{reconcile::Reconcile, watch::told};

fn cluster(status: serde_json::Value) -> Guarded<EphemeralCluster> {
    let object = json!({
        "apiVersion": "orbit.k8or.io/v1alpha1", "kind": "EphemeralCluster",
        "metadata": {"name": "eu-1", "namespace": "fleet", "generation": 1, "uid": "u"},
        "spec": {"connection": {"kubeConfig": {"secretRef": {"name": "eu-1"}}}},
        "status": status,
    });
    serde_json::from_value(object).unwrap()
}

#[test]
fn a_count_makes_no_difference_and_an_identity_does() {
    let reachable = |status: &str| json!([{"type": "Reachable", "status": status, "reason": "R", "message": "", "lastTransitionTime": "2026-01-02T00:00:00Z"}]);
    let base = significance(&cluster(json!({"clusterUID": "u", "conditions": reachable("True")})));
    let counted = json!({"clusterUID": "u", "deliveries": {"desired": 1, "applied": 1, "healthy": 0}, "conditions": reachable("True")});
    assert_eq!(significance(&cluster(counted)), base);
    let credential = json!({"id": "1", "secretName": "eu-1-orbit-pull", "issuedAt": "2026-01-02T00:00:00Z"});
    let credited = json!({"clusterUID": "u", "credential": credential, "conditions": reachable("True")});
    assert_eq!(significance(&cluster(credited)), base, "no delivery is applied again for it");
    assert_ne!(significance(&cluster(json!({"clusterUID": "v", "conditions": reachable("True")}))), base);
    assert_ne!(significance(&cluster(json!({"clusterUID": "u", "conditions": reachable("False")}))), base);
}

#[tokio::test]
async fn what_makes_no_difference_is_not_told_and_what_is_gone_is_forgotten() {
    let told = |status, gone| Told { object: Arc::new(cluster(status)), gone };
    let changes = stream::iter([
        told(json!({"clusterUID": "u"}), false),
        told(json!({"clusterUID": "u", "deliveries": {"desired": 1, "applied": 1, "healthy": 0}}), false),
        told(json!({"clusterUID": "u"}), true),
        told(json!({"clusterUID": "u"}), false),
    ]);
    let news: Vec<_> = significant(changes).map(|told| told.gone).collect().await;
    assert_eq!(news, [false, true, false]);
}

#[tokio::test]
async fn an_overlay_is_not_woken_by_what_it_has_just_made() {
    let told = |metadata: serde_json::Value, status: serde_json::Value, gone: bool| {
        let mut object = json!({
            "apiVersion": "orbit.k8or.io/v1alpha1", "kind": "Delivery",
            "metadata": {"name": "web.prod.fleet.eu-1", "namespace": "shop", "generation": 1},
            "spec": {
                "application": "web", "environment": "prod", "targetNamespace": "shop",
                "cluster": {"namespace": "fleet", "name": "eu-1", "uid": "u"},
                "artifact": crate::digest::Digest::of("a"), "driftPolicy": "Correct", "onFailure": "Hold",
                "timeout": "10m", "deletionPolicy": "Prune",
            },
            "status": status,
        });
        object["metadata"].as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
        let object: Guarded<Delivery> = serde_json::from_value(object).unwrap();
        assert!(object.0.is_ok());
        Told { object: Arc::new(object), gone }
    };
    for (change, wakes) in [
        (told(json!({}), json!(null), false), false),
        (told(json!({}), json!({}), false), true),
        (told(json!({"generation": 2}), json!(null), false), true),
        (told(json!({"deletionTimestamp": "2026-01-02T00:00:00Z"}), json!(null), false), true),
        (told(json!({}), json!(null), true), true),
    ] {
        let shown = format!("{change:?}");
        assert_eq!(worth_counting(stream::iter([change])).count().await, usize::from(wakes), "{shown}");
    }
}

#[test]
fn labels_of_a_namespace_with_clusters_may_matter_to_all() {
    fn store_of<K: Reconcile>(objects: &[(&str, &str)], spec: &serde_json::Value) -> Store<Guarded<K>> {
        let (store, mut writer) = reflector::store();
        for (namespace, name) in objects {
            let object = json!({
                "apiVersion": "orbit.k8or.io/v1alpha1", "kind": K::KIND,
                "metadata": {"name": name, "namespace": namespace}, "spec": spec,
            });
            writer.apply_watcher_event(&watcher::Event::Apply(serde_json::from_value(object).unwrap()));
        }
        store
    }
    let spec = json!({"connection": {"kubeConfig": {"secretRef": {"name": "eu-1"}}}});
    let clusters = store_of::<EphemeralCluster>(&[("fleet", "eu-1")], &spec);
    let spec = json!({"application": "web", "environment": "prod"});
    let overlays = store_of::<EnvironmentOverlay>(&[("shop", "web.prod"), ("blog", "web.prod")], &spec);
    let about = |namespace: &str| -> Vec<_> {
        let namespace = serde_json::from_value(json!({"metadata": {"name": namespace}})).unwrap();
        let mut all: Vec<_> = overlays_about(&overlays, &clusters, &namespace)
            .into_iter()
            .map(|overlay| overlay.namespace.unwrap())
            .collect();
        all.sort();
        all
    };
    assert_eq!(about("shop"), ["shop"]);
    assert_eq!(about("fleet"), ["blog", "shop"]);
}

#[test]
fn no_place_is_kept_for_a_delivery_that_another_one_took_the_name_of() {
    let (store, mut writer) = reflector::store();
    let delivery = json!({
        "apiVersion": "orbit.k8or.io/v1alpha1", "kind": "Delivery",
        "metadata": {"name": "web.prod.fleet.eu-1", "namespace": "shop", "uid": "later"}, "spec": {},
    });
    writer.apply_watcher_event(&watcher::Event::Apply(serde_json::from_value(delivery).unwrap()));
    let who = |uid: &str, name: &str| Who { uid: uid.into(), namespace: "shop".into(), name: name.into() };
    let there = still_there(&store, &who("later", "web.prod.fleet.eu-1"));
    assert_eq!(there.map(|found| found.name).as_deref(), Some("web.prod.fleet.eu-1"));
    assert_eq!(still_there(&store, &who("earlier", "web.prod.fleet.eu-1")), None);
    assert_eq!(still_there(&store, &who("later", "web.prod.fleet.eu-2")), None);
}

#[test]
fn a_delivery_that_cannot_be_read_may_go_to_any_cluster() {
    let (store, mut writer) = reflector::store();
    let mut add = |name: &str, cluster: serde_json::Value| {
        let object = json!({
            "apiVersion": "orbit.k8or.io/v1alpha1", "kind": "Delivery",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {
                "application": "web", "environment": "prod", "targetNamespace": "shop", "cluster": cluster,
                "artifact": crate::digest::Digest::of("a"), "driftPolicy": "Correct", "onFailure": "Hold",
                "timeout": "10m", "deletionPolicy": "Prune", "secrets": [{"name": "db"}],
            },
        });
        writer.apply_watcher_event(&watcher::Event::Apply(serde_json::from_value(object).unwrap()));
    };
    add("here", json!({"namespace": "fleet", "name": "eu-1", "uid": "u"}));
    add("elsewhere", json!({"namespace": "fleet", "name": "eu-2", "uid": "u"}));
    add("odd", json!(["eu-1"]));
    let names = |chosen: Vec<ObjectRef<Guarded<Delivery>>>| -> Vec<_> {
        let mut names: Vec<_> = chosen.into_iter().map(|delivery| delivery.name).collect();
        names.sort();
        names
    };
    assert_eq!(names(deliveries_to(&store, &cluster(json!({})))), ["here", "odd"]);
    let secret = |namespace: &str| -> PartialObjectMeta<Secret> {
        serde_json::from_value(json!({"metadata": {"name": "db", "namespace": namespace}})).unwrap()
    };
    assert_eq!(names(delivering(&store, &secret("shop"))), ["elsewhere", "here", "odd"]);
    assert!(names(delivering(&store, &secret("blog"))).is_empty());
    add("web.prod.fleet.eu-1", json!(["eu-1"]));
    let odd = store.get(&ObjectRef::new("web.prod.fleet.eu-1").within("shop")).unwrap();
    assert_eq!(overlay_of(&odd), Some(ObjectRef::new("web.prod").within("shop")), "its name says so");
    assert_eq!(cluster_of(&odd), Some(ObjectRef::new("eu-1").within("fleet")));
}

#[tokio::test]
async fn one_watch_on_secrets_tells_all_who_want_to_know() {
    use axum::http::{Request, Response};
    use kube::client::Body;

    let lists = Arc::new(AtomicUsize::new(0));
    let listed = lists.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        assert_eq!(request.uri().path(), "/api/v1/namespaces/fleet/secrets");
        let is_watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
        let listed = listed.clone();
        async move {
            if is_watch {
                return future::pending().await;
            }
            listed.fetch_add(1, Ordering::Relaxed);
            let secret = json!({
                "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
                "metadata": {"name": "eu-1", "namespace": "fleet", "uid": "u", "resourceVersion": "7"},
            });
            let list = json!({
                "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList",
                "metadata": {"resourceVersion": "7"}, "items": [secret],
            });
            Ok::<_, std::convert::Infallible>(Response::new(Body::from(list.to_string().into_bytes())))
        }
    });
    let [(one, heard_by_one), (other, heard_by_other)] = told::bells();
    let watching = watch_secrets(Client::new(service, "default"), Some("fleet"), vec![one, other]);
    let (mut heard_by_one, mut heard_by_other) = (heard_by_one, heard_by_other);
    let heard = future::join(heard_by_one.next(), heard_by_other.next());
    tokio::select! {
        () = watching => panic!("a watch has no end"),
        heard = heard => {
            let names = [heard.0, heard.1].map(|told| told.map(|told| told.object.name_any()));
            assert_eq!(names, [Some("eu-1".to_owned()), Some("eu-1".to_owned())]);
        }
    }
    assert_eq!(lists.load(Ordering::Relaxed), 1);
}

#[test]
fn clusters_hear_of_overlays_that_others_apply_once_for_each_change() {
    let told = |mode: &str, generation: i64, gone: bool| {
        let object = json!({
            "apiVersion": "orbit.k8or.io/v1alpha1", "kind": "EnvironmentOverlay",
            "metadata": {"name": "web.prod", "namespace": "shop", "uid": "u", "generation": generation},
            "spec": {"application": "web", "environment": "prod", "delivery": {"mode": mode}},
        });
        Told { object: Arc::new(serde_json::from_value(object).unwrap()), gone }
    };
    let changes = [
        told("Apply", 1, false),
        told("None", 2, false),
        told("None", 2, false),
        told("None", 3, false),
        told("Apply", 4, false),
        told("None", 4, true),
    ];
    let heard = left_to_others(stream::iter(changes)).map(|told| told.object.meta().generation);
    let heard: Vec<_> = heard.collect().now_or_never().unwrap();
    assert_eq!(heard, [Some(2), Some(3)]);
}
