//! `EphemeralCluster`: a cluster is connected, watched, and let go.
//!
//! connect → identify → count → expire → give it a credential → renew its Lease → hand out pull Secrets. Every heartbeat
//! is one such run: what has not changed is not written, but for the Lease.

pub mod admission;
mod connect;
pub mod credential;
mod lease;
pub mod pull_secrets;
mod retire;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use self::connect::Failure;
use super::{
    conditions::now,
    context::Context,
    import,
    outcome::{Halt, Observation, Ready},
    reconcile::{self, Common, Reconcile},
    spec_changes::Audited,
};
use crate::{
    api::{
        ConditionStatus, Delivery, DeliveryCounts, EphemeralCluster, EphemeralClusterStatus, annotation,
        condition_type, label, reason,
    },
    cluster_plane::{Cluster, ClusterKey, DeliveryKey, Standing},
};

/// How often a cluster is asked whether it is still there, and its Lease renewed.
const HEARTBEAT: Duration = Duration::from_secs(10);

impl Reconcile for EphemeralCluster {
    type Status = EphemeralClusterStatus;
    const KIND: &'static str = "EphemeralCluster";
    const HELD: bool = true;
    const TIMEOUT: Duration = Duration::from_secs(60);
    // Those that do not answer take their time; the others must not wait for them.
    const CONCURRENCY: u16 = 64;

    fn audited(&self) -> Option<Audited> {
        Some(Audited::of(&self.spec))
    }

    fn suspended(&self) -> bool {
        self.spec.suspend
    }

    fn status(&self) -> Option<&EphemeralClusterStatus> {
        self.status.as_ref()
    }

    fn common(status: &mut EphemeralClusterStatus) -> Common<'_> {
        Common {
            observed_generation: &mut status.observed_generation,
            last_handled_reconcile_at: &mut status.last_handled_reconcile_at,
            conditions: &mut status.conditions,
        }
    }

    async fn reconcile(&self, context: &Context, status: &mut EphemeralClusterStatus) -> Result<Ready, Halt> {
        let key = key(self);
        let found = match connect::connect(context, self).await {
            // That the plane's own API server is out of order says nothing of the cluster.
            Err(Failure::Halt(halt)) => return Err(halt),
            found => found,
        };
        let standing = match &found {
            Ok(cluster) => Standing::Here(cluster.clone()),
            Err(failure) => Standing::Away(failure.to_string()),
        };
        let before = context.fleet.last(&key);
        context.fleet.found(key.clone(), standing);
        if let (Some(before), Ok(now)) = (before, &found)
            && !Arc::ptr_eq(&before, now)
        {
            look_anew(context, &key);
        }
        status.deliveries = Some(counts(&context.caches.deliveries(|delivery| is_for(delivery, &key))));
        let cluster = match found {
            Ok(cluster) => cluster,
            Err(failure) => return Err(away(self, status, &failure)),
        };
        here(status, &cluster);
        let reachable = Observation::new(condition_type::REACHABLE, true, reason::SUCCEEDED, "its API server answers");
        // So it is, whatever cannot be done for it.
        match attend(context, self, &cluster, status).await {
            Ok(ready) => Ok(ready.observing([reachable])),
            Err(halt) => Err(halt.observing([reachable])),
        }
    }

    async fn leaves_behind(context: &Context, namespace: &str, name: &str) -> Result<Option<String>, Halt> {
        retire::leaves_behind(context, (namespace.to_owned(), name.to_owned())).await
    }

    async fn retire(&self, context: &Context) -> Result<(), Halt> {
        retire::retire(context, self).await
    }
}

