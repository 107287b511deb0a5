//! Clusters as readers of the plane's registry.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;

use super::{
    context::Context,
    ephemeral_cluster::{EphemeralClusterExt, admission, credential},
};
use crate::registry::readers::{self, Access, ROBOT_PREFIX, Robots};

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
        if cluster.metadata.deletion_timestamp.is_some() || cluster.expired(now).is_some() {
            return Ok(None);
        }
        let secret = context.api::<Secret>(namespace).get_opt(&credential::secret_name(name)).await?;
        let is_issued = secret.is_some_and(|secret| {
            credential::is_owned_by(&secret, &cluster) && credential::is_password(&secret, password.expose(), now)
        });
        Ok(is_issued.then(|| Access::Namespaces(admission::admitted(&context.caches, &cluster).collect())))
    }
}
