//! What wakes whom across clusters, deliveries and overlays.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use futures::{Stream, StreamExt, TryStreamExt, future, stream};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api, Resource, ResourceExt,
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt,
        reflector::{ObjectRef, Store},
        watcher::{self, watcher},
    },
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::Guarded;
use crate::{
    api::{Delivery, EnvironmentOverlay, EphemeralCluster, overlay_name},
    controllers::context::Context,
};

/// A change of an object.
#[derive(Debug, Clone)]
pub struct Told<K> {
    /// The object as it is, or was last.
    pub object: K,
    /// Whether it is gone.
    pub gone: bool,
}

/// Tells one listener of changes.
pub type Bell<K> = mpsc::UnboundedSender<Told<K>>;

/// Bells for two listeners, and what they hear.
pub fn bells<K>() -> ([Bell<K>; 2], [UnboundedReceiverStream<Told<K>>; 2]) {
    let (one, heard_by_one) = mpsc::unbounded_channel();
    let (other, heard_by_other) = mpsc::unbounded_channel();
    ([one, other], [heard_by_one, heard_by_other].map(UnboundedReceiverStream::new))
}

/// Rings bells for what a watch sees, once the store that the watch fills has it.
pub struct Ringer<K> {
    bells: Vec<Bell<K>>,
    /// What was listed so far: the store takes a list as a whole.
    listed: Vec<K>,
}

impl<K: Clone> Ringer<K> {
    /// One that has heard of nothing yet.
    pub fn new(bells: Vec<Bell<K>>) -> Self {
        Self { bells, listed: Vec::new() }
    }

    /// The watch has seen something, and the store knows of it.
    pub fn hear(&mut self, event: &watcher::Event<K>) {
        match event {
            watcher::Event::Init => self.listed.clear(),
            watcher::Event::InitApply(object) if !self.bells.is_empty() => self.listed.push(object.clone()),
            watcher::Event::InitApply(_) => {}
            watcher::Event::InitDone => {
                for object in std::mem::take(&mut self.listed) {
                    self.ring(&object, false);
                }
            }
            watcher::Event::Apply(object) => self.ring(object, false),
            watcher::Event::Delete(object) => self.ring(object, true),
        }
    }

    fn ring(&self, object: &K, gone: bool) {
        for bell in &self.bells {
            // Nobody listens while the plane shuts down.
            let _ = bell.send(Told { object: object.clone(), gone });
        }
    }
}

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
        status.credential.as_ref().map(|credential| &credential.id).hash(&mut hasher);
        for condition in &status.conditions {
            (&condition.type_, &condition.reason, format!("{:?}", condition.status)).hash(&mut hasher);
        }
    }
    hasher.finish()
}

/// Deliveries whose objects have changed in their clusters.
pub fn observed(context: Arc<Context>) -> impl Stream<Item = ObjectRef<Guarded<Delivery>>> + Send {
    stream::unfold(context, |context| async move {
        let delivery = context.fleet.woken().await?;
        Some((ObjectRef::new(&delivery.name).within(&delivery.namespace), context))
    })
}

/// The metadata of Secrets that come and change: kubeconfigs, and what is copied to clusters.
pub fn secrets(
    context: &Context,
) -> impl Stream<Item = Result<PartialObjectMeta<Secret>, watcher::Error>> + Send + use<> {
    let client = context.client.clone();
    let api: Api<PartialObjectMeta<Secret>> = match &context.installation.namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    watcher(api, watcher::Config::default()).default_backoff().touched_objects()
}

/// The metadata of namespaces, which clusters choose by their labels. A plane of one namespace has no use for them.
pub fn namespaces(
    context: &Context,
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
        .predicate_filter(kube::runtime::predicates::labels, Default::default())
        .right_stream()
}

/// The overlay that a delivery is of.
pub fn overlay_of(delivery: &Guarded<Delivery>) -> Option<ObjectRef<Guarded<EnvironmentOverlay>>> {
    let delivery = delivery.0.as_ref().ok()?;
    let name = overlay_name(&delivery.spec.application, &delivery.spec.environment);
    Some(ObjectRef::new(&name).within(&delivery.namespace()?))
}

/// The cluster that a delivery goes to.
pub fn cluster_of(delivery: &Guarded<Delivery>) -> Option<ObjectRef<Guarded<EphemeralCluster>>> {
    let cluster = &delivery.0.as_ref().ok()?.spec.cluster;
    Some(ObjectRef::new(&cluster.name).within(&cluster.namespace))
}

/// The deliveries that go to a cluster.
pub fn deliveries_to(
    store: &Store<Guarded<Delivery>>,
    cluster: &Guarded<EphemeralCluster>,
) -> Vec<ObjectRef<Guarded<Delivery>>> {
    let (namespace, name) = (cluster.namespace().unwrap_or_default(), cluster.name_any());
    chosen(store, |delivery| delivery.spec.cluster.namespace == namespace && delivery.spec.cluster.name == name)
}

/// The deliveries that a Secret is copied by.
pub fn delivering(
    store: &Store<Guarded<Delivery>>,
    secret: &PartialObjectMeta<Secret>,
) -> Vec<ObjectRef<Guarded<Delivery>>> {
    let (namespace, name) = (secret.namespace(), secret.name_any());
    chosen(store, |delivery| {
        delivery.namespace() == namespace && delivery.spec.secrets.iter().any(|secret| secret.name == name)
    })
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
    is_chosen: impl Fn(&Delivery) -> bool,
) -> Vec<ObjectRef<Guarded<Delivery>>> {
    let state = store.state();
    let chosen = state.iter().filter(|object| object.0.as_ref().is_ok_and(&is_chosen));
    chosen.map(|object| ObjectRef::from_obj(object.as_ref())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cluster(status: serde_json::Value) -> Guarded<EphemeralCluster> {
        let object = json!({
            "apiVersion": "orbit.k8or.io/v1alpha1", "kind": "EphemeralCluster",
            "metadata": {"name": "eu-1", "namespace": "fleet", "generation": 1},
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
        assert_ne!(significance(&cluster(json!({"clusterUID": "v", "conditions": reachable("True")}))), base);
        assert_ne!(significance(&cluster(json!({"clusterUID": "u", "conditions": reachable("False")}))), base);
    }
}
