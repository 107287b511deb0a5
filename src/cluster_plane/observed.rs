//! What is known of a cluster's objects: of each that the plane applied, whether it is as applied and how it is; of pods,
//! what troubles them.
//!
//! The watches fill it, and whatever changes names the delivery that wants to know. Only what decisions need is kept,
//! never a whole object.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use jiff::Timestamp;
use kube::{api::DynamicObject, core::GroupVersionKind};
use tokio::sync::{mpsc, watch};

use super::{
    health::{self, Doubt, Health, HealthState, Trouble},
    objects::ObjectId,
    ownership::{self, DeliveryKey},
};
use crate::digest::Digest;

/// An object that the plane applied, as it was seen last.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The delivery it belongs to.
    pub delivery: Option<DeliveryKey>,
    /// What the plane owns of it.
    pub fingerprint: Option<Digest>,
    /// Who else changed it last.
    pub other_manager: Option<String>,
    /// How it is.
    pub health: Health,
    /// What keeps its controller from making pods, as a quota that is used up.
    pub refusal: Option<Trouble>,
}

#[derive(Debug, Clone)]
struct Version {
    /// Of the object; higher is later (Kubernetes, "Resource versions": comparable within one kind).
    resource_version: u128,
    at: Instant,
    seen: Seen,
}

/// A pod, as it was seen last.
#[derive(Debug, Clone)]
struct SeenPod {
    at: Instant,
    /// Itself and what it may belong to.
    owners: Vec<ObjectId>,
    /// Whether it is ready.
    ready: bool,
    /// What troubles it.
    trouble: Option<Trouble>,
    /// What an Event told last, as of a probe that fails. It means nothing once the pod is ready.
    told: Option<Trouble>,
    /// Why it may not count as one that runs, though it is ready.
    doubt: Option<Doubt>,
}

impl SeenPod {
    fn what_troubles_it(&self) -> Option<&Trouble> {
        self.trouble.as_ref().or(self.told.as_ref().filter(|_| !self.ready))
    }
}

#[derive(Debug, Default)]
struct State {
    objects: HashMap<ObjectId, Version>,
    pods: HashMap<ObjectId, SeenPod>,
    /// The pods of each object that may own some.
    owned: HashMap<ObjectId, BTreeSet<ObjectId>>,
    /// What Events told of objects that are no pods.
    told: HashMap<ObjectId, Trouble>,
    watches: HashMap<Watched, Watch>,
    /// How many watches have begun.
    begun: u64,
}

/// A watch that looks at something, since it began.
#[derive(Debug, Clone, Copy)]
struct Watch {
    number: u64,
    /// Whether it has seen all there is.
    listed: bool,
}

impl State {
    /// Whether this watch is the one that looks at something, and not one that was ended meanwhile.
    fn is_watched_by(&self, watched: &Watched, number: u64) -> bool {
        self.watches.get(watched).is_some_and(|watch| watch.number == number)
    }

    /// Whether all there is of this has been seen.
    fn is_listed(&self, watched: &HashSet<Watched>) -> bool {
        watched.iter().all(|watched| self.watches.get(watched).is_some_and(|watch| watch.listed))
    }

    /// Takes out what a watch has not seen since then, or all that it has seen; the deliveries that have to know.
    fn remove(&mut self, watched: &Watched, unseen_since: Option<Instant>) -> HashSet<DeliveryKey> {
        let is_seen = |at: Instant| unseen_since.is_some_and(|since| at >= since);
        let mut woken = HashSet::new();
        match watched {
            Watched::Kind { group, kind } => self.objects.retain(|id, version| {
                let stays = id.group != *group || id.kind != *kind || is_seen(version.at);
                if !stays {
                    woken.extend(version.seen.delivery.clone());
                }
                stays
            }),
            Watched::Pods(namespace) => {
                let goes = |(id, pod): &(&ObjectId, &SeenPod)| id.namespace == *namespace && !is_seen(pod.at);
                let gone: Vec<_> = self.pods.iter().filter(goes).map(|(id, _)| id.clone()).collect();
                woken.extend(gone.iter().filter_map(|id| self.remove_pod(id)));
            }
        }
        woken
    }

