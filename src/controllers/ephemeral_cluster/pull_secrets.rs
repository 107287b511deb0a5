//! What pods pull with where others apply overlays (`delivery.mode: None`): the cluster's credential, as the pull Secret
//! in the namespaces that these overlays go to. Nothing else of them is the plane's business there.
//!
//! It is not taken away again. A password is replaced after a day, and only where an overlay asks for it the new one is
//! put: elsewhere the Secret is worth nothing then.

use std::collections::BTreeSet;

use k8s_openapi::ByteString;

use super::credential as issued;
use crate::{
    api::{DeliveryMode, EnvironmentOverlay, EphemeralCluster},
    cluster_plane::{
        Cluster,
        apply::provide_namespace,
        credential,
        remote_error::{ApplyFailure, FailureKind},
    },
    controllers::{context::Context, environment_overlay::is_for, outcome::Halt},
};

/// Sees to it that the Secrets are there. Returned is where they are not, and why: a namespace in which something is
/// wrong is no reason to hold up the cluster.
pub async fn provide(context: &Context, object: &EphemeralCluster, cluster: &Cluster) -> Result<Vec<String>, Halt> {
    let namespaces = left_to_others(context, object);
    if namespaces.is_empty() {
        return Ok(Vec::new());
    }
    let docker_config = issued::read(context, cluster.reference()).await?;
    let mut problems = Vec::new();
    for namespace in namespaces {
        match give(cluster, context.chart_store.plane(), &namespace, &docker_config).await {
            Ok(()) => {}
            Err(failure) => {
                problems.push(failure.message);
                // The other namespaces would only wait for the same.
                if failure.kind == FailureKind::Unreachable {
                    break;
                }
            }
        }
    }
    Ok(problems)
}

async fn give(cluster: &Cluster, plane: &str, namespace: &str, config: &ByteString) -> Result<(), ApplyFailure> {
    let _bringing = cluster.bringing_credentials().await;
    match credential::deliver(cluster, plane, namespace, config).await {
        Err(failure) if failure.kind == FailureKind::NamespaceMissing => {
            cluster.provisions().forget();
            provide_namespace(cluster, namespace).await?;
            credential::deliver(cluster, plane, namespace, config).await
        }
        given => given,
    }
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
