//! What wakes whom across clusters, deliveries and overlays.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use futures::{Stream, StreamExt, TryStreamExt, future, stream};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt, predicates,
        reflector::{self, ObjectRef, Store},
        watcher::{self, watcher},
    },
};
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::{
    Guarded, everything,
    told::{Bell, Ringer, Told},
    within,
};
use crate::{
    api::{Delivery, DeliveryMode, EnvironmentOverlay, EphemeralCluster, delivery_ends, overlay_name},
    controllers::context::Context,
};

/// Changes of clusters that make a difference to what is delivered there: not each count and heartbeat.
pub fn significant(
    changes: impl Stream<Item = Told<Guarded<EphemeralCluster>>> + Send,
) -> impl Stream<Item = Told<Guarded<EphemeralCluster>>> + Send {
    let mut known = HashMap::new();
    changes.filter(move |told| {
        let uid = told.object.uid().unwrap_or_default();
        let is_news = match told.gone {
            true => {
                known.remove(&uid);
                true
            }
            false => {
                let now = significance(&told.object);
                known.insert(uid, now) != Some(now)
            }
        };
        future::ready(is_news)
    })
}

/// A number that changes with what makes a difference.
fn significance(object: &Guarded<EphemeralCluster>) -> u64 {
    let mut hasher = DefaultHasher::new();
    object.meta().generation.hash(&mut hasher);
    object.labels().hash(&mut hasher);
    object.meta().deletion_timestamp.is_some().hash(&mut hasher);
    if let Ok(cluster) = &object.0
        && let Some(status) = &cluster.status
    {
        status.cluster_uid.hash(&mut hasher);
        for condition in &status.conditions {
            (&condition.type_, &condition.reason, format!("{:?}", condition.status)).hash(&mut hasher);
        }
    }
    hasher.finish()
}

/// Deliveries of which their overlay has something to count: not those that were just made, which was mostly its own doing.
/// Whoever else made one, its first status wakes the overlay.
pub fn worth_counting(
    changes: impl Stream<Item = Told<Guarded<Delivery>>> + Send,
) -> impl Stream<Item = Told<Guarded<Delivery>>> + Send {
    changes.filter(|told| {
        let is_new = told.object.0.as_ref().is_ok_and(|it| it.status.is_none() && it.metadata.generation == Some(1));
        let stays = !told.gone && told.object.meta().deletion_timestamp.is_none();
        future::ready(!(is_new && stays))
    })
}

/// Overlays that others are to apply, as they come and change: their pods pull with the credentials of clusters.
pub fn left_to_others(
    changes: impl Stream<Item = Told<Guarded<EnvironmentOverlay>>> + Send,
) -> impl Stream<Item = Told<Guarded<EnvironmentOverlay>>> + Send {
    let mut known = HashMap::new();
    changes.filter(move |told| {
        let uid = told.object.uid().unwrap_or_default();
        let is_left =
            told.object.0.as_ref().is_ok_and(|overlay| overlay.spec.delivery.mode == DeliveryMode::None) && !told.gone;
        let is_news = match is_left {
            true => known.insert(uid, told.object.meta().generation) != Some(told.object.meta().generation),
            false => {
                known.remove(&uid);
                false
            }
        };
        future::ready(is_news)
    })
}

/// Deliveries whose objects have changed in their clusters.
pub fn observed(context: Arc<Context>) -> impl Stream<Item = ObjectRef<Guarded<Delivery>>> + Send {
    stream::unfold(context, |context| async move {
        let delivery = context.fleet.woken().await?;
        Some((ObjectRef::new(&delivery.name).within(&delivery.namespace), context))
    })
}