/// Does for a cluster that answers what is to be done at each heartbeat.
async fn attend(
    context: &Context,
    object: &EphemeralCluster,
    cluster: &Cluster,
    status: &mut EphemeralClusterStatus,
) -> Result<Ready, Halt> {
    if let Some(at) = object.expired(Timestamp::now()) {
        status.credential = None;
        return Err(expired(at));
    }
    status.credential = credential::issue(context, object, &cluster.reference().uid).await?;
    // Somebody who has taken the Lease's name does not keep pods from pulling.
    let lease = lease::renew(context, object).await;
    let next = until_expiry(object, Timestamp::now()).map_or(HEARTBEAT, |left| left.min(HEARTBEAT));
    context.caches.ready().await;
    let mut message = format!("Kubernetes {} answers", cluster.version());
    if is_asked_for(object) {
        cluster.forget_provisions();
    }
    // What others have in their namespaces is their own business.
    let known_as = pull_secrets::known_as(context, &cluster.reference().uid).into_iter();
    let known_here = known_as.filter(|other| other.namespace() == object.namespace());
    let others: BTreeSet<_> = known_here.map(|it| it.name_any()).filter(|name| *name != object.name_any()).collect();
    if !others.is_empty() {
        let names: Vec<_> = others.into_iter().collect();
        message = format!("{message}; the same cluster is known as {}, too", names.join(", "));
    }
    if let Some(credential) = &status.credential {
        let problems = pull_secrets::provide(context, object, cluster, credential).await?;
        if !problems.is_empty() {
            message = format!("{message}; pods cannot pull everywhere: {}", problems.join("; "));
        }
    }
    if admission::is_kept_to_itself(&context.caches, object) {
        let limit =
            "; only overlays of its own namespace are delivered there until an administrator labels that namespace";
        message = format!("{message}{limit} {}=true", label::FLEET);
    }
    status.lease_name = Some(lease?);
    Ok(Ready::succeeded(message).again(next))
}

/// Whether somebody has asked for it to be looked at since that was done last.
fn is_asked_for(object: &EphemeralCluster) -> bool {
    let handled = object.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_ref());
    object.annotations().get(annotation::REQUESTED_AT).map(|at| reconcile::bounded(at)).as_ref() != handled
}

/// A cluster was connected anew, and nothing is watched there yet: that begins when its deliveries look.
fn look_anew(context: &Context, key: &ClusterKey) {
    for delivery in context.caches.deliveries(|delivery| is_for(delivery, key)) {
        let name = DeliveryKey { namespace: delivery.namespace().unwrap_or_default(), name: delivery.name_any() };
        // Nobody listens while the plane shuts down.
        let _ = context.fleet.wake().send(name);
    }
}

/// What others ask of a cluster.
pub trait EphemeralClusterExt {
    /// When its time was over, if it is.
    fn expired(&self, now: Timestamp) -> Option<Timestamp>;
    /// Whether it has been silent for so long that what ran there counts as lost.
    fn is_lost(&self) -> bool;
}

impl EphemeralClusterExt for EphemeralCluster {
    fn expired(&self, now: Timestamp) -> Option<Timestamp> {
        self.spec.expires_at.filter(|at| *at <= now)
    }

    fn is_lost(&self) -> bool {
        let conditions = self.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        conditions.iter().any(|c| {
            c.type_ == condition_type::REACHABLE && c.status == ConditionStatus::False && c.reason == reason::LOST
        })
    }
}

/// A cluster's place in the fleet.
pub fn key(object: &EphemeralCluster) -> ClusterKey {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// Whether a delivery goes to the cluster of this object, whichever it was then.
pub fn is_for(delivery: &Delivery, (namespace, name): &ClusterKey) -> bool {
    delivery.spec.cluster.namespace == *namespace && delivery.spec.cluster.name == *name
}

fn here(status: &mut EphemeralClusterStatus, cluster: &Arc<Cluster>) {
    status.cluster_uid = Some(cluster.reference().uid.clone());
    status.kubernetes_version = Some(cluster.version().to_owned());
    status.unreachable_since = None;
}

/// It does not answer, or cannot be asked: since when, and whether that is for long enough to give up what ran there.
fn away(object: &EphemeralCluster, status: &mut EphemeralClusterStatus, failure: &Failure) -> Halt {
    let now = now();
    let since = *status.unreachable_since.get_or_insert(now);
    let lost = now.duration_since(since) >= signed(object.spec.lost_after.length());
    let reason = if lost { reason::LOST } else { failure.reason() };
    let message = match lost {
        true => {
            format!(
                "unreachable since {since}, longer than spec.lostAfter: what ran there counts as lost, and the cluster reads nothing from the registry until it is reached. {}",
                failure.with_server()
            )
        }
        false if import::is_imported(object) && failure.reason() == reason::KUBECONFIG_NOT_FOUND => {
            let lost_after = &object.spec.lost_after;
            format!("{failure}. It is imported with that Secret, and ends if it is not back after {lost_after}")
        }
        false => failure.with_server(),
    };
    let observation = Observation::new(condition_type::REACHABLE, false, reason, message.clone());
    if let Some(at) = object.expired(now) {
        return expired(at).observing([observation]);
    }
    let halt = match failure {
        Failure::Unreachable { .. } => Halt::waiting_for(HEARTBEAT, reason, message),
        Failure::Kubeconfig { .. } => Halt::stalled_for(HEARTBEAT, reason, message),
        Failure::Halt(halt) => halt.clone(),
    };
    halt.observing([observation])
}

fn expired(at: Timestamp) -> Halt {
    let message = format!(
        "its time was over at {at}: nothing is delivered here any more. Delete it, or set spec.expiresAt to a later time"
    );
    Halt::stalled_for(HEARTBEAT, reason::EXPIRED, message)
}

fn until_expiry(object: &EphemeralCluster, now: Timestamp) -> Option<Duration> {
    Duration::try_from(object.spec.expires_at?.duration_since(now)).ok()
}

fn signed(length: Duration) -> SignedDuration {
    SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX)
}

