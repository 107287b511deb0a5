//! What the watches of the plane's own cluster have seen of the objects that others' reconciliations look at.
//!
//! What is read here may be a moment old. It is used where the change itself wakes whoever read too early.

use std::{
    fmt::Debug,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Resource, ResourceExt,
    core::{DeserializeGuard, PartialObjectMeta},
    runtime::{
        reflector::{self, ObjectRef, Store, store::Writer},
        watcher,
    },
};
use tokio::sync::watch;

use crate::{
    api::{Delivery, EnvironmentOverlay, EphemeralCluster},
    cluster_plane::ClusterKey,
    release::ClusterRef,
};

/// An object that may turn out not to be readable as its kind.
type Guarded<K> = DeserializeGuard<K>;

/// The caches.
#[derive(Debug)]
pub struct Caches {
    /// Whether namespaces are looked at: not by a plane that is kept to one.
    looks_at_namespaces: bool,
    /// Every overlay.
    pub overlays: Cache<Guarded<EnvironmentOverlay>>,
    /// Every cluster.
    pub clusters: Cache<Guarded<EphemeralCluster>>,
    /// Every delivery.
    pub deliveries: Cache<Guarded<Delivery>>,
    /// The metadata of every namespace.
    pub namespaces: Cache<PartialObjectMeta<Namespace>>,
}

/// One cache: read by many, filled by one watch.
pub struct Cache<K>
where
    K: Resource + Clone + 'static,
    K::DynamicType: Hash + Eq + Clone,
{
    store: Store<K>,
    listed: watch::Receiver<bool>,
    filler: Mutex<Option<(Writer<K>, Listed)>>,
}

/// Tells those who wait for a cache that all has been seen once.
///
/// The store has such a promise of its own, but only whoever asked last is woken by it. Its controller asks: nobody else
/// may.
#[derive(Debug, Default)]
pub struct Listed(watch::Sender<bool>);

impl Listed {
    /// The watch has seen something, and the store knows of it.
    pub fn hear<T>(&self, event: &watcher::Event<T>) {
        if matches!(event, watcher::Event::InitDone) {
            self.0.send_replace(true);
        }
    }
}

impl<K> Debug for Cache<K>
where
    K: Resource + Clone + 'static,
    K::DynamicType: Hash + Eq + Clone,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

impl<K> Default for Cache<K>
where
    K: Resource + Clone + 'static,
    K::DynamicType: Hash + Eq + Clone + Default,
{
    fn default() -> Self {
        let (store, writer) = reflector::store();
        let listed = Listed::default();
        Self { store, listed: listed.0.subscribe(), filler: Mutex::new(Some((writer, listed))) }
    }
}

impl<K> Cache<K>
where
    K: Resource + Clone + 'static,
    K::DynamicType: Hash + Eq + Clone,
{
    /// What reads it.
    pub fn store(&self) -> Store<K> {
        self.store.clone()
    }

    /// What fills it, and tells that it is filled.
    ///
    /// # Panics
    /// When it is asked for a second time.
    pub fn filler(&self) -> (Writer<K>, Listed) {
        self.filler.lock().unwrap_or_else(PoisonError::into_inner).take().expect("one watch fills a cache")
    }

    /// Waits until all has been seen once.
    pub async fn ready(&self) {
        // A cache that nobody fills any more is one of a plane that shuts down.
        let _ = self.listed.clone().wait_for(|listed| *listed).await;
    }
}

impl Caches {
    /// Empty ones of a plane that is kept to a namespace, or not.
    pub fn new(namespace: Option<&str>) -> Self {
        Self {
            looks_at_namespaces: namespace.is_none(),
            overlays: Cache::default(),
            clusters: Cache::default(),
            deliveries: Cache::default(),
            namespaces: Cache::default(),
        }
    }

    /// Whether it is known what namespaces there are.
    pub fn looks_at_namespaces(&self) -> bool {
        self.looks_at_namespaces
    }

    /// Waits until all has been seen once. Before, what is missing may only not have been seen yet.
    pub async fn ready(&self) {
        tokio::join!(self.overlays.ready(), self.clusters.ready(), self.deliveries.ready());
        if self.looks_at_namespaces {
            self.namespaces.ready().await;
        }
    }

    /// Whether a cluster's object is there, but cannot be read.
    pub fn is_unreadable(&self, cluster: &ClusterRef) -> bool {
        let found = self.clusters.store.get(&ObjectRef::new(&cluster.name).within(&cluster.namespace));
        found.is_some_and(|object| object.0.is_err())
    }

