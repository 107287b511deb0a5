//! How many objects are worked on for one cluster at a time, and who is next.
//!
//! A cluster that answers slowly holds up whoever works with it, for as long as each request may take. Were there one
//! number of places for all, a single such cluster would take them all and hold up every other. So each has its own, and
//! whoever waits for one is in nobody's way.
//!
//! What a cluster has not got yet goes before looks at what it has: a crowd that joins it would wait for its own reports.
//! But looks are never held up for good.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::sync::oneshot;

use crate::cluster_plane::ClusterKey;

/// More than a cluster is changed by at a time (`Cluster::turn`): the others read and write the plane's own stores.
const PER_CLUSTER: usize = 24;
/// How many of these may be for looks.
const LOOKS: usize = 8;
/// After so many changes in a row it is the turn of one who only looks.
const IN_A_ROW: usize = 8;

/// What a place is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// The cluster is to be changed.
    Change,
    /// What is there is to be looked at.
    Look,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub struct Place {
    errand: Errand,
    line: Arc<Line>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.line.leave(self.errand);
    }
}

/// The places of all clusters.
#[derive(Debug, Default)]
pub struct Places(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    closed: bool,
    clusters: HashMap<ClusterKey, Weak<Line>>,
}

/// Who waits for a place at one cluster.
#[derive(Debug)]
struct Line(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    /// Places that are taken.
    taken: usize,
    /// Those of them that are for looks.
    looking: usize,
    closed: bool,
    /// Changes that were let in before a look that waits.
    in_a_row: usize,
    changes: VecDeque<Waiter>,
    looks: VecDeque<Waiter>,
}

/// One of those who wait, by the UID of the object that he works on.
#[derive(Debug)]
struct Waiter {
    uid: String,
    let_in: oneshot::Sender<Place>,
}

impl Places {
    /// Waits for a place to work on an object, in the order of asking among those of the same errand. There is none any
    /// more while the plane shuts down.
    pub async fn at(&self, cluster: &ClusterKey, uid: &str, errand: Errand) -> Option<Place> {
        let line = self.of(cluster)?;
        let (let_in, comes) = oneshot::channel();
        line.join(errand, Waiter { uid: uid.to_owned(), let_in });
        comes.await.ok()
    }

    /// Who waits to look at this object is to change it by now.
    pub fn hurry(&self, cluster: &ClusterKey, uid: &str) {
        if let Some(line) = lock(&self.0).clusters.get(cluster).and_then(Weak::upgrade) {
            line.hurry(uid);
        }
    }

    /// Lets nobody in any more; whoever waits leaves.
    pub fn close(&self) {
        let mut state = lock(&self.0);
        state.closed = true;
        state.clusters.values().filter_map(Weak::upgrade).for_each(|line| line.close());
    }

    fn of(&self, cluster: &ClusterKey) -> Option<Arc<Line>> {
        let mut state = lock(&self.0);
        if state.closed {
            return None;
        }
        if let Some(line) = state.clusters.get(cluster).and_then(Weak::upgrade) {
            return Some(line);
        }
        // Clusters go.
        state.clusters.retain(|_, line| line.strong_count() > 0);
        let line = Arc::new(Line(Mutex::default()));
        state.clusters.insert(cluster.clone(), Arc::downgrade(&line));
        Some(line)
    }
}

impl Line {
    /// Lets somebody in as soon as there is a place for him; not at all, who comes after the close.
    fn join(self: &Arc<Self>, errand: Errand, waiter: Waiter) {
        let mut waiting = lock(&self.0);
        match errand {
            _ if waiting.closed => return,
            Errand::Change => waiting.changes.push_back(waiter),
            Errand::Look => waiting.looks.push_back(waiter),
        }
        self.admit(waiting);
    }

    fn hurry(self: &Arc<Self>, uid: &str) {
        let mut waiting = lock(&self.0);
        let found = waiting.looks.iter().position(|waiter| waiter.uid == uid);
        if let Some(waiter) = found.and_then(|found| waiting.looks.remove(found)) {
            waiting.changes.push_back(waiter);
            self.admit(waiting);
        }
    }

    fn leave(self: &Arc<Self>, errand: Errand) {
        let mut waiting = lock(&self.0);
        waiting.taken -= 1;
        waiting.looking -= usize::from(errand == Errand::Look);
        self.admit(waiting);
    }

    fn admit(self: &Arc<Self>, mut waiting: MutexGuard<'_, Waiting>) {
        let mut admitted = Vec::new();
        while waiting.taken < PER_CLUSTER
            && let Some((errand, waiter)) = waiting.next()
        {
            waiting.taken += 1;
            waiting.looking += usize::from(errand == Errand::Look);
            admitted.push((waiter, Place { errand, line: self.clone() }));
        }
        // The place of one who has stopped waiting is dropped here, which asks for the lock again.
        drop(waiting);
        for (waiter, place) in admitted {
            drop(waiter.let_in.send(place));
        }
    }

    fn close(&self) {
        let mut waiting = lock(&self.0);
        waiting.closed = true;
        waiting.changes.clear();
        waiting.looks.clear();
    }
}

impl Waiting {
    fn next(&mut self) -> Option<(Errand, Waiter)> {
        let may_look = self.looking < LOOKS && !self.looks.is_empty();
        if !(may_look && self.in_a_row >= IN_A_ROW)
            && let Some(change) = self.changes.pop_front()
        {
            self.in_a_row = if self.looks.is_empty() { 0 } else { self.in_a_row + 1 };
            return Some((Errand::Change, change));
        }
        if !may_look {
            return None;
        }
        self.in_a_row = 0;
        let look = self.looks.pop_front()?;
        Some((Errand::Look, look))
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, future::join_all};

