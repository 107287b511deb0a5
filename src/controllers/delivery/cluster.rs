//! The cluster that a delivery goes to, as far as it can be worked with.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use kube::ResourceExt;

use super::{AWAY, unknown};
use crate::{
    api::{ClusterCredential, Delivery, reason},
    cluster_plane::{Cluster, ClusterKey, Standing},
    controllers::{
        context::Context,
        ephemeral_cluster::{EphemeralClusterExt, admission},
        outcome::Halt,
    },
};

/// A cluster that can be worked with.
pub struct Target {
    /// It.
    pub cluster: Arc<Cluster>,
    /// What variables stand for there.
    pub variables: BTreeMap<String, String>,
    /// What it pulls with.
    pub credential: Option<ClusterCredential>,
}

/// What became of a delivery's cluster.
pub enum Found {
    /// It is there.
    Here(Target),
    /// It may be there again.
    Away(Halt),
    /// It is gone, and what ran there with it; why.
    Lost(String),
}

/// Finds the cluster of a delivery.
pub async fn find(context: &Context, object: &Delivery) -> Result<Found, Halt> {
    let wanted = &object.spec.cluster;
    let key: ClusterKey = (wanted.namespace.clone(), wanted.name.clone());
    if context.caches.is_unreadable(wanted) {
        let message = format!("EphemeralCluster {wanted} cannot be read: it says why in a condition");
        return Ok(Found::Away(Halt::waiting_for(AWAY, reason::UNREADABLE, message)));
    }
    let Some(cluster) = context.caches.cluster(&key) else {
        return Ok(Found::Lost(format!("EphemeralCluster {wanted} is gone")));
    };
    if cluster.spec.suspend {
        let message = format!("EphemeralCluster {wanted} is suspended: everything stays as it is there");
        return Ok(Found::Away(Halt::waiting(reason::SUSPENDED, message)));
    }
    let namespace = object.namespace().unwrap_or_default();
    if !admission::admits(&context.caches, &cluster, &namespace) {
        let message = format!("EphemeralCluster {wanted} takes nothing of namespace {namespace} any more");
        return Ok(Found::Away(Halt::stalled_for(AWAY, reason::NOT_ADMITTED, message)));
    }
    match context.fleet.standing(&key).await {
        Standing::Here(found) if found.reference().uid == wanted.uid => {
            if let Some(at) = cluster.expired(Timestamp::now()) {
                let message = format!("the time of EphemeralCluster {wanted} was over at {at}");
                return Ok(Found::Away(Halt::stalled_for(AWAY, reason::EXPIRED, message)));
            }
            let credential = cluster.status.and_then(|status| status.credential);
            Ok(Found::Here(Target { cluster: found, variables: cluster.spec.variables, credential }))
        }
        Standing::Here(_) => {
            Ok(Found::Lost(format!("{wanted} is another cluster now: it was made anew under its name")))
        }
        Standing::Away(why) if cluster.is_lost() => Ok(Found::Lost(format!("EphemeralCluster {wanted}: {why}"))),
        Standing::Away(why) => {
            let message = format!(
                "EphemeralCluster {wanted}: {why}. What runs there goes on; it is looked at again when the cluster answers"
            );
            Ok(Found::Away(Halt::waiting_for(AWAY, reason::UNREACHABLE, message).observing([unknown()])))
        }
    }
}
