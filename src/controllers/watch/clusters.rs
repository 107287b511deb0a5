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
    controllers::{context::Context, places::Who},
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
        let delivery = still_there(&store, &who);
        if delivery.is_none() {
            context.places.forget(&who.uid);
        }
        future::ready(delivery)
    })
}

/// The delivery that was called, unless it is gone or another one has its name.
fn still_there(store: &Store<Guarded<Delivery>>, who: &Who) -> Option<ObjectRef<Guarded<Delivery>>> {
    let delivery = ObjectRef::new(&who.name).within(&who.namespace);
    store.get(&delivery).is_some_and(|found| found.uid().as_ref() == Some(&who.uid)).then_some(delivery)
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
pub const CLUSTERS_GATHERED_FOR: Duration = Duration::from_secs(3);

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
mod tests;
