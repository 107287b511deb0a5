//! Watches on a cluster: every object that carries the plane's label, kind by kind, and the pods of the namespaces that
//! something is delivered to. Each goes on for as long as some delivery needs it.

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    pin::pin,
    sync::Arc,
    time::Instant,
};

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
    health::{self, events, pods},
    kinds::Kind,
    objects::ObjectId,
    observed::{Observed, Watched},
    ownership::DeliveryKey,
};
use crate::api::label;

/// The watches on one cluster. They end with it.
#[derive(Debug, Default)]
pub struct Watches {
    running: HashMap<Watched, AbortHandle>,
    /// What each delivery needs.
    needs: HashMap<DeliveryKey, HashSet<Watched>>,
}

impl Drop for Watches {
    fn drop(&mut self) {
        self.running.values().for_each(AbortHandle::abort);
    }
}

impl Watches {
    /// A delivery needs this from now on, and what it needed before only as far as that is the same.
    pub fn need(&mut self, delivery: &DeliveryKey, needs: HashSet<Watched>, observed: &Observed) {
        observed.looks(delivery, !needs.is_empty());
        let before = match needs.is_empty() {
            true => self.needs.remove(delivery),
            false => self.needs.insert(delivery.clone(), needs),
        };
        let again = self.needs.get(delivery).cloned().unwrap_or_default();
        for watched in before.into_iter().flatten().filter(|watched| !again.contains(watched)) {
            if !self.needs.values().any(|needs| needs.contains(&watched))
                && let Some(running) = self.running.remove(&watched)
            {
                running.abort();
                observed.end(&watched);
            }
        }
    }

    /// Whether this was watched until the cluster served it no more. That is said once.
    pub fn take_ended(&mut self, watched: &Watched, observed: &Observed) -> bool {
        !observed.is_watched(watched) && self.running.remove(watched).is_some()
    }

    /// Watches the plane's objects of a kind, from now on.
    pub fn kind(&mut self, client: &Client, plane: &str, kind: &Kind, observed: &Arc<Observed>) {
        let watched = Watched::Kind { group: kind.resource.group.clone(), kind: kind.resource.kind.clone() };
        if self.running.contains_key(&watched) {
            return;
        }
        let number = observed.begin(&watched);
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind.resource);
        let labels = watcher::Config::default().labels(&format!("{}={plane}", label::PLANE));
        let events = watcher(api, labels).default_backoff();
        self.add(watched.clone(), watch_objects(events, watched, number, kind.clone(), observed.clone()));
    }

    /// Watches the pods of a namespace, and the warnings there, from now on.
    pub fn pods(&mut self, client: &Client, namespace: &str, observed: &Arc<Observed>) {
        let watched = Watched::Pods(namespace.to_owned());
        if self.running.contains_key(&watched) {
            return;
        }
        let number = observed.begin(&watched);
        let of_pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let of_events: Api<CoreEvent> = Api::namespaced(client.clone(), namespace);
        let warnings = watcher::Config::default().fields("type=Warning");
        let pod_events = watcher(of_pods, watcher::Config::default()).default_backoff();
        let warnings = watcher(of_events, warnings).default_backoff();
        let (watched_pods, observed) = (watched.clone(), observed.clone());
        self.add(watched, async move {
            tokio::join!(watch_pods(pod_events, watched_pods, number, &observed), watch_warnings(warnings, &observed));
        });
    }

    fn add(&mut self, watched: Watched, watching: impl Future<Output = ()> + Send + 'static) {
        self.running.insert(watched, tokio::spawn(watching).abort_handle());
    }
}

