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
    api::{EphemeralCluster, FIELD_MANAGER, reason},
    controllers::{context::Context, outcome::Halt},
    failpoint,
};

/// For how long a Lease is good: whoever looks at it later may take the cluster for silent.
const GOOD_FOR: Duration = Duration::from_secs(40);

/// Renews the cluster's Lease, unless that was done a moment ago; its name. The Lease itself says when that was, so that
/// neither a wake-up in between nor a restart writes one.
pub async fn renew(context: &Context, object: &EphemeralCluster) -> Result<String, Halt> {
    let name = object.name_any();
    let api = context.api::<Lease>(&object.namespace().unwrap_or_default());
    let there = api.get_opt(&name).await?;
    let now = Timestamp::now();
    match &there {
        Some(there) if is_fresh(there, object, now) => return Ok(name),
        Some(there) if !is_of_cluster(there, &name) => {
            let namespace = object.namespace().unwrap_or_default();
            let message = format!(
                "Lease {namespace}/{name} is somebody else's, and the cluster's heartbeat needs its name: delete it, or give the cluster another name"
            );
            return Err(Halt::stalled_for(HEARTBEAT, reason::NOT_OWNED, message));
        }
        _ => {}
    }
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "ownerReferences": [object.owner_ref(&())]},
        "spec": {
            "holderIdentity": FIELD_MANAGER,
            "leaseDurationSeconds": GOOD_FOR.as_secs(),
            "renewTime": format!("{now:.6}"),
        },
    });
    api.patch(&name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(&lease)).await?;
    failpoint::after_write("lease");
    Ok(name)
}

/// Whether a Lease is that of a cluster of this name: of the object that has it now, or of one before.
fn is_of_cluster(lease: &Lease, name: &str) -> bool {
    let (kind, group) = (EphemeralCluster::kind(&()), EphemeralCluster::group(&()));
    lease.metadata.owner_references.iter().flatten().any(|owner| {
        let its_group = owner.api_version.split_once('/').map(|(group, _)| group);
        owner.kind == kind && its_group == Some(&*group) && owner.name == name
    })
}

/// Whether a Lease is this object's and was renewed less than half a heartbeat ago.
fn is_fresh(lease: &Lease, object: &EphemeralCluster, now: Timestamp) -> bool {
    let owners = lease.metadata.owner_references.as_deref().unwrap_or_default();
    let renewed = lease.spec.as_ref().and_then(|spec| spec.renew_time.as_ref());
    let age = renewed.and_then(|at| Duration::try_from(now.duration_since(at.0)).ok());
    owners.iter().any(|owner| Some(&owner.uid) == object.metadata.uid.as_ref())
        // One that is renewed in the future was by another clock, and is renewed by this one.
        && age.is_some_and(|age| age < HEARTBEAT / 2)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn a_lease_is_renewed_twice_a_heartbeat_at_most() {
        let object: EphemeralCluster = serde_json::from_value(json!({
            "metadata": {"name": "eu-1", "namespace": "fleet", "uid": "u"},
            "spec": {"connection": {"kubeConfig": {"secretRef": {"name": "eu-1"}}}},
        }))
        .unwrap();
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        let renewed = |ago: SignedDuration, owner: &str| {
            let owner = json!({"apiVersion": "v1", "kind": "EphemeralCluster", "name": "eu-1", "uid": owner});
            let spec = json!({"renewTime": format!("{:.6}", now - ago)});
            let lease: Lease =
                serde_json::from_value(json!({"metadata": {"ownerReferences": [owner]}, "spec": spec})).unwrap();
            is_fresh(&lease, &object, now)
        };
        assert!(renewed(SignedDuration::from_secs(4), "u"));
        assert!(!renewed(SignedDuration::from_secs(5), "u"));
        assert!(!renewed(SignedDuration::from_secs(-1), "u"), "another clock's");
        assert!(!renewed(SignedDuration::from_secs(4), "before"), "of an object of the same name");
        assert!(!is_fresh(&Lease::default(), &object, now), "never renewed");
    }

    #[test]
    fn a_lease_is_a_clusters_by_its_owner() {
        let is_owned_by = |api_version: &str, kind: &str, name: &str| {
            let owner = json!({"apiVersion": api_version, "kind": kind, "name": name, "uid": "before"});
            let lease = serde_json::from_value(json!({"metadata": {"ownerReferences": [owner]}})).unwrap();
            is_of_cluster(&lease, "eu-1")
        };
        assert!(is_owned_by("orbit.k8or.io/v1alpha1", "EphemeralCluster", "eu-1"));
        assert!(is_owned_by("orbit.k8or.io/v1", "EphemeralCluster", "eu-1"), "of another version of the plane");
        assert!(!is_owned_by("orbit.k8or.io/v1alpha1", "EphemeralCluster", "eu-2"));
        assert!(!is_owned_by("example.com/v1", "EphemeralCluster", "eu-1"));
        assert!(!is_owned_by("v1", "Pod", "eu-1") && !is_of_cluster(&Lease::default(), "eu-1"));
    }
}
