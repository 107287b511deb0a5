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
            // Of several that end at once, none may leave it to another.
            && other.metadata.deletion_timestamp.is_none()
            && other.spec.cluster == spec.cluster
            && other.spec.target_namespace == spec.target_namespace
    };
    if context.caches.deliveries(shares).is_empty() {
        credential::withdraw(cluster, context.chart_store.plane(), &spec.target_namespace).await?;
    }
    Ok(())
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

    fn silent() -> Standing {
        Standing::Away("silent".into())
    }

    #[test]
    fn what_runs_in_a_silent_cluster_is_waited_for_as_long_as_its_object_stays() {
        let end = |spec, deleted| end(&delivery("Prune"), Some(&cluster(spec, deleted)), Some(&silent()), now());
        assert!(matches!(end(json!({}), None), End::Wait(_)));
        assert!(matches!(end(json!({}), Some(now())), End::Lost(_)), "a dead API holds nothing");
        let enforced = json!({"clusterDeletionPolicy": "Enforce", "deletionGracePeriod": "5m"});
        let minutes_ago = |minutes| Some(now() - SignedDuration::from_mins(minutes));
        assert!(matches!(end(enforced.clone(), minutes_ago(4)), End::Wait(_)));
        assert!(matches!(end(enforced, minutes_ago(5)), End::Lost(_)));
        assert!(matches!(end(json!({"expiresAt": "2026-01-01T00:00:00Z"}), None), End::Lost(_)));
    }

    #[test]
    fn what_is_to_stay_stays() {
        let leaves = |policy, spec, deleted| {
            matches!(end(&delivery(policy), Some(&cluster(spec, deleted)), Some(&silent()), now()), End::Leave(_))
        };
        assert!(leaves("Orphan", json!({}), None));
        assert!(leaves("Prune", json!({"clusterDeletionPolicy": "Orphan"}), Some(now())));
        assert!(!leaves("Prune", json!({"clusterDeletionPolicy": "Orphan"}), None), "the cluster does not end");
    }

    #[test]
    fn without_its_cluster_it_is_lost_and_without_objects_it_just_ends() {
        assert!(matches!(end(&delivery("Prune"), None, None, now()), End::Lost(_)));
        let unapplied = Delivery { status: None, ..delivery("Prune") };
        assert!(matches!(end(&unapplied, Some(&cluster(json!({}), None)), Some(&silent()), now()), End::Leave(_)));
    }
}
