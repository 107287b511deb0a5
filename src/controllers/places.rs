//! How many objects are worked on for one cluster at a time.
//!
//! A cluster that answers slowly holds up whoever works with it, for as long as each request may take. Were there one
//! number of places for all, a single such cluster would take them all and hold up every other. So each has its own, and
//! whoever waits for one is in nobody's way.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::cluster_plane::ClusterKey;

/// More than a cluster is changed by at a time (`Cluster::turn`): the others read and write the plane's own stores.
const PER_CLUSTER: usize = 64;

/// A place, until it is dropped.
pub type Place = OwnedSemaphorePermit;

/// The places of all clusters.
#[derive(Debug, Default)]
pub struct Places(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    closed: bool,
    clusters: HashMap<ClusterKey, Weak<Semaphore>>,
}

impl Places {
    /// Waits for a place, in the order of asking. There is none any more while the plane shuts down.
    pub async fn at(&self, cluster: &ClusterKey) -> Option<Place> {
        let places = self.of(cluster)?;
        places.acquire_owned().await.ok()
    }

    /// Lets nobody in any more; whoever waits leaves.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.clusters.values().filter_map(Weak::upgrade).for_each(|places| places.close());
    }

    fn of(&self, cluster: &ClusterKey) -> Option<Arc<Semaphore>> {
        let mut state = self.lock();
        if state.closed {
            return None;
        }
        if let Some(places) = state.clusters.get(cluster).and_then(Weak::upgrade) {
            return Some(places);
        }
        // Clusters go.
        state.clusters.retain(|_, places| places.strong_count() > 0);
        let places = Arc::new(Semaphore::new(PER_CLUSTER));
        state.clusters.insert(cluster.clone(), Arc::downgrade(&places));
        Some(places)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, future::join_all};

    use super::*;

    fn cluster(name: &str) -> ClusterKey {
        ("fleet".to_owned(), name.to_owned())
    }

    #[tokio::test]
    async fn a_cluster_whose_places_are_taken_holds_up_no_other() {
        let places = Places::default();
        let (slow, quick) = (cluster("slow"), cluster("quick"));
        let mut taken = join_all((0..PER_CLUSTER).map(|_| places.at(&slow))).await;
        let mut first = Box::pin(places.at(&slow));
        let mut second = Box::pin(places.at(&slow));
        assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
        assert!(places.at(&quick).now_or_never().flatten().is_some());
        // Who came first is let in first.
        taken.pop();
        assert!((&mut second).now_or_never().is_none());
        assert!(first.now_or_never().flatten().is_some());
        assert!(second.now_or_never().flatten().is_some(), "the first has left");
    }

    #[tokio::test]
    async fn whoever_waits_leaves_when_the_plane_shuts_down() {
        let places = Places::default();
        let slow = cluster("slow");
        let taken = join_all((0..PER_CLUSTER).map(|_| places.at(&slow))).await;
        let mut waits = Box::pin(places.at(&slow));
        assert!((&mut waits).now_or_never().is_none());
        places.close();
        assert!(waits.await.is_none() && places.at(&cluster("quick")).await.is_none());
        assert!(taken.iter().all(Option::is_some), "whoever is at work goes on");
    }

    #[tokio::test]
    async fn a_cluster_that_nobody_works_on_is_forgotten() {
        let places = Places::default();
        drop(places.at(&cluster("gone")).await);
        let _place = places.at(&cluster("here")).await;
        assert_eq!(places.lock().clusters.keys().cloned().collect::<Vec<_>>(), [cluster("here")]);
    }
}