    use super::{Errand::*, *};

    fn cluster(name: &str) -> ClusterKey {
        ("fleet".to_owned(), name.to_owned())
    }

    #[tokio::test]
    async fn a_cluster_whose_places_are_taken_holds_up_no_other() {
        let places = Places::default();
        let (slow, quick) = (cluster("slow"), cluster("quick"));
        let mut taken = join_all((0..PER_CLUSTER).map(|_| places.at(&slow, "u", Change))).await;
        let mut first = Box::pin(places.at(&slow, "u", Change));
        let mut second = Box::pin(places.at(&slow, "u", Change));
        assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
        assert!(places.at(&quick, "u", Change).now_or_never().flatten().is_some());
        // Who came first is let in first.
        taken.pop();
        assert!((&mut second).now_or_never().is_none());
        assert!(first.now_or_never().flatten().is_some());
        assert!(second.now_or_never().flatten().is_some(), "the first has left");
    }

    #[tokio::test]
    async fn changes_go_before_looks_but_not_for_ever() {
        let places = Places::default();
        let busy = cluster("busy");
        let taken = join_all((0..PER_CLUSTER).map(|_| places.at(&busy, "u", Change))).await;
        let mut waiting: Vec<_> = (0..24)
            .map(|number| if number < 4 { Look } else { Change })
            .map(|errand| (errand, Box::pin(places.at(&busy, "u", errand))))
            .collect();
        for (_, place) in &mut waiting {
            assert!(place.now_or_never().is_none());
        }
        let mut order = Vec::new();
        let mut inside = Vec::new();
        for place in taken {
            drop(place);
            let next = waiting.iter_mut().enumerate().find_map(|(at, (_, place))| Some((at, place.now_or_never()?)));
            if let Some((at, place)) = next {
                order.push(waiting.remove(at).0);
                inside.push(place);
            }
        }
        let row = [[Change; IN_A_ROW].as_slice(), &[Look]].concat();
        assert_eq!(order, [row.as_slice(), &row, &[Change; 4], &[Look; 2]].concat());
    }

    #[tokio::test]
    async fn a_look_that_has_become_a_change_waits_as_one() {
        let places = Places::default();
        let busy = cluster("busy");
        let taken = join_all((0..PER_CLUSTER).map(|_| places.at(&busy, "u", Change))).await;
        let mut looks: Vec<_> = ["a", "b"].map(|uid| Box::pin(places.at(&busy, uid, Look))).into();
        let mut change = Box::pin(places.at(&busy, "c", Change));
        assert!(looks.iter_mut().all(|look| look.now_or_never().is_none()) && (&mut change).now_or_never().is_none());
        places.hurry(&busy, "b");
        places.hurry(&busy, "nobody");
        places.hurry(&cluster("elsewhere"), "a");
        let mut taken = taken.into_iter();
        drop(taken.next());
        let first = change.now_or_never().flatten();
        drop(taken.next());
        let second = looks[1].as_mut().now_or_never().flatten();
        assert!(first.is_some() && second.is_some() && looks[0].as_mut().now_or_never().is_none());
    }

    #[tokio::test]
    async fn looks_leave_room_for_changes() {
        let places = Places::default();
        let busy = cluster("busy");
        let mut looking = join_all((0..LOOKS).map(|_| places.at(&busy, "u", Look))).await;
        let mut next = Box::pin(places.at(&busy, "u", Look));
        assert!((&mut next).now_or_never().is_none());
        assert!(places.at(&busy, "u", Change).now_or_never().flatten().is_some());
        looking.pop();
        assert!(next.now_or_never().flatten().is_some());
    }

    #[tokio::test]
    async fn who_stops_waiting_takes_no_place() {
        let places = Places::default();
        let slow = cluster("slow");
        let mut taken = join_all((0..PER_CLUSTER).map(|_| places.at(&slow, "u", Change))).await;
        let mut gone = Box::pin(places.at(&slow, "u", Change));
        let mut let_in = Box::pin(places.at(&slow, "u", Change));
        assert!((&mut gone).now_or_never().is_none() && (&mut let_in).now_or_never().is_none());
        drop(gone);
        taken.pop();
        // He is let in, and leaves before he has noticed.
        drop(let_in);
        assert!(places.at(&slow, "u", Look).now_or_never().flatten().is_some());
    }

    #[tokio::test]
    async fn whoever_waits_leaves_when_the_plane_shuts_down() {
        let places = Places::default();
        let slow = cluster("slow");
        let taken = join_all((0..PER_CLUSTER).map(|_| places.at(&slow, "u", Change))).await;
        let mut waits = Box::pin(places.at(&slow, "u", Look));
        assert!((&mut waits).now_or_never().is_none());
        places.close();
        assert!(waits.await.is_none() && places.at(&cluster("quick"), "u", Change).await.is_none());
        assert!(taken.iter().all(Option::is_some), "whoever is at work goes on");
    }

    #[tokio::test]
    async fn a_cluster_that_nobody_works_on_is_forgotten() {
        let places = Places::default();
        drop(places.at(&cluster("gone"), "u", Change).await);
        let _place = places.at(&cluster("here"), "u", Change).await;
        assert_eq!(lock(&places.0).clusters.keys().cloned().collect::<Vec<_>>(), [cluster("here")]);
    }
}
