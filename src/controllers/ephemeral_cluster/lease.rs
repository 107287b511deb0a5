//! The Lease that says when a cluster answered last, as Kubernetes' own nodes have one.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Resource, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::HEARTBEAT;
use crate::{
    api::{EphemeralCluster, FIELD_MANAGER},
    controllers::{context::Context, outcome::Halt},
    failpoint,
};

/// For how long a Lease is good: whoever looks at it later may take the cluster for silent.
const GOOD_FOR: Duration = Duration::from_secs(40);

/// Renews the cluster's Lease, unless that was done a moment ago; its name.
pub async fn renew(context: &Context, object: &EphemeralCluster) -> Result<String, Halt> {
    let name = object.name_any();
    let uid = object.uid().unwrap_or_default();
    if !context.heartbeats.is_due(&uid, HEARTBEAT / 2) {
        return Ok(name);
    }
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "ownerReferences": [object.owner_ref(&())]},
        "spec": {
            "holderIdentity": FIELD_MANAGER,
            "leaseDurationSeconds": GOOD_FOR.as_secs(),
            "renewTime": format!("{:.6}", Timestamp::now()),
        },
    });
    let api = context.api::<Lease>(&object.namespace().unwrap_or_default());
    api.patch(&name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(&lease)).await?;
    failpoint::after_write("lease");
    context.heartbeats.done(&uid);
    Ok(name)
}
