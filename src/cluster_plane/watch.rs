//! Watches on a cluster: every object that carries the plane's label, kind by kind, and the pods of the namespaces that
//! something is delivered to.

use std::{collections::HashMap, future::Future, pin::pin, sync::Arc, time::Instant};

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::{Event as CoreEvent, Pod};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject},
    core::GroupVersionKind,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use tokio::task::AbortHandle;

use super::{
    health::{events, pods},
    kinds::Kind,
    objects::ObjectId,
    observed::{Observed, Watched},
};
use crate::api::label;

/// The watches on one cluster. They end with it.
#[derive(Debug, Default)]
pub struct Watches(HashMap<Watched, AbortHandle>);

impl Drop for Watches {
    fn drop(&mut self) {
        self.0.values().for_each(AbortHandle::abort);
    }
}

impl Watches {
    /// Watches the plane's objects of a kind, from now on.
    pub fn kind(&mut self, client: &Client, plane: &str, kind: &Kind, observed: &Arc<Observed>) {
        let watched = Watched::Kind { group: kind.resource.group.clone(), kind: kind.resource.kind.clone() };
        if self.0.contains_key(&watched) {
            return;
        }
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind.resource);
        let labels = watcher::Config::default().labels(&format!("{}={plane}", label::PLANE));
        let events = watcher(api, labels).default_backoff();
        self.add(watched.clone(), watch_objects(events, watched, kind.clone(), observed.clone()));
    }

    /// Watches the pods of a namespace, and the warnings there, from now on.
    pub fn pods(&mut self, client: &Client, namespace: &str, observed: &Arc<Observed>) {
        let watched = Watched::Pods(namespace.to_owned());
        if self.0.contains_key(&watched) {
            return;
        }
        let of_pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let of_events: Api<CoreEvent> = Api::namespaced(client.clone(), namespace);
        let warnings = watcher::Config::default().fields("type=Warning");
        let pod_events = watcher(of_pods, watcher::Config::default()).default_backoff();
        let warnings = watcher(of_events, warnings).default_backoff();
        let (watched_pods, observed) = (watched.clone(), observed.clone());
        self.add(watched, async move {
            tokio::join!(watch_pods(pod_events, watched_pods, &observed), watch_warnings(warnings, &observed));
        });
    }

    fn add(&mut self, watched: Watched, watching: impl Future<Output = ()> + Send + 'static) {
        self.0.insert(watched, tokio::spawn(watching).abort_handle());
    }
}

async fn watch_objects(
    events: impl Stream<Item = watcher::Result<Event<DynamicObject>>>,
    watched: Watched,
    kind: Kind,
    observed: Arc<Observed>,
) {
    let mut events = pin!(events);
    let mut began = Instant::now();
    let ApiResource { group, version, kind: name, .. } = &kind.resource;
    let gvk = GroupVersionKind::gvk(group, version, name);
    let id = |object: &DynamicObject| ObjectId {
        group: group.clone(),
        kind: name.clone(),
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
    };
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => began = Instant::now(),
            Ok(Event::InitApply(object) | Event::Apply(object)) => {
                observed.apply(id(&object), &gvk, &object);
            }
            Ok(Event::Delete(object)) => observed.delete(&id(&object), &object),
            Ok(Event::InitDone) => observed.listed(&watched, began),
            // Whether the cluster answers is found out elsewhere; the watch goes on by itself.
            Err(error) => tracing::debug!(?watched, %error, "watching a cluster"),
        }
    }
}

async fn watch_pods(events: impl Stream<Item = watcher::Result<Event<Pod>>>, watched: Watched, observed: &Observed) {
    let mut events = pin!(events);
    let mut began = Instant::now();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => began = Instant::now(),
            Ok(Event::InitApply(pod) | Event::Apply(pod)) => {
                observed.apply_pod(pods::owners(&pod), pods::is_ready(&pod), pods::trouble(&pod));
            }
            Ok(Event::Delete(pod)) => {
                if let Some(id) = pods::owners(&pod).first() {
                    observed.delete_pod(id);
                }
            }
            Ok(Event::InitDone) => observed.listed(&watched, began),
            Err(error) => tracing::debug!(?watched, %error, "watching a cluster"),
        }
    }
}

async fn watch_warnings(warnings: impl Stream<Item = watcher::Result<Event<CoreEvent>>>, observed: &Observed) {
    let mut warnings = pin!(warnings);
    while let Some(event) = warnings.next().await {
        let Ok(Event::InitApply(event) | Event::Apply(event)) = event else { continue };
        if let Some(trouble) = events::trouble(&event) {
            let about = event.involved_object;
            let api_version = about.api_version.unwrap_or_default();
            let id = ObjectId {
                group: api_version.split_once('/').map(|(group, _)| group.to_owned()).unwrap_or_default(),
                kind: about.kind.unwrap_or_default(),
                namespace: about.namespace.unwrap_or_default(),
                name: about.name.unwrap_or_default(),
            };
            observed.tell(id, trouble);
        }
    }
}
