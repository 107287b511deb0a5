//! The end of a delivery: what it has in its cluster goes, or stays, as it is to be; in any case the history says so.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Request, bring, history::History, pull_secret};
use crate::{
    api::{ClusterDeletionPolicy, DeletionPolicy, Delivery, EphemeralCluster, reason},
    chart_store::DeploymentState,
    cluster_plane::{Cluster, ClusterKey, Standing, remove},
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
    if context.caches.is_unreadable(wanted) {
        let why = format!("EphemeralCluster {wanted} cannot be read: it says why in a condition");
        return Err(Halt::waiting_for(super::AWAY, reason::UNREADABLE, why));
    }
    let cluster = context.caches.cluster(&key);
    let now = Timestamp::now();
    let is_empty =
        object.status.as_ref().is_none_or(|status| status.inventory.is_none()) && history.inventory().is_none();
    let (end, standing) = match (without_looking(object, is_empty, cluster.as_ref(), now), &cluster) {
        (Some(end), _) => (end, None),
        // Whether a suspended one is there is not looked at, until it goes.
        (None, Some(cluster)) if cluster.spec.suspend && cluster.metadata.deletion_timestamp.is_none() => {
            (End::Wait(format!("EphemeralCluster {wanted} is suspended")), None)
        }
        (None, Some(cluster)) => {
            let standing = context.fleet.standing(&key).await;
            (by_standing(object, cluster, &standing, now), Some(standing))
        }
        (None, None) => (End::Lost(format!("EphemeralCluster {wanted} is gone")), None),
    };
    match end {
        End::Wait(why) => return Err(Halt::waiting_for(super::AWAY, reason::UNREACHABLE, why)),
        End::Lost(why) => history.end(DeploymentState::Lost, &why).await?,
        End::Leave(why) => history.end(DeploymentState::Removed, &why).await?,
        End::Remove => {
            if let Some(Standing::Here(reached)) = &standing {
                take_away(context, &request, &history, reached).await?;
            }
            history.end(DeploymentState::Removed, "its objects were deleted").await?;
        }
    }
    if let Some(cluster) = context.fleet.last(&key) {
        cluster.forget(request.ownership.delivery());
    }
    Ok(())
}

/// Decides how a delivery ends, where that does not depend on whether its cluster answers. One that is empty never had
/// anything there.
fn without_looking(
    object: &Delivery,
    is_empty: bool,
    cluster: Option<&EphemeralCluster>,
    now: Timestamp,
) -> Option<End> {
    let wanted = &object.spec.cluster;
    let Some(cluster) = cluster else { return Some(End::Lost(format!("EphemeralCluster {wanted} is gone"))) };
    if is_empty {
        return Some(End::Leave("nothing was applied".to_owned()));
    }
    if object.spec.deletion_policy == DeletionPolicy::Orphan {
        let why = "its objects stay where they are, as spec.deletionPolicy of the overlay says";
        return Some(End::Leave(why.to_owned()));
    }
    if ends_at(cluster, now).is_some() && cluster.spec.cluster_deletion_policy == ClusterDeletionPolicy::Orphan {
        let why = "its objects stay where they are, as spec.clusterDeletionPolicy of the cluster says";
        return Some(End::Leave(why.to_owned()));
    }
    None
}

/// When the cluster's end was asked for, or its time over.
fn ends_at(cluster: &EphemeralCluster, now: Timestamp) -> Option<Timestamp> {
    let leaves = cluster.metadata.deletion_timestamp.as_ref().map(|at| at.0);
    leaves.or(cluster.expired(now))
}