    /// Takes out a pod that is gone; the delivery that has to know.
    fn remove_pod(&mut self, id: &ObjectId) -> Option<DeliveryKey> {
        let pod = self.pods.remove(id)?;
        for owner in &pod.owners {
            if let Some(pods) = self.owned.get_mut(owner) {
                pods.remove(id);
                if pods.is_empty() {
                    self.owned.remove(owner);
                }
            }
        }
        let mattered = pod.what_troubles_it().is_some() || pod.doubt.is_some();
        mattered.then(|| self.delivery_of(&pod.owners)).flatten()
    }

    /// The delivery that the first of these objects is of that is one's.
    fn delivery_of(&self, owners: &[ObjectId]) -> Option<DeliveryKey> {
        owners.iter().find_map(|owner| self.objects.get(owner))?.seen.delivery.clone()
    }
}

/// What a watch looks at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Watched {
    /// The plane's objects of one kind.
    Kind {
        /// Its group.
        group: String,
        /// Its kind.
        kind: String,
    },
    /// The pods of a namespace, and the Events there.
    Pods(String),
}

impl Watched {
    /// The watch that sees an object.
    pub fn of(id: &ObjectId) -> Self {
        Self::Kind { group: id.group.clone(), kind: id.kind.clone() }
    }
}

/// What is known of one cluster.
#[derive(Debug)]
pub struct Observed {
    state: Mutex<State>,
    /// Changes whenever another watch has seen all there is.
    listed: watch::Sender<()>,
    wake: mpsc::UnboundedSender<DeliveryKey>,
}

impl Observed {
    /// Nothing is known yet. Deliveries are told through `wake` that something has changed.
    pub fn new(wake: mpsc::UnboundedSender<DeliveryKey>) -> Self {
        Self { state: Mutex::default(), listed: watch::Sender::new(()), wake }
    }

    /// An object as it was seen last, if it is there.
    pub fn object(&self, id: &ObjectId) -> Option<Seen> {
        self.lock().objects.get(id).map(|version| version.seen.clone())
    }

    /// What troubles an object's pods, by pod, and what was told of the object itself.
    pub fn troubles(&self, id: &ObjectId) -> Vec<(ObjectId, Trouble)> {
        let state = self.lock();
        let pods = state.owned.get(id).into_iter().flatten();
        let of_pods = pods.filter_map(|pod| Some((pod.clone(), state.pods.get(pod)?.what_troubles_it()?.clone())));
        let own = state.told.get(id).map(|told| (id.clone(), told.clone()));
        of_pods.chain(own).collect()
    }

    /// Why an object's pods may not count as running yet, by pod.
    pub fn doubts(&self, id: &ObjectId) -> Vec<(ObjectId, Doubt)> {
        let state = self.lock();
        let pods = state.owned.get(id).into_iter().flatten();
        pods.filter_map(|pod| Some((pod.clone(), state.pods.get(pod)?.doubt.clone()?))).collect()
    }

    /// Waits until all there is of this has been seen.
    pub async fn until_listed(&self, watched: &HashSet<Watched>) {
        let mut listed = self.listed.subscribe();
        // The sender lives as long as this does.
        let _ = listed.wait_for(|()| self.lock().is_listed(watched)).await;
    }

    /// Whether there is a watch that looks at this.
    pub fn is_watched(&self, watched: &Watched) -> bool {
        self.lock().watches.contains_key(watched)
    }

    /// A watch begins; its number. What another one has seen of the same has to be seen again.
    pub fn begin(&self, watched: &Watched) -> u64 {
        let mut state = self.lock();
        state.begun += 1;
        let number = state.begun;
        state.watches.insert(watched.clone(), Watch { number, listed: false });
        number
    }

    /// A watch has ended because nobody needs it: what it has seen is not known any more.
    pub fn end(&self, watched: &Watched) {
        let mut state = self.lock();
        state.watches.remove(watched);
        // Nobody has to know: whoever did needs it no more.
        state.remove(watched, None);
    }

