//! The end of a delivery: what it has in its cluster goes, or stays, as it is to be; in any case the history says so.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kube::ResourceExt;

use super::{Request, bring, history::History};
use crate::{
    api::{ClusterDeletionPolicy, DeletionPolicy, Delivery, EphemeralCluster, reason},
    chart_store::DeploymentState,
    cluster_plane::{Cluster, ClusterKey, Standing, credential, remove},
    controllers::{context::Context, ephemeral_cluster::EphemeralClusterExt, outcome::Halt},
};

/// How a delivery ends.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// Its objects are deleted.
    Remove,
    /// Its objects stay; why.
    Leave(String),
    /// Its cluster is gone, or as good as that; why.
    Lost(String),
    /// That cannot be said yet; why.
    Wait(String),
}

/// Ends a delivery.
pub async fn retire(context: &Context, object: &Delivery) -> Result<(), Halt> {
    context.caches.ready().await;
    let request = Request::of(object, context);
    let mut history = History::read(context, &request).await?;
    let wanted = &object.spec.cluster;
    let key: ClusterKey = (wanted.namespace.clone(), wanted.name.clone());
    let cluster = context.caches.cluster(&key);
    let standing = match &cluster {
        // Whether a suspended one is there is not looked at.
        Some(cluster) if !cluster.spec.suspend => Some(context.fleet.standing(&key).await),
        _ => None,
    };
    match end(object, cluster.as_ref(), standing.as_ref(), Timestamp::now()) {
        End::Wait(why) => return Err(Halt::waiting_for(super::AWAY, reason::UNREACHABLE, why)),
        End::Lost(why) => history.end(DeploymentState::Lost, &why).await?,
        End::Leave(why) => history.end(DeploymentState::Removed, &why).await?,
        End::Remove => {
            if let Some(Standing::Here(cluster)) = &standing {
                take_away(context, &request, cluster).await?;
            }
            history.end(DeploymentState::Removed, "its objects were deleted").await?;
        }
    }
    let uid = object.uid().unwrap_or_default();
    context.refusals.forget(&uid);
    context.corrections.forget(&uid);
    Ok(())
}

/// Decides how a delivery ends.
fn end(object: &Delivery, cluster: Option<&EphemeralCluster>, standing: Option<&Standing>, now: Timestamp) -> End {
    let wanted = &object.spec.cluster;
    let Some(cluster) = cluster else { return End::Lost(format!("EphemeralCluster {wanted} is gone")) };
    if object.status.as_ref().is_none_or(|status| status.inventory.is_none()) {
        return End::Leave("nothing was applied".to_owned());
    }
    if object.spec.deletion_policy == DeletionPolicy::Orphan {
        return End::Leave("its objects stay where they are, as spec.deletionPolicy of the overlay says".to_owned());
    }
    let leaves = cluster.metadata.deletion_timestamp.as_ref().map(|at| at.0);
    let ends = leaves.or(cluster.expired(now));
    if ends.is_some() && cluster.spec.cluster_deletion_policy == ClusterDeletionPolicy::Orphan {
        let why = "its objects stay where they are, as spec.clusterDeletionPolicy of the cluster says";
        return End::Leave(why.to_owned());
    }
    match standing {
        None => End::Wait(format!("EphemeralCluster {wanted} is suspended")),
        Some(Standing::Here(found)) if found.reference().uid == wanted.uid => End::Remove,
        Some(Standing::Here(_)) => {
            End::Lost(format!("{wanted} is another cluster now: it was made anew under its name"))
        }
        Some(Standing::Away(why)) => {
            let waits_until = ends.and_then(|ends| match cluster.spec.cluster_deletion_policy {
                ClusterDeletionPolicy::Enforce => ends.checked_add(cluster.spec.deletion_grace_period.length()).ok(),
                _ => Some(ends),
            });
            if cluster.is_lost() || waits_until.is_some_and(|until| until <= now) {
                return End::Lost(format!("EphemeralCluster {wanted}: {why}"));
            }
            End::Wait(format!("its objects are in EphemeralCluster {wanted}, which cannot be reached: {why}"))
        }
    }
}

async fn take_away(context: &Context, request: &Request<'_>, cluster: &Cluster) -> Result<(), Halt> {
    let object = request.object;
    let status = object.status.clone().unwrap_or_default();
    let inventory = bring::inventory(context, &status).await?;
    let _turn = cluster.turn().await;
    remove::remove(cluster, &request.ownership, &inventory, &BTreeSet::new()).await?;
    let spec = &object.spec;
    let shares = |other: &Delivery| {
        other.uid() != object.uid()
            && other.spec.cluster == spec.cluster
            && other.spec.target_namespace == spec.target_namespace
    };
    if context.caches.deliveries(shares).is_empty() {
        credential::withdraw(cluster, context.chart_store.plane(), &spec.target_namespace).await?;
    }
    Ok(())
}