/// Decides how a delivery ends whose objects are to be deleted.
fn by_standing(object: &Delivery, cluster: &EphemeralCluster, standing: &Standing, now: Timestamp) -> End {
    let wanted = &object.spec.cluster;
    match standing {
        Standing::Here(found) if found.reference().uid == wanted.uid => End::Remove,
        Standing::Here(_) => End::Lost(format!("{wanted} is another cluster now: it was made anew under its name")),
        Standing::Away(why) => {
            let waits_until = ends_at(cluster, now).and_then(|ends| match cluster.spec.cluster_deletion_policy {
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

/// Deletes what is there, and the pull Secret unless something else in the namespace pulls with it.
async fn take_away(
    context: &Context,
    request: &Request<'_>,
    history: &History<'_>,
    cluster: &Cluster,
) -> Result<(), Halt> {
    let object = request.object;
    let status = object.status.clone().unwrap_or_default();
    let named = bring::inventory(context, &status).await?;
    let inventory = bring::may_be_there(context, &named, &status, history).await?;
    let _turn = cluster.turn().await;
    remove::remove(cluster, &request.ownership, &inventory, &BTreeSet::new()).await?;
    pull_secret::leave(context, object, cluster, BTreeSet::from([object.spec.target_namespace.clone()])).await
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use serde_json::{Value, json};

    use super::*;
    use crate::{digest::Digest, release::ClusterRef};

    fn now() -> Timestamp {
        "2026-01-02T00:00:00Z".parse().unwrap()
    }

    fn cluster(spec: Value, deleted: Option<Timestamp>) -> EphemeralCluster {
        let mut all = json!({"connection": {"kubeConfig": {"secretRef": {"name": "eu-1"}}}});
        all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let metadata =
            json!({"name": "eu-1", "namespace": "fleet", "deletionTimestamp": deleted.map(|at| at.to_string())});
        serde_json::from_value(json!({"metadata": metadata, "spec": all})).unwrap()
    }

    fn delivery(policy: &str) -> Delivery {
        serde_json::from_value(json!({
            "metadata": {"name": "web.prod.fleet.eu-1", "namespace": "shop"},
            "spec": {
                "application": "web", "environment": "prod", "targetNamespace": "shop", "artifact": Digest::of("a"),
                "cluster": ClusterRef::new("fleet", "eu-1", "u"), "driftPolicy": "Correct", "onFailure": "Hold",
                "timeout": "10m", "deletionPolicy": policy,
            },
            "status": {"inventory": {"digest": Digest::of("i"), "objects": 1}},
        }))
        .unwrap()
    }

    /// How it ends in a cluster that does not answer.
    fn end(delivery: &Delivery, cluster: Option<&EphemeralCluster>) -> End {
        let silent = Standing::Away("silent".into());
        without_looking(delivery, delivery.status.is_none(), cluster, now())
            .unwrap_or_else(|| by_standing(delivery, cluster.unwrap(), &silent, now()))
    }

    #[test]
    fn what_runs_in_a_silent_cluster_is_waited_for_as_long_as_its_object_stays() {
        let ends = |spec, deleted| end(&delivery("Prune"), Some(&cluster(spec, deleted)));
        assert!(matches!(ends(json!({}), None), End::Wait(_)));
        assert!(matches!(ends(json!({}), Some(now())), End::Lost(_)), "a dead API holds nothing");
        let enforced = json!({"clusterDeletionPolicy": "Enforce", "deletionGracePeriod": "5m"});
        let minutes_ago = |minutes| Some(now() - SignedDuration::from_mins(minutes));
        assert!(matches!(ends(enforced.clone(), minutes_ago(4)), End::Wait(_)));
        assert!(matches!(ends(enforced, minutes_ago(5)), End::Lost(_)));
        assert!(matches!(ends(json!({"expiresAt": "2026-01-01T00:00:00Z"}), None), End::Lost(_)));
    }

    #[test]
    fn what_is_to_stay_stays() {
        let leaves =
            |policy, spec, deleted| matches!(end(&delivery(policy), Some(&cluster(spec, deleted))), End::Leave(_));
        assert!(leaves("Orphan", json!({}), None));
        assert!(leaves("Prune", json!({"clusterDeletionPolicy": "Orphan"}), Some(now())));
        assert!(!leaves("Prune", json!({"clusterDeletionPolicy": "Orphan"}), None), "the cluster does not end");
    }

    #[test]
    fn without_its_cluster_it_is_lost_and_without_objects_it_just_ends() {
        assert!(matches!(end(&delivery("Prune"), None), End::Lost(_)));
        let unapplied = Delivery { status: None, ..delivery("Prune") };
        assert!(matches!(end(&unapplied, Some(&cluster(json!({}), None))), End::Leave(_)));
    }
}
