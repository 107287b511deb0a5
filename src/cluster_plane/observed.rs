//! What is known of a cluster's objects: of each that the plane applied, whether it is as applied and how it is; of pods,
//! what troubles them.
//!
//! The watches fill it, and whatever changes names the delivery that wants to know. Only what decisions need is kept,
//! never a whole object.
//!
//! Whoever answers as the cluster may be anybody. So there is a bound to how much of what it tells is kept, and it wakes
//! none but the deliveries that look at it, whatever its objects say of themselves.

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

/// How many objects of a cluster are kept of those that watches tell of, and how many pods: 150 MB of each at the most, and
/// a tenth of that as a rule. A cluster has 150,000 pods at most (Kubernetes, "Considerations for large clusters"), of which
/// those are watched that are where something is delivered to; an overlay has 10,000 objects at most.
const MOST: usize = 50_000;

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
    /// The deliveries that want to know.
    looking: HashSet<DeliveryKey>,
    /// Whether it was said that there is more than is kept.
    is_more_told: bool,
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
            Watched::Kind { group, kind } => {
                self.objects.retain(|id, version| {
                    let stays = id.group != *group || id.kind != *kind || is_seen(version.at);
                    if !stays {
                        woken.extend(version.seen.delivery.clone());
                    }
                    stays
                });
                self.told.retain(|id, _| self.objects.contains_key(id));
            }
            Watched::Pods(namespace) => {
                let goes = |(id, pod): &(&ObjectId, &SeenPod)| id.namespace == *namespace && !is_seen(pod.at);
                let gone: Vec<_> = self.pods.iter().filter(goes).map(|(id, _)| id.clone()).collect();
                woken.extend(gone.iter().filter_map(|id| self.remove_pod(id)));
            }
        }
        woken
    }

    /// Takes out a pod, and that it is anybody's.
    fn take_pod(&mut self, id: &ObjectId) -> Option<SeenPod> {
        let pod = self.pods.remove(id)?;
        for owner in &pod.owners {
            if let Some(pods) = self.owned.get_mut(owner) {
                pods.remove(id);
                if pods.is_empty() {
                    self.owned.remove(owner);
                }
            }
        }
        Some(pod)
    }

    /// Takes out a pod that is gone; the delivery that has to know.
    fn remove_pod(&mut self, id: &ObjectId) -> Option<DeliveryKey> {
        let pod = self.take_pod(id)?;
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
    /// Which one it is, for people.
    cluster: String,
    /// How much is kept of each.
    most: usize,
    state: Mutex<State>,
    /// Changes whenever another watch has seen all there is.
    listed: watch::Sender<()>,
    wake: mpsc::UnboundedSender<DeliveryKey>,
}

impl Observed {
    /// Nothing is known yet. Deliveries are told through `wake` that something has changed.
    pub fn new(cluster: impl Into<String>, wake: mpsc::UnboundedSender<DeliveryKey>) -> Self {
        let (cluster, listed) = (cluster.into(), watch::Sender::new(()));
        Self { cluster, most: MOST, state: Mutex::default(), listed, wake }
    }

    /// A delivery wants to know of its objects' changes from now on, or of nothing any more.
    pub fn looks(&self, delivery: &DeliveryKey, still: bool) {
        let mut state = self.lock();
        match still {
            true => drop(state.looking.insert(delivery.clone())),
            false => drop(state.looking.remove(delivery)),
        }
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

    /// Whether all that the plane has of this is known.
    pub fn sees_all(&self, watched: &Watched) -> bool {
        let state = self.lock();
        state.watches.get(watched).is_some_and(|watch| watch.listed) && !state.is_more_told
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

    /// An object was applied, and is there as given.
    pub fn applied(&self, id: ObjectId, kind: &GroupVersionKind, object: &DynamicObject) {
        self.take(id, kind, object, usize::MAX);
    }

    /// A watch tells of an object, which is as given.
    pub fn apply(&self, id: ObjectId, kind: &GroupVersionKind, object: &DynamicObject) {
        if id.is_possible() {
            self.take(id, kind, object, self.most);
        }
    }

    /// Keeps what an object is, unless it is another one beyond so many. An older word than what is known is left aside.
    fn take(&self, id: ObjectId, kind: &GroupVersionKind, object: &DynamicObject, most: usize) {
        if self.is_known(&id, resource_version(object)) {
            return;
        }
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
        if before.is_none() && state.objects.len() >= most {
            return self.tell_of_more(&mut state, "objects with the plane's label");
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

    /// Whether this version of an object has been seen, and no other verdict can come of it: what was applied comes by the
    /// watch once more. It counts as seen again.
    fn is_known(&self, id: &ObjectId, version: u128) -> bool {
        let mut state = self.lock();
        let known = state.objects.get_mut(id).filter(|it| it.resource_version == version && version > 0);
        let Some(known) = known.filter(|it| it.seen.health.state == HealthState::Current) else { return false };
        known.at = Instant::now();
        state.told.remove(id);
        true
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
    pub fn apply_pod(&self, mut owners: Vec<ObjectId>, ready: bool, trouble: Option<Trouble>, doubt: Option<Doubt>) {
        let Some(id) = owners.first().filter(|id| id.is_possible()).cloned() else { return };
        owners.retain(ObjectId::is_possible);
        let mut state = self.lock();
        if state.pods.len() >= self.most && !state.pods.contains_key(&id) {
            return self.tell_of_more(&mut state, "pods");
        }
        let before = state.take_pod(&id);
        for owner in &owners {
            state.owned.entry(owner.clone()).or_default().insert(id.clone());
        }
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

    /// There is more of something than is kept. It is said once: who floods the plane is not to flood its log, too.
    fn tell_of_more(&self, state: &mut State, what: &str) {
        if !std::mem::replace(&mut state.is_more_told, true) {
            let (cluster, most) = (&self.cluster, self.most);
            tracing::warn!(%cluster, "the cluster has more than {most} {what}: the plane looks at no more of them");
        }
    }

    /// Wakes a delivery that its object names, if it is one that looks at this cluster.
    fn wake(&self, delivery: Option<DeliveryKey>) {
        if let Some(delivery) = delivery.filter(|delivery| self.lock().looking.contains(delivery)) {
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
mod tests;