    /// What a watch looks at is not served any more: nothing is there.
    pub fn unserved(&self, watched: &Watched, number: u64) {
        let mut state = self.lock();
        if !state.is_watched_by(watched, number) {
            return;
        }
        state.watches.remove(watched);
        let woken = state.remove(watched, None);
        drop(state);
        woken.into_iter().for_each(|delivery| self.wake(Some(delivery)));
    }

    /// An object is there as given. An older word than what is known is left aside.
    pub fn apply(&self, id: ObjectId, kind: &GroupVersionKind, object: &DynamicObject) {
        let seen = Seen {
            delivery: ownership::delivery_of(&object.metadata),
            fingerprint: ownership::fingerprint(&object.metadata),
            other_manager: ownership::last_other_manager(&object.metadata),
            health: health::status(kind, object, Timestamp::now()),
            refusal: health::refusal(object),
        };
        let version = Version { resource_version: resource_version(object), at: Instant::now(), seen };
        let mut state = self.lock();
        let before = state.objects.get(&id);
        if before.is_some_and(|before| before.resource_version > version.resource_version) {
            return;
        }
        let changed = before.is_none_or(|before| before.seen != version.seen);
        let delivery = version.seen.delivery.clone();
        if version.seen.health.state == HealthState::Current {
            state.told.remove(&id);
        }
        state.objects.insert(id, version);
        drop(state);
        if changed {
            self.wake(delivery);
        }
    }

    /// An object is gone since the version given.
    pub fn delete(&self, id: &ObjectId, object: &DynamicObject) {
        let mut state = self.lock();
        if state.objects.get(id).is_some_and(|before| before.resource_version <= resource_version(object)) {
            let gone = state.objects.remove(id);
            state.told.remove(id);
            drop(state);
            self.wake(gone.and_then(|gone| gone.seen.delivery));
        }
    }

    /// A watch has seen all there is: what it has not seen since `began` is gone.
    pub fn listed(&self, watched: &Watched, number: u64, began: Instant) {
        let mut state = self.lock();
        if !state.is_watched_by(watched, number) {
            return;
        }
        state.watches.insert(watched.clone(), Watch { number, listed: true });
        let woken = state.remove(watched, Some(began));
        drop(state);
        self.listed.send_replace(());
        woken.into_iter().for_each(|delivery| self.wake(Some(delivery)));
    }

    /// A pod is as given: what it may belong to, itself first.
    pub fn apply_pod(&self, owners: Vec<ObjectId>, ready: bool, trouble: Option<Trouble>, doubt: Option<Doubt>) {
        let Some(id) = owners.first().cloned() else { return };
        let mut state = self.lock();
        for owner in &owners {
            state.owned.entry(owner.clone()).or_default().insert(id.clone());
        }
        let before = state.pods.remove(&id);
        let seemed = before.as_ref().map(|before| (before.what_troubles_it().cloned(), before.doubt.clone()));
        let told = before.and_then(|before| before.told).filter(|_| !ready);
        let pod = SeenPod { at: Instant::now(), owners, ready, trouble, told, doubt };
        let changed = seemed.unwrap_or_default() != (pod.what_troubles_it().cloned(), pod.doubt.clone());
        let delivery = changed.then(|| state.delivery_of(&pod.owners)).flatten();
        state.pods.insert(id, pod);
        drop(state);
        self.wake(delivery);
    }

    /// A pod is gone.
    pub fn delete_pod(&self, id: &ObjectId) {
        let delivery = self.lock().remove_pod(id);
        self.wake(delivery);
    }