async fn watch_objects(
    events: impl Stream<Item = watcher::Result<Event<DynamicObject>>>,
    watched: Watched,
    number: u64,
    kind: Kind,
    observed: Arc<Observed>,
) {
    let mut events = pin!(events);
    let (mut began, mut was_served) = (Instant::now(), false);
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
            Ok(Event::InitDone) => {
                was_served = true;
                observed.listed(&watched, number, began);
            }
            // Its version is gone, or its definition. Whoever needs the kind looks for it anew.
            Err(error) if was_served && is_unserved(&error) => return observed.unserved(&watched, number),
            // Whether the cluster answers is found out elsewhere; the watch goes on by itself.
            Err(error) => tracing::debug!(?watched, %error, "watching a cluster"),
        }
    }
}

/// Whether the cluster has nothing at the path of a kind.
fn is_unserved(error: &watcher::Error) -> bool {
    use watcher::Error::{InitialListFailed, WatchStartFailed};
    match error {
        InitialListFailed(kube::Error::Api(status)) | WatchStartFailed(kube::Error::Api(status)) => status.code == 404,
        _ => false,
    }
}

async fn watch_pods(
    events: impl Stream<Item = watcher::Result<Event<Pod>>>,
    watched: Watched,
    number: u64,
    observed: &Observed,
) {
    let mut events = pin!(events);
    let mut began = Instant::now();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => began = Instant::now(),
            Ok(Event::InitApply(pod) | Event::Apply(pod)) => {
                observed.apply_pod(pods::owners(&pod), pods::is_ready(&pod), pods::trouble(&pod), health::doubt(&pod));
            }
            Ok(Event::Delete(pod)) => {
                if let Some(id) = pods::owners(&pod).first() {
                    observed.delete_pod(id);
                }
            }
            Ok(Event::InitDone) => observed.listed(&watched, number, began),
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

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    fn delivery(name: &str) -> DeliveryKey {
        DeliveryKey { namespace: "shop".into(), name: name.into() }
    }

    fn pods(namespaces: &[&str]) -> HashSet<Watched> {
        namespaces.iter().map(|&namespace| Watched::Pods(namespace.to_owned())).collect()
    }

    #[tokio::test]
    async fn a_watch_goes_on_while_somebody_needs_it() {
        let observed = Observed::new("fleet/eu-1", mpsc::unbounded_channel().0);
        let mut watches = Watches::default();
        for watched in pods(&["a", "b"]) {
            watches.add(watched, std::future::pending());
        }
        let left = |watches: &Watches| watches.running.keys().cloned().collect::<HashSet<_>>();
        watches.need(&delivery("one"), pods(&["a", "b"]), &observed);
        watches.need(&delivery("two"), pods(&["b"]), &observed);
        watches.need(&delivery("one"), pods(&["a"]), &observed);
        assert_eq!(left(&watches), pods(&["a", "b"]));
        watches.need(&delivery("two"), HashSet::new(), &observed);
        assert_eq!((left(&watches), watches.needs.len()), (pods(&["a"]), 1));
        watches.need(&delivery("one"), pods(&["c"]), &observed);
        assert_eq!(left(&watches), HashSet::new());
    }

    #[tokio::test]
    async fn a_kind_that_was_served_once_and_is_no_more_ends_its_watch() {
        let (wake, _woken) = mpsc::unbounded_channel();
        let observed = Arc::new(Observed::new("fleet/eu-1", wake));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("example.com", "v1beta1", "Widget"));
        let kind = Kind { resource, namespaced: true };
        let watched = Watched::Kind { group: "example.com".into(), kind: "Widget".into() };
        let not_found = || {
            let status = kube::core::Status::failure("404 page not found", "NotFound").with_code(404);
            Err(watcher::Error::InitialListFailed(kube::Error::Api(status.boxed())))
        };
        let events = vec![not_found(), Ok(Event::Init), Ok(Event::InitDone), not_found(), Ok(Event::Init)];
        let mut events = futures::stream::iter(events);
        let number = observed.begin(&watched);
        watch_objects(&mut events, watched, number, kind, observed).await;
        assert!(matches!(events.next().await, Some(Ok(Event::Init))), "it ended at the second, not at the first");
    }
}
