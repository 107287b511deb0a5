//! The clusters that the plane knows of, and whether they answer.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::{Mutex, mpsc, watch};

use super::{cluster::Cluster, ownership::DeliveryKey};

/// An `EphemeralCluster`: by namespace and name.
pub type ClusterKey = (String, String);

/// What was found out about a cluster.
#[derive(Debug, Clone)]
pub enum Standing {
    /// It answers.
    Here(Arc<Cluster>),
    /// It does not, or cannot be asked; why.
    Away(String),
}

#[derive(Debug, Clone)]
struct Known {
    standing: Standing,
    /// The one that answered last: should it answer again, its watches go on.
    last: Option<Arc<Cluster>>,
}

/// The clusters by their objects. One that is connected anew takes the place of the one before, whose watches end.
#[derive(Debug)]
pub struct Fleet {
    clusters: watch::Sender<HashMap<ClusterKey, Known>>,
    wake: mpsc::UnboundedSender<DeliveryKey>,
    woken: Mutex<mpsc::UnboundedReceiver<DeliveryKey>>,
}

impl Default for Fleet {
    fn default() -> Self {
        let (wake, woken) = mpsc::unbounded_channel();
        Self { clusters: watch::Sender::default(), wake, woken: Mutex::new(woken) }
    }
}

impl Fleet {
    /// The next delivery whose objects have changed in its cluster.
    pub async fn woken(&self) -> Option<DeliveryKey> {
        self.woken.lock().await.recv().await
    }

    /// What clusters tell of changes through.
    pub fn wake(&self) -> mpsc::UnboundedSender<DeliveryKey> {
        self.wake.clone()
    }

    /// What is known of a cluster, as soon as it was looked at since this program started.
    pub async fn standing(&self, key: &ClusterKey) -> Standing {
        let mut clusters = self.clusters.subscribe();
        let known = clusters.wait_for(|clusters| clusters.contains_key(key)).await;
        let known = known.ok().and_then(|clusters| clusters.get(key).map(|known| known.standing.clone()));
        known.unwrap_or_else(|| Standing::Away("the plane shuts down".to_owned()))
    }

    /// The cluster of an object that answered last, whether or not it does now.
    pub fn last(&self, key: &ClusterKey) -> Option<Arc<Cluster>> {
        self.clusters.borrow().get(key)?.last.clone()
    }

    /// A cluster was looked at.
    pub fn found(&self, key: ClusterKey, standing: Standing) {
        self.clusters.send_modify(|clusters| {
            let last = match &standing {
                Standing::Here(cluster) => Some(cluster.clone()),
                Standing::Away(_) => clusters.remove(&key).and_then(|known| known.last),
            };
            clusters.insert(key, Known { standing, last });
        });
    }

    /// A cluster's object is gone.
    pub fn forget(&self, key: &ClusterKey) {
        self.clusters.send_modify(|clusters| {
            clusters.remove(key);
        });
    }
}
