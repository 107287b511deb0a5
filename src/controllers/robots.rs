//! Clusters as readers of the plane's registry.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;

use super::{
    context::Context,
    ephemeral_cluster::{EphemeralClusterExt, admission, credential},
};
use crate::{
    api::EphemeralCluster,
    registry::readers::{self, Access, ROBOT_PREFIX, Robots},
};

/// The clusters of a plane, by the credentials that were issued to them.
pub struct ClusterRobots(Arc<Context>);

impl fmt::Debug for ClusterRobots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterRobots")
    }
}

impl ClusterRobots {
    /// Those that `context` knows.
    pub fn new(context: Arc<Context>) -> Self {
        Self(context)
    }
}

#[async_trait]
impl Robots for ClusterRobots {
    async fn authenticate(&self, user: &str, password: &readers::Secret) -> anyhow::Result<Option<Access>> {
        let context = &self.0;
        // Neither a namespace nor a cluster's name has a dot in it.
        let Some((namespace, name)) = user.strip_prefix(ROBOT_PREFIX).and_then(|rest| rest.split_once('.')) else {
            return Ok(None);
        };
        context.caches.ready().await;
        let Some(cluster) = context.caches.cluster(&(namespace.to_owned(), name.to_owned())) else { return Ok(None) };
        let now = Timestamp::now();
        if !may_read(&cluster, now) {
            return Ok(None);
        }
        let secret = context.api::<Secret>(namespace).get_opt(&credential::secret_name(name)).await?;
        let is_issued = secret.is_some_and(|secret| {
            credential::is_owned_by(&secret, &cluster) && credential::is_password(&secret, password.expose(), now)
        });
        Ok(is_issued.then(|| Access::Namespaces(admission::admitted(&context.caches, &cluster).collect())))
    }
}

/// Whether a cluster may read anything. Its credential is revoked with it: when it ends, and while what runs there counts as
/// lost, for nobody knows then who has it.
pub fn may_read(cluster: &EphemeralCluster, now: Timestamp) -> bool {
    cluster.metadata.deletion_timestamp.is_none() && cluster.expired(now).is_none() && !cluster.is_lost()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_cluster_reads_until_it_ends_or_is_lost() {
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        let reads = |metadata: Value, expires_at: Value, reason: &str| {
            let reachable = json!({
                "type": "Reachable", "status": if reason == "Succeeded" { "True" } else { "False" }, "reason": reason,
                "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
            });
            let cluster = json!({
                "metadata": metadata,
                "spec": {"connection": {"kubeConfig": {"secretRef": {"name": "eu-1"}}}, "expiresAt": expires_at},
                "status": {"conditions": [reachable]},
            });
            may_read(&serde_json::from_value(cluster).unwrap(), now)
        };
        let later = json!("2026-01-02T00:00:01Z");
        assert!(reads(json!({}), later.clone(), "Succeeded"));
        assert!(reads(json!({}), later.clone(), "Unreachable"), "from where it is the plane may answer");
        assert!(!reads(json!({}), later.clone(), "Lost"));
        assert!(!reads(json!({}), json!("2026-01-02T00:00:00Z"), "Succeeded"));
        assert!(!reads(json!({"deletionTimestamp": "2026-01-02T00:00:00Z"}), later, "Succeeded"));
    }
}