    /// An Event told of an object's trouble.
    pub fn tell(&self, id: ObjectId, trouble: Trouble) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let (changed, owners) = match state.pods.get_mut(&id) {
            Some(pod) => {
                let before = pod.what_troubles_it().cloned();
                pod.told = Some(trouble);
                (before.as_ref() != pod.what_troubles_it(), pod.owners.clone())
            }
            None if state.objects.contains_key(&id) => {
                (state.told.insert(id.clone(), trouble.clone()) != Some(trouble), vec![id])
            }
            None => return,
        };
        let delivery = changed.then(|| state.delivery_of(&owners)).flatten();
        drop(guard);
        self.wake(delivery);
    }

    fn wake(&self, delivery: Option<DeliveryKey>) {
        if let Some(delivery) = delivery {
            // Nobody listens while the plane shuts down.
            let _ = self.wake.send(delivery);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn resource_version(object: &DynamicObject) -> u128 {
    object.metadata.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;
    use serde_json::{Value, json};

    use super::*;
    use crate::api::{FIELD_MANAGER, label};

    struct Scene {
        observed: Observed,
        woken: mpsc::UnboundedReceiver<DeliveryKey>,
    }

    impl Scene {
        fn new() -> Self {
            let (wake, woken) = mpsc::unbounded_channel();
            Self { observed: Observed::new(wake), woken }
        }

        fn woken(&mut self) -> usize {
            let mut count = 0;
            while self.woken.try_recv().is_ok() {
                count += 1;
            }
            count
        }
    }

    fn id(kind: &str, name: &str) -> ObjectId {
        ObjectId { group: String::new(), kind: kind.into(), namespace: "shop".into(), name: name.into() }
    }

    fn gvk() -> GroupVersionKind {
        GroupVersionKind::gvk("", "v1", "ConfigMap")
    }

    fn object(version: u32, fields: Value) -> DynamicObject {
        let delivery = DeliveryKey { namespace: "shop".into(), name: "web.prod.fleet.eu-1".into() };
        serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {
                "name": "a", "namespace": "shop", "resourceVersion": version.to_string(),
                "labels": {label::DELIVERY: delivery.label()},
                "annotations": {label::DELIVERY: delivery.to_string()},
                "managedFields": [{"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": fields}],
            },
        }))
        .unwrap()
    }

    #[test]
    fn an_older_word_changes_nothing() {
        let mut scene = Scene::new();
        let seen = |scene: &Scene| scene.observed.object(&id("ConfigMap", "a"));
        scene.observed.apply(id("ConfigMap", "a"), &gvk(), &object(5, json!({"f:data": {}})));
        assert_eq!(scene.woken(), 1);
        let known = seen(&scene);
        scene.observed.apply(id("ConfigMap", "a"), &gvk(), &object(4, json!({})));
        assert_eq!((seen(&scene), scene.woken()), (known.clone(), 0));
        scene.observed.apply(id("ConfigMap", "a"), &gvk(), &object(6, json!({"f:data": {}})));
        assert_eq!((seen(&scene), scene.woken()), (known, 0), "what decisions need is the same");
        scene.observed.delete(&id("ConfigMap", "a"), &object(5, json!({})));
        assert!(seen(&scene).is_some());
        scene.observed.delete(&id("ConfigMap", "a"), &object(7, json!({})));
        assert_eq!((seen(&scene), scene.woken()), (None, 1));
    }

    #[test]
    fn what_a_list_does_not_show_is_gone_unless_it_was_applied_meanwhile() {
        let mut scene = Scene::new();
        scene.observed.apply(id("ConfigMap", "a"), &gvk(), &object(5, json!({})));
        let began = Instant::now();
        scene.observed.apply(id("ConfigMap", "b"), &gvk(), &object(6, json!({})));
        scene.woken();
        let watched = Watched::of(&id("ConfigMap", ""));
        let number = scene.observed.begin(&watched);
        scene.observed.listed(&watched, number, began);
        assert_eq!(scene.observed.object(&id("ConfigMap", "a")), None);
        assert!(scene.observed.object(&id("ConfigMap", "b")).is_some());
        assert_eq!(scene.woken(), 1);
    }

    #[test]
    fn a_pods_trouble_is_its_workloads_until_it_is_ready() {
        let mut scene = Scene::new();
        let workload = id("ConfigMap", "a");
        scene.observed.apply(workload.clone(), &gvk(), &object(5, json!({})));
        scene.woken();
        let pod = || vec![id("Pod", "a-1"), workload.clone()];
        let trouble = |reason: &str| Trouble { reason: reason.into(), message: String::new(), container: None };
        scene.observed.apply_pod(pod(), false, None, None);
        assert_eq!(scene.woken(), 0);
        scene.observed.tell(id("Pod", "a-1"), trouble("ReadinessProbeFailed"));
        assert_eq!(scene.observed.troubles(&workload), [(id("Pod", "a-1"), trouble("ReadinessProbeFailed"))]);
        scene.observed.apply_pod(pod(), false, Some(trouble("CrashLoopBackOff")), None);
        assert_eq!(scene.observed.troubles(&workload), [(id("Pod", "a-1"), trouble("CrashLoopBackOff"))]);
        assert_eq!(scene.woken(), 2);
        scene.observed.apply_pod(pod(), true, None, None);
        assert_eq!((scene.observed.troubles(&workload), scene.woken()), (Vec::new(), 1));
        let doubt = Doubt { until: None, trouble: trouble("Progressing") };
        scene.observed.apply_pod(pod(), true, None, Some(doubt.clone()));
        assert_eq!((scene.observed.doubts(&workload), scene.woken()), (vec![(id("Pod", "a-1"), doubt)], 1));
        scene.observed.apply_pod(pod(), true, None, None);
        assert_eq!((scene.observed.doubts(&workload), scene.woken()), (Vec::new(), 1));
        scene.observed.delete_pod(&id("Pod", "a-1"));
        assert_eq!(scene.woken(), 0);
    }

    #[test]
    fn a_pod_that_a_list_does_not_show_troubles_nobody_any_more() {
        let mut scene = Scene::new();
        let workload = id("ConfigMap", "a");
        scene.observed.apply(workload.clone(), &gvk(), &object(5, json!({})));
        let trouble = || Trouble { reason: "CrashLoopBackOff".into(), message: String::new(), container: None };
        let pod = |name: &str| vec![id("Pod", name), workload.clone()];
        scene.observed.apply_pod(pod("a-1"), false, Some(trouble()), None);
        let began = Instant::now();
        scene.observed.apply_pod(pod("a-2"), false, Some(trouble()), None);
        scene.woken();
        let watched = Watched::Pods("shop".into());
        let number = scene.observed.begin(&watched);
        scene.observed.listed(&watched, number, began);
        assert_eq!(scene.observed.troubles(&workload), [(id("Pod", "a-2"), trouble())]);
        assert_eq!(scene.woken(), 1);
    }
    #[tokio::test]
    async fn what_is_not_watched_any_more_is_not_known_and_a_watch_that_was_ended_says_nothing() {
        let mut scene = Scene::new();
        let watched = Watched::of(&id("ConfigMap", ""));
        let all = HashSet::from([watched.clone()]);
        let is_listed = |scene: &Scene| scene.observed.until_listed(&all).now_or_never().is_some();
        let first = scene.observed.begin(&watched);
        scene.observed.apply(id("ConfigMap", "a"), &gvk(), &object(5, json!({})));
        assert!(!is_listed(&scene));
        scene.observed.listed(&watched, first, Instant::now() - Duration::from_secs(1));
        assert!(is_listed(&scene));
        scene.woken();
        scene.observed.end(&watched);
        assert_eq!((scene.observed.object(&id("ConfigMap", "a")), scene.woken()), (None, 0));
        assert!(!is_listed(&scene));
        let second = scene.observed.begin(&watched);
        scene.observed.listed(&watched, first, Instant::now());
        scene.observed.unserved(&watched, first);
        assert!(!is_listed(&scene), "that was the first one's word");
        scene.observed.listed(&watched, second, Instant::now());
        assert!(is_listed(&scene));
    }

    #[test]
    fn a_kind_that_is_not_served_any_more_has_no_objects() {
        let mut scene = Scene::new();
        let watched = Watched::of(&id("ConfigMap", ""));
        let number = scene.observed.begin(&watched);
        scene.observed.apply(id("ConfigMap", "a"), &gvk(), &object(5, json!({})));
        scene.woken();
        scene.observed.unserved(&watched, number);
        assert_eq!((scene.observed.object(&id("ConfigMap", "a")), scene.woken()), (None, 1));
    }
}