fn counts(deliveries: &[Arc<kube::core::DeserializeGuard<Delivery>>]) -> DeliveryCounts {
    let mut counts = DeliveryCounts::default();
    for delivery in deliveries.iter().filter_map(|delivery| delivery.0.as_ref().ok()) {
        counts.desired += 1;
        let Some(status) = &delivery.status else { continue };
        counts.applied += i32::from(status.applied.as_ref().is_some_and(|it| it.artifact == delivery.spec.artifact));
        counts.healthy += i32::from(is_true(&status.conditions, condition_type::HEALTHY));
    }
    counts
}

fn is_true(conditions: &[crate::api::Condition], type_: &str) -> bool {
    super::conditions::find_true(conditions, type_).is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{cluster_plane::Unreachable, controllers::outcome::HaltKind};

    fn cluster(spec: serde_json::Value) -> EphemeralCluster {
        let mut all = json!({"connection": {"kubeConfig": {"secretRef": {"name": "eu-1"}}}});
        all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        serde_json::from_value(json!({"metadata": {"name": "eu-1", "namespace": "fleet"}, "spec": all})).unwrap()
    }

    fn silent() -> Failure {
        Unreachable::Silent("connection refused".into()).into()
    }

    #[test]
    fn a_cluster_that_is_silent_for_long_is_lost() {
        let mut object = cluster(json!({"lostAfter": "1h"}));
        let mut status = EphemeralClusterStatus::default();
        let halt = away(&object, &mut status, &silent());
        assert_eq!((halt.kind, &*halt.reason), (HaltKind::Waiting { again: Some(HEARTBEAT) }, reason::UNREACHABLE));
        assert!(halt.message.contains("connection refused"), "{}", halt.message);
        // Where that is, its own condition says, and no delivery's.
        let cause = Unreachable::Silent("connection refused".into());
        let failure = Failure::Unreachable { cause, server: Some("10.0.0.1:6443".into()) };
        assert_eq!(failure.to_string(), "connection refused");
        assert_eq!(away(&object, &mut status, &failure).message, "10.0.0.1:6443: connection refused");
        status.unreachable_since = Some(now() - SignedDuration::from_mins(59));
        assert_eq!(away(&object, &mut status, &silent()).reason, reason::UNREACHABLE);
        status.unreachable_since = Some(now() - SignedDuration::from_mins(61));
        let halt = away(&object, &mut status, &silent());
        assert_eq!(halt.reason, reason::LOST);
        status.conditions = crate::controllers::conditions::conditions(&[], &Err(halt), Some(1), now());
        object.status = Some(status);
        assert!(object.is_lost());
    }

    #[test]
    fn a_cluster_expires_on_time() {
        let at: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        let object = cluster(json!({"expiresAt": at.to_string()}));
        let before = at - SignedDuration::from_secs(3);
        assert_eq!(object.expired(before), None);
        assert_eq!(until_expiry(&object, before), Some(Duration::from_secs(3)));
        assert_eq!(object.expired(at), Some(at));
        let halt = away(&object, &mut EphemeralClusterStatus::default(), &silent());
        assert_eq!(halt.reason, reason::EXPIRED);
        assert_eq!(halt.observations[0].reason, reason::UNREACHABLE);
    }
}
