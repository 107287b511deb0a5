//! The end of a cluster's object: what was delivered there ends first.

use kube::{Resource, ResourceExt, core::DeserializeGuard};

use super::{connect, is_for, key};
use crate::{
    api::{Delivery, EphemeralCluster, delivery_ends, reason},
    cluster_plane::ClusterKey,
    controllers::{context::Context, outcome::Halt, unreadable::named},
};

/// Ends every delivery to the cluster, and forgets it once there is none. Each delivery knows by itself what its end
/// takes; the credential and the Lease go with the object.
pub async fn retire(context: &Context, object: &EphemeralCluster) -> Result<(), Halt> {
    context.caches.ready().await;
    let key = key(object);
    let mut left = 0;
    for delivery in context.caches.deliveries_of_all(|delivery| goes_there(delivery, &key)) {
        left += 1;
        if delivery.meta().deletion_timestamp.is_none() {
            context.delete_by_name::<Delivery>(delivery.meta()).await?;
        }
    }
    if left > 0 {
        // Their ends depend on whether the cluster is there, and nobody else looks any more.
        context.fleet.found(key, connect::last_standing(context, object).await?);
        let message = match left {
            1 => "1 delivery to the cluster is being ended".to_owned(),
            _ => format!("{left} deliveries to the cluster are being ended"),
        };
        return Err(Halt::waiting_for(super::HEARTBEAT, reason::TERMINATING, message));
    }
    context.fleet.forget(&key);
    Ok(())
}

/// Whether a delivery goes to a cluster; one that cannot be read is known by its name.
fn goes_there(delivery: &DeserializeGuard<Delivery>, key: &ClusterKey) -> bool {
    match &delivery.0 {
        Ok(readable) => is_for(readable, key),
        Err(_) => delivery_ends(&delivery.name_any()).is_some_and(|(_, cluster)| cluster == *key),
    }
}

/// What an object that cannot be read leaves behind: what is delivered to the cluster. Whether that is to be deleted there,
/// and how to reach the cluster, only the object says. Without a delivery there is nothing to be done.
pub async fn leaves_behind(context: &Context, key: ClusterKey) -> Result<Option<String>, Halt> {
    context.caches.ready().await;
    let deliveries = context.caches.deliveries_of_all(|delivery| goes_there(delivery, &key));
    let mut names: Vec<_> = deliveries
        .iter()
        .map(|delivery| format!("{}/{}", delivery.namespace().unwrap_or_default(), delivery.name_any()))
        .collect();
    if names.is_empty() {
        context.fleet.forget(&key);
        return Ok(None);
    }
    names.sort();
    let plural = if names.len() == 1 { "Delivery" } else { "Deliveries" };
    Ok(Some(format!("what {plural} {} brought there", named(&names))))
}
