//! How many objects are worked on for one cluster at a time, and who is next.
//!
//! A cluster that answers slowly holds up whoever works with it, for as long as each request may take. Were there one
//! number of places for all, a single such cluster would take them all and hold up every other. So each has its own, and
//! whoever waits for one is in nobody's way: he leaves his name, and is called when a place is kept for him. Runs that
//! waited themselves would cost in proportion to how many there are, each time that one of them gets on (kube's runner
//! asks each run whether it is done).
//!
//! What a cluster has not got yet goes before looks at what it has: a crowd that joins it would wait for its own reports.
//! But looks are never held up for good.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kube::{Resource, ResourceExt};
use tokio::sync::mpsc;

use crate::cluster_plane::ClusterKey;

/// More than a cluster is changed by at a time (`Cluster::turn`): the others read and write the plane's own stores.
const PER_CLUSTER: usize = 24;
/// How many of these may be for looks.
const LOOKS: usize = 8;
/// How many while the cluster is changed: the last of a crowd would wait for the first ones' reports.
const LOOKS_BESIDE_CHANGES: usize = 1;
/// After so many changes in a row it is the turn of one who only looks.
const IN_A_ROW: usize = 64;

/// What a place is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// The cluster is to be changed.
    Change,
    /// What is there is to be looked at.
    Look,
}

/// An object that is to be worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// Its UID.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Who {
    /// This object.
    pub fn of(object: &impl Resource) -> Self {
        Self {
            uid: object.uid().unwrap_or_default(),
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
        }
    }
}

/// A place, until it is dropped.
#[derive(Debug)]
pub struct Place {
    cluster: ClusterKey,
    errand: Errand,
    lines: Arc<Lines>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let next = self.lines.lock().change(&self.cluster, |line| line.leave(self.errand));
        self.lines.call(next);
    }
}

/// The places of all clusters.
#[derive(Debug)]
pub struct Places {
    lines: Arc<Lines>,
    called: Mutex<Option<mpsc::UnboundedReceiver<Who>>>,
}

impl Default for Places {
    fn default() -> Self {
        let (call, called) = mpsc::unbounded_channel();
        Self { lines: Arc::new(Lines { state: Mutex::default(), call }), called: Mutex::new(Some(called)) }
    }
}

/// Who is where.
#[derive(Debug)]
struct Lines {
    state: Mutex<State>,
    call: mpsc::UnboundedSender<Who>,
}

#[derive(Debug, Default)]
struct State {
    /// The clusters at which somebody is or waits.
    lines: HashMap<ClusterKey, Line>,
    /// At which of them who waits or was called, by UID.
    waiting_at: HashMap<String, ClusterKey>,
}

/// One cluster.
#[derive(Debug, Default)]
struct Line {
    /// Places that are taken, or kept for those who were called.
    taken: usize,
    /// Those of them that are for looks.
    looking: usize,
    /// Changes that were let in before a look that waits.
    in_a_row: usize,
    /// How many turns were given out.
    turns: u64,
    /// Who waits, for what, and since which turn, by UID.
    waiting: HashMap<String, (Errand, u64)>,
    /// The same by turn.
    changes: BTreeMap<u64, Who>,
    looks: BTreeMap<u64, Who>,
    /// Who was called and has not come yet, by UID.
    called: HashMap<String, Errand>,
}

impl Places {
    /// A place to work on an object, if there is one, or one is kept for it. If not, it is [called](Self::called) when its
    /// turn comes, in the order of asking among those of the same errand. Whoever waits already has his turn; a look that
    /// has become a change gets the turn of one.
    pub fn ask(&self, cluster: &ClusterKey, who: &Who, errand: Errand) -> Option<Place> {
        let mut state = self.lines.lock();
        if state.waiting_at.get(&who.uid).is_some_and(|at| at != cluster) {
            let next = state.forget(&who.uid);
            self.lines.call(next);
        }
        state.lines.entry(cluster.clone()).or_default();
        let mut next = state.change(cluster, |line| line.join(who, errand));
        next.retain(|next| next != who);
        self.lines.call(next);
        match state.lines.get_mut(cluster).and_then(|line| line.come(&who.uid, errand)) {
            Some(errand) => {
                state.waiting_at.remove(&who.uid);
                Some(Place { cluster: cluster.clone(), errand, lines: self.lines.clone() })
            }
            None => {
                state.waiting_at.insert(who.uid.clone(), cluster.clone());
                None
            }
        }
    }

    /// An object is gone, or cannot be worked on: it does not wait any more, and no place is kept for it.
    pub fn forget(&self, uid: &str) {
        let next = self.lines.lock().forget(uid);
        self.lines.call(next);
    }

    /// For whom places are kept. Who asks first hears of all.
    pub fn called(&self) -> mpsc::UnboundedReceiver<Who> {
        let called = self.called.lock().unwrap_or_else(PoisonError::into_inner).take();
        called.unwrap_or_else(|| mpsc::unbounded_channel().1)
    }
}