    /// The clusters that can be read.
    pub fn clusters(&self) -> Vec<EphemeralCluster> {
        readable(&self.clusters.store)
    }

    /// The clusters that are chosen, as far as they can be read.
    pub fn clusters_that(&self, are_chosen: impl Fn(&EphemeralCluster) -> bool) -> Vec<EphemeralCluster> {
        let chosen = chosen(&self.clusters.store, are_chosen);
        chosen.iter().filter_map(|cluster| cluster.0.as_ref().ok().cloned()).collect()
    }

    /// A cluster, if it is there and can be read.
    pub fn cluster(&self, (namespace, name): &ClusterKey) -> Option<EphemeralCluster> {
        let found = self.clusters.store.get(&ObjectRef::new(name).within(namespace))?;
        found.0.as_ref().ok().cloned()
    }

    /// The overlays that are chosen.
    pub fn overlays(&self, is_chosen: impl Fn(&EnvironmentOverlay) -> bool) -> Vec<Arc<Guarded<EnvironmentOverlay>>> {
        chosen(&self.overlays.store, is_chosen)
    }

    /// The deliveries that are chosen.
    pub fn deliveries(&self, is_chosen: impl Fn(&Delivery) -> bool) -> Vec<Arc<Guarded<Delivery>>> {
        chosen(&self.deliveries.store, is_chosen)
    }

    /// The deliveries that are chosen, of all, readable or not.
    pub fn deliveries_of_all(&self, is_chosen: impl Fn(&Guarded<Delivery>) -> bool) -> Vec<Arc<Guarded<Delivery>>> {
        self.deliveries.store.state().into_iter().filter(|delivery| is_chosen(delivery)).collect()
    }

    /// The names of all namespaces.
    pub fn namespace_names(&self) -> Vec<String> {
        self.namespaces.store.state().iter().map(|namespace| namespace.name_any()).collect()
    }

    /// Whether a namespace is being deleted, and with it everything in it: none of that can come back, and nothing be made
    /// there. A plane that is kept to one namespace does not know.
    pub fn is_ending(&self, namespace: &str) -> bool {
        let found = self.namespaces.store.get(&ObjectRef::new(namespace));
        found.is_some_and(|namespace| namespace.metadata.deletion_timestamp.is_some())
    }

    /// The labels of a namespace.
    pub fn namespace_labels(&self, name: &str) -> std::collections::BTreeMap<String, String> {
        let namespace = self.namespaces.store.get(&ObjectRef::new(name));
        namespace.map(|namespace| namespace.labels().clone()).unwrap_or_default()
    }
}

fn chosen<K>(store: &Store<Guarded<K>>, is_chosen: impl Fn(&K) -> bool) -> Vec<Arc<Guarded<K>>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let is_chosen = |object: &Arc<Guarded<K>>| object.0.as_ref().is_ok_and(&is_chosen);
    store.state().into_iter().filter(is_chosen).collect()
}

fn readable<K>(store: &Store<Guarded<K>>) -> Vec<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    store.state().iter().filter_map(|object| object.0.as_ref().ok().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, future};
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn all_who_wait_for_a_cache_are_woken() {
        let caches = Caches::new(Some("shop"));
        let waiting: Vec<_> = (0..3).map(|_| caches.ready().boxed()).collect();
        let mut waiting = future::join_all(waiting);
        assert!((&mut waiting).now_or_never().is_none());
        for listed in [caches.overlays.filler().1, caches.clusters.filler().1, caches.deliveries.filler().1] {
            listed.hear(&watcher::Event::<()>::InitDone);
        }
        waiting.await;
        caches.ready().await;
    }

    #[test]
    fn a_namespace_that_is_being_deleted_is_known() {
        let caches = Caches::new(None);
        let (mut writer, _) = caches.namespaces.filler();
        for metadata in [json!({"name": "shop"}), json!({"name": "gone", "deletionTimestamp": "2026-01-02T03:04:05Z"})]
        {
            let namespace = serde_json::from_value(json!({"metadata": metadata})).unwrap();
            writer.apply_watcher_event(&watcher::Event::Apply(namespace));
        }
        assert_eq!(["shop", "gone", "other"].map(|name| caches.is_ending(name)), [false, true, false]);
    }

    #[tokio::test]
    async fn nobody_waits_for_a_cache_that_is_not_filled_any_more() {
        let caches = Caches::new(Some("shop"));
        drop((caches.overlays.filler(), caches.clusters.filler(), caches.deliveries.filler()));
        caches.ready().await;
    }
}