/// Deliveries for which a place at their cluster is kept. For those that went meanwhile none is.
pub fn called(
    context: Arc<Context>,
    store: Store<Guarded<Delivery>>,
) -> impl Stream<Item = ObjectRef<Guarded<Delivery>>> + Send {
    let called = UnboundedReceiverStream::new(context.places.called());
    called.filter_map(move |who| {
        let delivery = ObjectRef::new(&who.name).within(&who.namespace);
        let is_there = store.get(&delivery).is_some_and(|found| found.uid().as_ref() == Some(&who.uid));
        if !is_there {
            context.places.forget(&who.uid);
        }
        future::ready(is_there.then_some(delivery))
    })
}

/// Watches Secrets, by their metadata, and tells of those that come, change and go: kubeconfigs, and what is copied to
/// clusters. It is one watch for all who want to know, and waits for none of them.
pub async fn watch_secrets(client: Client, namespace: Option<&str>, told: Vec<Bell<PartialObjectMeta<Secret>>>) {
    let api: Api<PartialObjectMeta<Secret>> = match namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let (store, writer) = reflector::store();
    let mut ringer = Ringer::new(told, store);
    let events = watcher(api, watcher::Config::default()).default_backoff().modify(|secret| {
        secret.metadata.managed_fields = None;
        secret.metadata.annotations = None;
    });
    let mut events = pin!(events.reflect(writer));
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => drop(ringer.hear(&event)),
            Err(error) => tracing::warn!(%error, "watching Secrets"),
        }
    }
}

/// The metadata of namespaces whose labels change: by them clusters choose whose overlays they take. `also_told` hears of
/// the same. A plane of one namespace has no use for them.
pub fn namespaces(
    context: &Context,
    also_told: Bell<PartialObjectMeta<Namespace>>,
) -> impl Stream<Item = Result<PartialObjectMeta<Namespace>, watcher::Error>> + Send + use<> {
    if context.installation.namespace.is_some() {
        return stream::pending().left_stream();
    }
    let api: Api<PartialObjectMeta<Namespace>> = Api::all(context.client.clone());
    let (writer, listed) = context.caches.namespaces.filler();
    watcher(api, watcher::Config::default())
        .default_backoff()
        .modify(|namespace| namespace.metadata.managed_fields = None)
        .reflect(writer)
        .inspect_ok(move |event| listed.hear(event))
        .touched_objects()
        .predicate_filter(predicates::labels, Default::default())
        .inspect_ok(move |namespace| {
            // Nobody listens while the plane shuts down.
            let _ = also_told.send(Told { object: Arc::new(namespace.clone()), gone: false });
        })
        .right_stream()
}

/// The overlays to which the labels of a namespace make a difference: its own. Where it has clusters, all: the label
/// `orbit.k8or.io/fleet` says whether those take what is others'.
pub fn overlays_about(
    overlays: &Store<Guarded<EnvironmentOverlay>>,
    clusters: &Store<Guarded<EphemeralCluster>>,
    namespace: &PartialObjectMeta<Namespace>,
) -> Vec<ObjectRef<Guarded<EnvironmentOverlay>>> {
    let name = namespace.name_any();
    match within(clusters, &name).is_empty() {
        true => within(overlays, &name),
        false => everything(overlays),
    }
}

/// The deliveries to which the labels of a namespace make a difference: its own, and those to its clusters.
pub fn deliveries_about(
    store: &Store<Guarded<Delivery>>,
    namespace: &PartialObjectMeta<Namespace>,
) -> Vec<ObjectRef<Guarded<Delivery>>> {
    let name = namespace.name_any();
    let goes_there = |delivery: &Delivery| delivery.spec.cluster.namespace == name;
    chosen(store, |delivery| delivery.namespace().as_ref() == Some(&name) || may(delivery, goes_there))
}

/// The overlay that a delivery is of; one that cannot be read, by its name.
pub fn overlay_of(delivery: &Guarded<Delivery>) -> Option<ObjectRef<Guarded<EnvironmentOverlay>>> {
    let name = match &delivery.0 {
        Ok(readable) => overlay_name(&readable.spec.application, &readable.spec.environment),
        Err(_) => delivery_ends(&delivery.name_any())?.0,
    };
    Some(ObjectRef::new(&name).within(&delivery.namespace()?))
}

