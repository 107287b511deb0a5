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
    line: Option<Arc<Line>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(line) = self.line.take() {
            line.leave(self.errand);
        }
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
    changes: VecDeque<oneshot::Sender<Place>>,
    looks: VecDeque<oneshot::Sender<Place>>,
}

impl Places {
    /// Waits for a place, in the order of asking among those of the same errand. There is none any more while the plane
    /// shuts down.
    pub async fn at(&self, cluster: &ClusterKey, errand: Errand) -> Option<Place> {
        let line = self.of(cluster)?;
        let (let_in, comes) = oneshot::channel();
        line.join(errand, let_in);
        comes.await.ok()
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
    fn join(self: &Arc<Self>, errand: Errand, let_in: oneshot::Sender<Place>) {
        let mut waiting = lock(&self.0);
        match errand {
            _ if waiting.closed => return,
            Errand::Change => waiting.changes.push_back(let_in),
            Errand::Look => waiting.looks.push_back(let_in),
        }
        self.admit(&mut waiting);
    }

    fn leave(self: &Arc<Self>, errand: Errand) {
        let mut waiting = lock(&self.0);
        waiting.taken -= 1;
        waiting.looking -= usize::from(errand == Errand::Look);
        self.admit(&mut waiting);
    }

    fn admit(self: &Arc<Self>, waiting: &mut Waiting) {
        while waiting.taken < PER_CLUSTER
            && let Some((errand, next)) = waiting.next()
        {
            match next.send(Place { errand, line: Some(self.clone()) }) {
                Ok(()) => {
                    waiting.taken += 1;
                    waiting.looking += usize::from(errand == Errand::Look);
                }
                // He has stopped waiting. The place was never taken.
                Err(mut place) => place.line = None,
            }
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
    fn next(&mut self) -> Option<(Errand, oneshot::Sender<Place>)> {
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
        let mut taken = join_all((0..PER_CLUSTER).map(|_| places.at(&slow, Change))).await;
        let mut first = Box::pin(places.at(&slow, Change));
        let mut second = Box::pin(places.at(&slow, Change));
        assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
        assert!(places.at(&quick, Change).now_or_never().flatten().is_some());
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
        let taken = join_all((0..PER_CLUSTER).map(|_| places.at(&busy, Change))).await;
        let mut waiting: Vec<_> = (0..24)
            .map(|number| if number < 4 { Look } else { Change })
            .map(|errand| (errand, Box::pin(places.at(&busy, errand))))
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
    async fn looks_leave_room_for_changes() {
        let places = Places::default();
        let busy = cluster("busy");
        let mut looking = join_all((0..LOOKS).map(|_| places.at(&busy, Look))).await;
        let mut next = Box::pin(places.at(&busy, Look));
        assert!((&mut next).now_or_never().is_none());
        assert!(places.at(&busy, Change).now_or_never().flatten().is_some());
        looking.pop();
        assert!(next.now_or_never().flatten().is_some());
    }

    #[tokio::test]
    async fn who_stops_waiting_takes_no_place() {
        let places = Places::default();
        let slow = cluster("slow");
        let mut taken = join_all((0..PER_CLUSTER).map(|_| places.at(&slow, Change))).await;
        let mut gone = Box::pin(places.at(&slow, Change));
        let mut let_in = Box::pin(places.at(&slow, Change));
        assert!((&mut gone).now_or_never().is_none() && (&mut let_in).now_or_never().is_none());
        drop(gone);
        taken.pop();
        // He is let in, and leaves before he has noticed.
        drop(let_in);
        assert!(places.at(&slow, Look).now_or_never().flatten().is_some());
    }

    #[tokio::test]
    async fn whoever_waits_leaves_when_the_plane_shuts_down() {
        let places = Places::default();
        let slow = cluster("slow");
        let taken = join_all((0..PER_CLUSTER).map(|_| places.at(&slow, Change))).await;
        let mut waits = Box::pin(places.at(&slow, Look));
        assert!((&mut waits).now_or_never().is_none());
        places.close();
        assert!(waits.await.is_none() && places.at(&cluster("quick"), Change).await.is_none());
        assert!(taken.iter().all(Option::is_some), "whoever is at work goes on");
    }

    #[tokio::test]
    async fn a_cluster_that_nobody_works_on_is_forgotten() {
        let places = Places::default();
        drop(places.at(&cluster("gone"), Change).await);
        let _place = places.at(&cluster("here"), Change).await;
        assert_eq!(lock(&places.0).clusters.keys().cloned().collect::<Vec<_>>(), [cluster("here")]);
    }
}
