//! What pods of a cluster pull with: its credential, as the pull Secret in the namespaces that overlays go to. Each
//! delivery sees to it before it applies anything; whenever the credential is replaced it is one Secret for each
//! namespace, and nothing of the deliveries there is touched.
//!
//! Where others apply overlays (`delivery.mode: None`) the Secret is all of them that is the plane's business. There it is
//! not taken away again. A password is replaced after a day, and only where an overlay asks for it the new one is put:
//! elsewhere the Secret is worth nothing then.

use std::{collections::BTreeSet, pin::pin};

use futures::{StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::ByteString;

use super::{credential as issued, is_for as goes_to, key};
use crate::{
    api::{ClusterCredential, Delivery, DeliveryMode, EnvironmentOverlay, EphemeralCluster},
    cluster_plane::{
        Cluster, ClusterKey,
        apply::provide_namespace,
        credential,
        provisions::Provision,
        remote_error::{ApplyFailure, FailureKind},
    },
    controllers::{context::Context, environment_overlay::is_for, outcome::Halt, robots::may_read},
};

/// Namespaces of one cluster at a time.
const AT_ONCE: usize = 8;

/// Sees to it that the Secrets are there, and hold this credential. Returned is where they do not, and why: a namespace in
/// which something is wrong is no reason to hold up the cluster.
pub async fn provide(
    context: &Context,
    object: &EphemeralCluster,
    cluster: &Cluster,
    credential: &ClusterCredential,
) -> Result<Vec<String>, Halt> {
    let left_to_others = left_to_others(context, object);
    let mut delivered = delivered(context, object, &cluster.reference().uid);
    delivered.retain(|namespace| {
        !left_to_others.contains(namespace) && !cluster.pulled_with().has(&provision(namespace, credential))
    });
    if left_to_others.is_empty() && delivered.is_empty() {
        return Ok(Vec::new());
    }
    let docker_config = issued::read(context, cluster.reference()).await?;
    let all = left_to_others.into_iter().map(|it| (it, true)).chain(delivered.into_iter().map(|it| (it, false)));
    let giving = all.map(|(namespace, to_others)| {
        provide_in(context, object, cluster, credential, &docker_config, namespace, to_others)
    });
    let mut giving = pin!(stream::iter(giving).buffer_unordered(AT_ONCE));
    let mut problems = Vec::new();
    while let Some(given) = giving.next().await {
        let Err(failure) = given else { continue };
        problems.push(failure.message);
        // The other namespaces would only wait for the same.
        if failure.kind == FailureKind::Unreachable {
            break;
        }
    }
    problems.sort();
    Ok(problems)
}

/// The same in one namespace, to which others bring overlays or deliveries.
async fn provide_in(
    context: &Context,
    object: &EphemeralCluster,
    cluster: &Cluster,
    credential: &ClusterCredential,
    docker_config: &ByteString,
    namespace: String,
    to_others: bool,
) -> Result<(), ApplyFailure> {
    let _bringing = cluster.bringing_credentials().await;
    match to_others {
        true => give(context, object, cluster, &namespace, docker_config).await?,
        false => renew(context, object, cluster, &namespace, docker_config).await?,
    }
    cluster.pulled_with().saw(provision(&namespace, credential));
    Ok(())
}

fn provision(namespace: &str, credential: &ClusterCredential) -> Provision {
    Provision::Credential { namespace: namespace.to_owned(), id: credential.id.clone() }
}

/// Puts the Secret where others bring overlays to, who may not have been there yet.
async fn give(
    context: &Context,
    object: &EphemeralCluster,
    cluster: &Cluster,
    namespace: &str,
    config: &ByteString,
) -> Result<(), ApplyFailure> {
    let plane = context.chart_store.plane();
    let is_needed = |user: &str| is_needed(context, &key(object), &cluster.reference().uid, namespace, user);
    match credential::deliver(cluster, plane, namespace, config, is_needed).await {
        Err(failure) if failure.kind == FailureKind::NamespaceMissing => {
            cluster.provisions().forget();
            provide_namespace(cluster, namespace).await?;
            credential::deliver(cluster, plane, namespace, config, is_needed).await
        }
        given => given,
    }
}

/// Puts the Secret where deliveries have something.
async fn renew(
    context: &Context,
    object: &EphemeralCluster,
    cluster: &Cluster,
    namespace: &str,
    config: &ByteString,
) -> Result<(), ApplyFailure> {
    // Whoever was there may have left meanwhile, and have taken it away.
    if !delivered(context, object, &cluster.reference().uid).contains(namespace) {
        return Ok(());
    }
    let is_needed = |user: &str| is_needed(context, &key(object), &cluster.reference().uid, namespace, user);
    match credential::deliver(cluster, context.chart_store.plane(), namespace, config, is_needed).await {
        // It comes back with what is delivered there, if at all.
        Err(failure) if matches!(failure.kind, FailureKind::NamespaceMissing | FailureKind::NamespaceTerminating) => {
            Ok(())
        }
        given => given,
    }
}

/// Whether a credential is that of another object for this very cluster, opens something, and is what pods in this namespace
/// pull with.
pub fn is_needed(context: &Context, own: &ClusterKey, uid: &str, namespace: &str, user: &str) -> bool {
    let is_of = |other: &EphemeralCluster| {
        let (of, name) = key(other);
        key(other) != *own && issued::user(&of, &name) == user && may_read(other, Timestamp::now())
    };
    let mut others = known_as(context, uid).into_iter().filter(is_of);
    others.any(|other| {
        delivered(context, &other, uid).contains(namespace) || left_to_others(context, &other).contains(namespace)
    })
}

/// The objects for the cluster with this UID.
pub fn known_as(context: &Context, uid: &str) -> Vec<EphemeralCluster> {
    let is_it = |cluster: &EphemeralCluster| {
        cluster.status.as_ref().and_then(|status| status.cluster_uid.as_deref()) == Some(uid)
    };
    context.caches.clusters_that(is_it)
}

/// The namespaces of the cluster that others bring overlays to.
pub fn left_to_others(context: &Context, object: &EphemeralCluster) -> BTreeSet<String> {
    let overlays = context.caches.overlays(|overlay| {
        overlay.spec.delivery.mode == DeliveryMode::None
            && overlay.metadata.deletion_timestamp.is_none()
            && is_for(overlay, object, context)
    });
    let overlays = overlays.iter().filter_map(|overlay| overlay.0.as_ref().ok());
    overlays.map(EnvironmentOverlay::target_namespace).collect()
}

/// The namespaces of the cluster in which deliveries have something.
fn delivered(context: &Context, object: &EphemeralCluster, uid: &str) -> BTreeSet<String> {
    let key = key(object);
    let deliveries = context.caches.deliveries(|delivery| goes_to(delivery, &key) && has_something(delivery, uid));
    let deliveries = deliveries.iter().filter_map(|delivery| delivery.0.as_ref().ok());
    deliveries.map(|delivery| delivery.spec.target_namespace.clone()).collect()
}

/// Whether a delivery has something in this very cluster, and keeps it. One that is about to move to another namespace may
/// have it there by then, or see to the Secret itself when it does.
fn has_something(delivery: &Delivery, cluster_uid: &str) -> bool {
    let status = delivery.status.as_ref().filter(|status| status.applied.is_some());
    delivery.spec.cluster.uid == cluster_uid && delivery.metadata.deletion_timestamp.is_none() && status.is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{digest::Digest, release::ClusterRef};

    #[test]
    fn a_secret_is_renewed_where_a_delivery_has_come_to_and_stays() {
        let delivery = |change: fn(&mut Value)| {
            let mut delivery = json!({
                "metadata": {"name": "web.prod.fleet.eu-1", "namespace": "shop", "generation": 2},
                "spec": {
                    "application": "web", "environment": "prod", "targetNamespace": "shop",
                    "artifact": Digest::of("a"), "cluster": ClusterRef::new("fleet", "eu-1", "u"),
                    "driftPolicy": "Correct", "onFailure": "Hold", "timeout": "10m", "deletionPolicy": "Prune",
                },
                "status": {
                    "observedGeneration": 2,
                    "applied": {
                        "artifact": Digest::of("a"), "inputsDigest": Digest::of("i"), "at": "2026-01-02T00:00:00Z",
                    },
                },
            });
            change(&mut delivery);
            serde_json::from_value::<Delivery>(delivery).unwrap()
        };
        let has_something = |change| has_something(&delivery(change), "u");
        assert!(has_something(|_| {}));
        assert!(!has_something(|it| it["spec"]["cluster"]["uid"] = json!("before")));
        assert!(!has_something(|it| it["metadata"]["deletionTimestamp"] = json!("2026-01-02T00:00:00Z")));
        assert!(
            has_something(|it| it["status"]["observedGeneration"] = json!(1)),
            "its pods pull while it is tried again"
        );
        assert!(!has_something(|it| it["status"]["applied"] = json!(null)));
        assert!(!has_something(|it| it["status"] = json!(null)));
    }
}