/// How long it is gathered which overlays are to be woken.
pub const OVERLAYS_GATHERED_FOR: Duration = Duration::from_millis(100);
/// The same of clusters, each of which looks at its connection with every wake-up.
pub const CLUSTERS_GATHERED_FOR: Duration = Duration::from_secs(1);

/// The same, but each once in a moment: deliveries change in crowds and in quick steps, and overlays and clusters only
/// count them. Nobody is woken later for being woken again, as by a debounce: a cluster's heartbeat must not wait.
pub fn gathered<K>(
    woken: impl Stream<Item = ObjectRef<K>> + Send,
    within: Duration,
) -> impl Stream<Item = ObjectRef<K>> + Send
where
    K: Resource<DynamicType = ()> + Send,
{
    let crowds = tokio_stream::StreamExt::chunks_timeout(woken, 1024, within);
    crowds.flat_map(|crowd| stream::iter(crowd.into_iter().collect::<HashSet<_>>()))
}

/// The cluster that a delivery goes to; one that cannot be read, by its name.
pub fn cluster_of(delivery: &Guarded<Delivery>) -> Option<ObjectRef<Guarded<EphemeralCluster>>> {
    let (namespace, name) = match &delivery.0 {
        Ok(readable) => (readable.spec.cluster.namespace.clone(), readable.spec.cluster.name.clone()),
        Err(_) => delivery_ends(&delivery.name_any())?.1,
    };
    Some(ObjectRef::new(&name).within(&namespace))
}

/// The deliveries that go to a cluster.
pub fn deliveries_to(
    store: &Store<Guarded<Delivery>>,
    cluster: &Guarded<EphemeralCluster>,
) -> Vec<ObjectRef<Guarded<Delivery>>> {
    let (namespace, name) = (cluster.namespace().unwrap_or_default(), cluster.name_any());
    let goes_there =
        |delivery: &Delivery| delivery.spec.cluster.namespace == namespace && delivery.spec.cluster.name == name;
    chosen(store, |delivery| may(delivery, goes_there))
}

/// The deliveries that a Secret is copied by.
pub fn delivering(
    store: &Store<Guarded<Delivery>>,
    secret: &PartialObjectMeta<Secret>,
) -> Vec<ObjectRef<Guarded<Delivery>>> {
    let (namespace, name) = (secret.namespace(), secret.name_any());
    let is_copied = |delivery: &Delivery| delivery.spec.secrets.iter().any(|secret| secret.name == name);
    chosen(store, |delivery| delivery.namespace() == namespace && may(delivery, is_copied))
}

/// The clusters whose kubeconfig a Secret holds.
pub fn reached_with(
    store: &Store<Guarded<EphemeralCluster>>,
    secret: &PartialObjectMeta<Secret>,
) -> Vec<ObjectRef<Guarded<EphemeralCluster>>> {
    let (namespace, name) = (secret.namespace(), secret.name_any());
    let state = store.state();
    let reached = state.iter().filter(|object| {
        object.namespace() == namespace
            && object.0.as_ref().is_ok_and(|cluster| cluster.spec.connection.kube_config.secret_ref.name == name)
    });
    reached.map(|object| ObjectRef::from_obj(object.as_ref())).collect()
}

fn chosen(
    store: &Store<Guarded<Delivery>>,
    is_chosen: impl Fn(&Guarded<Delivery>) -> bool,
) -> Vec<ObjectRef<Guarded<Delivery>>> {
    let state = store.state();
    let chosen = state.iter().filter(|object| is_chosen(object));
    chosen.map(|object| ObjectRef::from_obj(object.as_ref())).collect()
}

/// Whether this is so of a delivery, or may be: of one that cannot be read nobody knows.
fn may(delivery: &Guarded<Delivery>, is_so: impl Fn(&Delivery) -> bool) -> bool {
    delivery.0.as_ref().ok().is_none_or(is_so)
}

#[cfg(test)]
mod tests {
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
}