impl Lines {
    fn call(&self, next: Vec<Who>) {
        for who in next {
            // Nobody is there to be called only when all ends.
            self.call.send(who).ok();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Changes who is at a cluster; who is next there.
    fn change(&mut self, cluster: &ClusterKey, change: impl FnOnce(&mut Line)) -> Vec<Who> {
        let Some(line) = self.lines.get_mut(cluster) else { return Vec::new() };
        change(line);
        let next = line.let_in();
        if line.taken == 0 && line.waiting.is_empty() {
            // Clusters go.
            self.lines.remove(cluster);
        }
        next
    }

    fn forget(&mut self, uid: &str) -> Vec<Who> {
        match self.waiting_at.remove(uid) {
            Some(cluster) => self.change(&cluster, |line| line.forget(uid)),
            None => Vec::new(),
        }
    }
}

impl Line {
    fn join(&mut self, who: &Who, errand: Errand) {
        let waits_for = self.waiting.get(&who.uid).map(|(errand, _)| *errand);
        let has_turn = waits_for == Some(errand) || waits_for == Some(Errand::Change);
        if has_turn || self.called.contains_key(&who.uid) {
            return;
        }
        self.stop_waiting(&who.uid);
        self.turns += 1;
        let turn = self.turns;
        self.waiting.insert(who.uid.clone(), (errand, turn));
        self.of(errand).insert(turn, who.clone());
    }

    fn of(&mut self, errand: Errand) -> &mut BTreeMap<u64, Who> {
        match errand {
            Errand::Change => &mut self.changes,
            Errand::Look => &mut self.looks,
        }
    }

    fn stop_waiting(&mut self, uid: &str) {
        if let Some((errand, turn)) = self.waiting.remove(uid) {
            self.of(errand).remove(&turn);
        }
    }

    /// Takes the place that is kept for somebody. He may have come to look, and have to change something by now.
    fn come(&mut self, uid: &str, errand: Errand) -> Option<Errand> {
        let kept_for = self.called.remove(uid)?;
        if (kept_for, errand) == (Errand::Look, Errand::Change) {
            self.looking -= 1;
            return Some(Errand::Change);
        }
        Some(kept_for)
    }

    fn leave(&mut self, errand: Errand) {
        self.taken -= 1;
        self.looking -= usize::from(errand == Errand::Look);
    }

    fn forget(&mut self, uid: &str) {
        self.stop_waiting(uid);
        if let Some(errand) = self.called.remove(uid) {
            self.leave(errand);
        }
    }

    /// Keeps places for those whose turn it is.
    fn let_in(&mut self) -> Vec<Who> {
        let mut let_in = Vec::new();
        while self.taken < PER_CLUSTER
            && let Some((errand, who)) = self.next()
        {
            self.taken += 1;
            self.looking += usize::from(errand == Errand::Look);
            self.waiting.remove(&who.uid);
            self.called.insert(who.uid.clone(), errand);
            let_in.push(who);
        }
        let_in
    }

    fn next(&mut self) -> Option<(Errand, Who)> {
        let is_changed = self.taken > self.looking || !self.changes.is_empty();
        let places = if is_changed { LOOKS_BESIDE_CHANGES } else { LOOKS };
        let may_look = self.looking < places && !self.looks.is_empty();
        if !(may_look && self.in_a_row >= IN_A_ROW)
            && let Some((_, change)) = self.changes.pop_first()
        {
            self.in_a_row = if self.looks.is_empty() { 0 } else { self.in_a_row + 1 };
            return Some((Errand::Change, change));
        }
        if !may_look {
            return None;
        }
        self.in_a_row = 0;
        let (_, look) = self.looks.pop_first()?;
        Some((Errand::Look, look))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::{Errand::*, *};

    fn cluster(name: &str) -> ClusterKey {
        ("fleet".to_owned(), name.to_owned())
    }

    fn who(uid: &str) -> Who {
        Who { uid: uid.to_owned(), namespace: "shop".to_owned(), name: format!("of-{uid}") }
    }

    /// A cluster at which somebody is at work.
    struct Scene {
        places: Places,
        calls: mpsc::UnboundedReceiver<Who>,
        at_work: VecDeque<Place>,
    }

    impl Scene {
        /// So many places are taken for this errand, and nobody waits.
        fn of(taken: usize, errand: Errand) -> Self {
            let places = Places::default();
            let calls = places.called();
            let mut scene = Self { places, calls, at_work: VecDeque::new() };
            for number in 0..taken {
                let place = scene.ask(&format!("first-{number}"), errand);
                scene.at_work.push_back(place.expect("there is room"));
            }
            scene
        }

        fn ask(&self, uid: &str, errand: Errand) -> Option<Place> {
            self.places.ask(&cluster("busy"), &who(uid), errand)
        }

        fn waits(&self, uid: &str, errand: Errand) {
            assert!(self.ask(uid, errand).is_none(), "{uid} has a place");
        }

        /// Whoever came first leaves; who is called thereupon, if anybody is.
        fn one_leaves(&mut self) -> Option<String> {
            drop(self.at_work.pop_front());
            self.call()
        }

        fn call(&mut self) -> Option<String> {
            self.calls.try_recv().ok().map(|who| who.uid)
        }
    }

    #[test]
    fn a_cluster_whose_places_are_taken_holds_up_no_other() {
        let mut scene = Scene::of(PER_CLUSTER, Change);
        scene.waits("a", Change);
        scene.waits("b", Change);
        assert!(scene.places.ask(&cluster("quick"), &who("c"), Change).is_some());
        // Who came first is called first, and nobody takes his place meanwhile.
        assert_eq!(scene.one_leaves(), Some("a".to_owned()));
        scene.waits("b", Change);
        let place = scene.ask("a", Change);
        assert!(place.is_some() && scene.call().is_none());
        drop(place);
        assert_eq!(scene.call(), Some("b".to_owned()));
    }

    #[test]
    fn who_waits_already_waits_once() {
        let mut scene = Scene::of(PER_CLUSTER, Change);
        for _ in 0..3 {
            scene.waits("a", Change);
            scene.waits("b", Look);
            // It was to be changed a moment ago.
            scene.waits("a", Look);
        }
        let called: Vec<_> = (0..PER_CLUSTER).filter_map(|_| scene.one_leaves()).collect();
        assert_eq!(called, ["a", "b"]);
    }

    #[test]
    fn changes_go_before_looks_but_not_for_ever() {
        let mut scene = Scene::of(PER_CLUSTER, Change);
        (0..4).for_each(|number| scene.waits(&format!("look-{number}"), Look));
        (0..IN_A_ROW + 4).for_each(|number| scene.waits(&format!("change-{number}"), Change));
        let mut called = Vec::new();
        while !scene.at_work.is_empty() {
            let Some(next) = scene.one_leaves() else { continue };
            let errand = if next.starts_with("look") { Look } else { Change };
            let place = scene.ask(&next, errand).expect("a place is kept");
            scene.at_work.push_back(place);
            let (looks, changes): (Vec<_>, Vec<_>) = scene.at_work.iter().partition(|place| place.errand == Look);
            assert!(
                changes.is_empty() || looks.len() <= LOOKS_BESIDE_CHANGES,
                "more have to wait until those are over"
            );
            called.push(next);
        }
        let changes = |numbers: std::ops::Range<usize>| numbers.map(|number| format!("change-{number}"));
        let expected: Vec<_> = changes(0..IN_A_ROW)
            .chain(["look-0".to_owned()])
            .chain(changes(IN_A_ROW..IN_A_ROW + 4))
            .chain((1..4).map(|number| format!("look-{number}")))
            .collect();
        assert_eq!(called, expected);
    }

    #[test]
    fn looks_leave_room_for_changes() {
        let mut scene = Scene::of(LOOKS, Look);
        scene.waits("look", Look);
        let change = scene.ask("change", Change);
        assert!(change.is_some());
        // While the cluster is changed there are fewer of them.
        let called: Vec<_> = (0..LOOKS).filter_map(|_| scene.one_leaves()).collect();
        assert_eq!(called, ["look"]);
        let look = scene.ask("look", Look);
        assert!(look.is_some());
        (1..3).for_each(|number| scene.waits(&format!("look-{number}"), Look));
        drop(change);
        assert_eq!([scene.call(), scene.call()], ["look-1", "look-2"].map(|uid| Some(uid.to_owned())));
    }

    #[test]
    fn a_look_that_has_become_a_change_waits_as_one() {
        let mut scene = Scene::of(PER_CLUSTER, Change);
        ["a", "b", "c"].iter().for_each(|uid| scene.waits(uid, Look));
        scene.waits("d", Change);
        scene.waits("b", Change);
        let called: Vec<_> = (0..4).filter_map(|_| scene.one_leaves()).collect();
        assert_eq!(called, ["d", "b", "a"]);
        // Also after it was called.
        let place = scene.ask("a", Change);
        assert_eq!(place.as_ref().map(|place| place.errand), Some(Change));
        scene.waits("e", Look);
        assert_eq!(scene.call().as_deref(), Some("c"), "it is no look any more");
    }

    #[test]
    fn whoever_is_gone_neither_waits_nor_keeps_a_place() {
        let mut scene = Scene::of(PER_CLUSTER, Change);
        ["a", "b", "c"].iter().for_each(|uid| scene.waits(uid, Change));
        scene.places.forget("b");
        scene.places.forget("nobody");
        scene.waits("b", Change);
        assert_eq!(scene.one_leaves(), Some("a".to_owned()));
        scene.places.forget("a");
        assert_eq!(scene.call(), Some("c".to_owned()), "who comes back comes after those who stayed");
        scene.places.forget("b");
        scene.at_work.clear();
        // It is for another cluster by now.
        assert!(scene.places.ask(&cluster("other"), &who("c"), Change).is_some());
        assert!(scene.call().is_none() && scene.places.lines.lock().lines.is_empty(), "and the cluster is forgotten");
    }
}
