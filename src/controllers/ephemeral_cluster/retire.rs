//! The end of a cluster's object: what was delivered there ends first.

use super::{connect, is_for, key};
use crate::{
    api::{EphemeralCluster, reason},
    controllers::{context::Context, outcome::Halt},
};

/// Ends every delivery to the cluster, and forgets it once there is none. Each delivery knows by itself what its end
/// takes; the credential and the Lease go with the object.
pub async fn retire(context: &Context, object: &EphemeralCluster) -> Result<(), Halt> {
    context.caches.ready().await;
    let key = key(object);
    let mut left = 0;
    for delivery in context.caches.deliveries(|delivery| is_for(delivery, &key)) {
        if let Ok(delivery) = &delivery.0 {
            left += 1;
            if delivery.metadata.deletion_timestamp.is_none() {
                context.delete(delivery).await?;
            }
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
