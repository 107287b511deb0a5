//! Which clusters an overlay goes to: one `Delivery` for each. What they do there is their own business.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use kube::{ResourceExt, api::ListParams, core::DeserializeGuard};

use crate::{
    api::{
        ClusterCounts, ConditionStatus, DeletionPolicy, Delivery, DeliveryMode, DeliverySpec, EnvironmentOverlay,
        EphemeralCluster, FINALIZER, LabelSelector, OverlayArtifact, condition_type, delivery_ends, delivery_name,
        label, reason,
    },
    controllers::{
        conditions::find_true,
        context::{Context, Made},
        ephemeral_cluster::{EphemeralClusterExt, admission},
        outcome::{Halt, Observation},
    },
    release::ClusterRef,
};

/// How far an overlay got in its clusters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The clusters, counted.
    pub counts: ClusterCounts,
    /// What is wrong where, in words; nothing where nothing is.
    pub problems: Vec<String>,
    /// Why clusters have not what is wanted that come no further unless somebody changes something: a reason for each.
    pub stalled: Vec<String>,
    /// How many others there are that have it not and are not away: it comes to them.
    pub underway: usize,
}

/// Ends the deliveries that are not to be any more: whatever the overlay comes to render, they end.
pub async fn withdraw(context: &Context, object: &EnvironmentOverlay) -> Result<(), Halt> {
    context.caches.ready().await;
    for delivery in of_overlay(context, object).iter().filter_map(|delivery| delivery.0.as_ref().ok()) {
        let wanted = &delivery.spec.cluster;
        // What a cluster's object that cannot be read would say is not known.
        let stays = object.spec.delivery.mode == DeliveryMode::Apply
            && (context.caches.is_unreadable(wanted)
                || context.caches.cluster(&(wanted.namespace.clone(), wanted.name.clone())).is_some_and(|cluster| {
                    // Nor which one it is, until it was asked.
                    let uid = cluster.status.as_ref().and_then(|status| status.cluster_uid.as_ref());
                    is_for(object, &cluster, context) && uid.is_none_or(|uid| *uid == wanted.uid)
                }));
        if !stays {
            end(context, object, delivery).await?;
        }
    }
    Ok(())
}

/// Makes the deliveries as they are to be, and counts.
pub async fn deliver(
    context: &Context,
    object: &EnvironmentOverlay,
    artifact: &OverlayArtifact,
    version: Option<&str>,
) -> Result<Progress, Halt> {
    context.caches.ready().await;
    let namespace = object.namespace().unwrap_or_default();
    let clusters = context.caches.clusters();
    let matching = clusters.iter().filter(|cluster| is_for(object, cluster, context)).collect::<Vec<_>>();
    let wanted: BTreeMap<String, DeliverySpec> = match object.spec.delivery.mode {
        DeliveryMode::Apply => {
            let specs = matching.iter().filter_map(|cluster| spec(object, cluster, artifact, version));
            specs.map(|spec| (delivery_name(&spec.application, &spec.environment, &spec.cluster), spec)).collect()
        }
        DeliveryMode::None => BTreeMap::new(),
    };
    let there = of_overlay(context, object);
    for (name, wanted) in &wanted {
        let current = there.iter().filter_map(|delivery| delivery.0.as_ref().ok()).find(|it| it.name_any() == *name);
        let stands = current.is_some_and(|it| it.spec == *wanted);
        // One that is ending comes back once it is gone, which wakes the overlay.
        let leaves =
            current.is_some_and(|it| it.metadata.deletion_timestamp.is_some() || it.spec.cluster != wanted.cluster);
        match current {
            _ if stands || leaves => {}
            Some(current) => context.set::<Delivery>(&current.metadata, "/spec", wanted).await?,
            None => make(context, &namespace, name, wanted).await?,
        }
    }
    let unidentified = match object.spec.delivery.mode {
        DeliveryMode::Apply => matching.len() - wanted.len(),
        DeliveryMode::None => 0,
    };
    Ok(progress(&there, &wanted, unidentified))
}

/// Ends all deliveries of an overlay. They are looked for where they are: those that its last run made may not have been
/// seen by the watch, and nobody would come back for them.
pub async fn end_all(context: &Context, object: &EnvironmentOverlay) -> Result<(), Halt> {
    let namespace = object.namespace().unwrap_or_default();
    let of_application = ListParams::default().labels(&format!("{}={}", label::APPLICATION, object.spec.application));
    let mut ended = BTreeSet::new();
    for delivery in context.list::<Delivery>(&namespace, &of_application).await? {
        ended.insert(delivery.name_any());
        if delivery.spec.environment == object.spec.environment {
            end(context, object, &delivery).await?;
        }
    }
    // Somebody may have taken the label off.
    for delivery in of_overlay(context, object).iter().filter_map(|delivery| delivery.0.as_ref().ok()) {
        if ended.insert(delivery.name_any()) {
            end(context, object, delivery).await?;
        }
    }
    // One that cannot be read is known by its name, and says itself why it stays.
    for unread in context.api::<Delivery>(&namespace).list_metadata(&of_application).await? {
        let name = unread.name_any();
        let is_its_own = delivery_ends(&name).is_some_and(|(overlay, _)| overlay == object.name_any());
        if is_its_own && !ended.contains(&name) && unread.metadata.deletion_timestamp.is_none() {
            context.delete_by_name::<Delivery>(&unread.metadata).await?;
        }
    }
    Ok(())
}

/// The conditions that come of it.
pub fn observations(progress: &Progress) -> Vec<Observation> {
    let ClusterCounts { desired, applied, healthy, unreachable } = progress.counts;
    if desired == 0 {
        return Vec::new();
    }
    let problems = progress.problems.join("; ");
    let say = |counted: i32, what: &str| match problems.as_str() {
        "" => format!("{counted} of {desired} clusters {what}"),
        problems => format!("{counted} of {desired} clusters {what}: {problems}"),
    };
    let verdict = |type_, reached: i32, short: &'static str, what| match reached == desired {
        true => Observation::new(type_, true, reason::SUCCEEDED, format!("{reached} of {desired} clusters {what}")),
        false => Observation::new(type_, false, short, say(reached, what)),
    };
    let short = if unreachable > 0 { reason::UNREACHABLE } else { reason::PROGRESSING };
    vec![
        verdict(condition_type::DELIVERED, applied, short, "have what is wanted"),
        verdict(condition_type::HEALTHY, healthy, reason::UNHEALTHY, "run it healthily"),
    ]
}

fn of_overlay(context: &Context, object: &EnvironmentOverlay) -> Vec<Arc<DeserializeGuard<Delivery>>> {
    context.caches.deliveries(|delivery| {
        delivery.metadata.namespace == object.metadata.namespace
            && delivery.spec.application == object.spec.application
            && delivery.spec.environment == object.spec.environment
    })
}

/// Whether an overlay goes to a cluster, as far as both say.
pub fn is_for(object: &EnvironmentOverlay, cluster: &EphemeralCluster, context: &Context) -> bool {
    let namespace = object.namespace().unwrap_or_default();
    let ends = cluster.metadata.deletion_timestamp.is_some() || cluster.expired(Timestamp::now()).is_some();
    !ends && selects(object, cluster) && admission::admits(&context.caches, cluster, &namespace)
}

fn selects(object: &EnvironmentOverlay, cluster: &EphemeralCluster) -> bool {
    match &object.spec.cluster_selector {
        Some(selector) => selector.matches(cluster.labels()),
        None => LabelSelector::label(label::ENVIRONMENT, &object.spec.environment).matches(cluster.labels()),
    }
}

/// What is wanted in a cluster; nothing until it is known which one it is.
fn spec(
    object: &EnvironmentOverlay,
    cluster: &EphemeralCluster,
    artifact: &OverlayArtifact,
    version: Option<&str>,
) -> Option<DeliverySpec> {
    let uid = cluster.status.as_ref()?.cluster_uid.clone()?;
    let policy = &object.spec.delivery;
    Some(DeliverySpec {
        application: object.spec.application.clone(),
        environment: object.spec.environment.clone(),
        cluster: ClusterRef { namespace: cluster.namespace().unwrap_or_default(), name: cluster.name_any(), uid },
        artifact: artifact.digest,
        version: version.map(str::to_owned),
        images: artifact.images.iter().filter_map(|image| image.digest).collect(),
        target_namespace: object.target_namespace(),
        secrets: policy.secrets.clone(),
        drift_policy: policy.drift_policy,
        on_failure: policy.on_failure,
        timeout: policy.timeout.clone(),
        deletion_policy: object.spec.deletion_policy,
        force: policy.force,
    })
}

/// Makes a delivery.
async fn make(context: &Context, namespace: &str, name: &str, spec: &DeliverySpec) -> Result<(), Halt> {
    let mut delivery = Delivery::new(name, spec.clone());
    delivery.metadata.namespace = Some(namespace.to_owned());
    delivery.metadata.labels = Some(BTreeMap::from([(label::APPLICATION.to_owned(), spec.application.clone())]));
    // It is held from the beginning: putting the finalizer on later would be a write more for each.
    delivery.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    if context.create(&delivery).await? == Made::Now {
        return Ok(());
    }
    // The watch has not seen it yet, or it cannot be read as it is.
    match context.api::<Delivery>(namespace).get_metadata_opt(name).await? {
        // Once it is gone, the overlay is woken.
        Some(there) if there.metadata.deletion_timestamp.is_some() => Ok(()),
        Some(there) => context.set::<Delivery>(&there.metadata, "/spec", spec).await,
        None => Err(Halt::retry(reason::PROGRESSING, format!("Delivery {name} has just gone, and is made anew"))),
    }
}

/// Ends a delivery as the overlay says now. What others are to take over stays for them.
async fn end(context: &Context, object: &EnvironmentOverlay, delivery: &Delivery) -> Result<(), Halt> {
    if delivery.metadata.deletion_timestamp.is_some() {
        return Ok(());
    }
    let policy = match object.spec.delivery.mode {
        DeliveryMode::Apply => object.spec.deletion_policy,
        DeliveryMode::None => DeletionPolicy::Orphan,
    };
    if delivery.spec.deletion_policy != policy {
        context.set::<Delivery>(&delivery.metadata, "/spec/deletionPolicy", &policy).await?;
    }
    context.delete(delivery).await
}

fn progress(
    there: &[Arc<DeserializeGuard<Delivery>>],
    wanted: &BTreeMap<String, DeliverySpec>,
    unidentified: usize,
) -> Progress {
    let mut counts = ClusterCounts::default();
    let (mut problems, mut stalled, mut underway) = (Vec::new(), Vec::new(), 0);
    counts.desired = i32::try_from(wanted.len() + unidentified).unwrap_or(i32::MAX);
    counts.unreachable = i32::try_from(unidentified).unwrap_or(i32::MAX);
    if unidentified > 0 {
        problems.push(format!("{unidentified} not connected yet"));
    }
    for (name, spec) in wanted {
        let delivery = there.iter().filter_map(|it| it.0.as_ref().ok()).find(|it| it.name_any() == *name);
        let Some((delivery, status)) = delivery.and_then(|it| Some((it, it.status.as_ref()?))) else {
            underway += 1;
            continue;
        };
        let applied = status.applied.as_ref().filter(|applied| applied.artifact == spec.artifact);
        let applied = applied.filter(|_| status.attempted.is_none());
        let is_healthy = find_true(&status.conditions, condition_type::HEALTHY).is_some();
        counts.applied += i32::from(applied.is_some());
        counts.healthy += i32::from(applied.is_some() && is_healthy);
        let not_ready =
            status.conditions.iter().find(|c| c.type_ == condition_type::READY && c.status != ConditionStatus::True);
        // What it says of another artifact, or said before it was changed, it does not say of this.
        let is_of_this = delivery.spec == *spec
            && status.observed_generation == delivery.metadata.generation
            && delivery.metadata.deletion_timestamp.is_none();
        let mut is_settled = applied.is_some();
        if let Some(not_ready) = not_ready {
            let is_away = [reason::UNREACHABLE, reason::LOST].contains(&not_ready.reason.as_str());
            counts.unreachable += i32::from(is_away);
            is_settled |= is_away;
            if !is_settled && is_of_this && find_true(&status.conditions, condition_type::STALLED).is_some() {
                is_settled = true;
                stalled.push(not_ready.reason.clone());
            }
            problems.push(format!("{}: {}", spec.cluster, not_ready.reason));
        }
        underway += usize::from(!is_settled);
    }
    // A condition is for people: the deliveries themselves say more.
    let more = problems.len().saturating_sub(NAMED);
    problems.truncate(NAMED);
    if more > 0 {
        problems.push(format!("and {more} more"));
    }
    Progress { counts, problems, stalled, underway }
}

/// How many clusters a condition names.
const NAMED: usize = 5;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cluster(labels: serde_json::Value) -> EphemeralCluster {
        serde_json::from_value(json!({
            "metadata": {"name": "eu-1", "namespace": "fleet", "labels": labels},
            "spec": {"connection": {"kubeConfig": {"secretRef": {"name": "eu-1"}}}},
        }))
        .unwrap()
    }

    fn overlay(selector: serde_json::Value) -> EnvironmentOverlay {
        serde_json::from_value(json!({
            "metadata": {"name": "web.prod", "namespace": "shop"},
            "spec": {"application": "web", "environment": "prod", "clusterSelector": selector},
        }))
        .unwrap()
    }

    #[test]
    fn a_cluster_is_chosen_by_its_environment_unless_the_overlay_says_otherwise() {
        let prod = cluster(json!({label::ENVIRONMENT: "prod", "region": "eu"}));
        let dev = cluster(json!({label::ENVIRONMENT: "dev", "region": "eu"}));
        let by_default = overlay(json!(null));
        assert!(selects(&by_default, &prod) && !selects(&by_default, &dev));
        let by_region = overlay(json!({"matchLabels": {"region": "eu"}}));
        assert!(selects(&by_region, &prod) && selects(&by_region, &dev));
    }

    #[test]
    fn a_cluster_that_nobody_knows_yet_gets_nothing() {
        let artifact: OverlayArtifact = serde_json::from_value(json!({
            "digest": crate::digest::Digest::of("a"), "inputsDigest": crate::digest::Digest::of("i"), "objects": 1,
        }))
        .unwrap();
        let mut cluster = cluster(json!({}));
        assert_eq!(spec(&overlay(json!(null)), &cluster, &artifact, Some("1.0.0")), None);
        cluster.status = Some(serde_json::from_value(json!({"clusterUID": "u"})).unwrap());
        let spec = spec(&overlay(json!(null)), &cluster, &artifact, Some("1.0.0")).unwrap();
        assert_eq!((spec.cluster.uid.as_str(), spec.target_namespace.as_str()), ("u", "shop"));
        let progress = progress(&[], &BTreeMap::from([("web.prod.fleet.eu-1".into(), spec)]), 1);
        assert_eq!(progress.counts, ClusterCounts { desired: 2, applied: 0, healthy: 0, unreachable: 1 });
        assert_eq!(observations(&progress)[0].message, "0 of 2 clusters have what is wanted: 1 not connected yet");
    }

    #[test]
    fn a_delivery_that_comes_no_further_stalls_only_if_it_says_so_of_what_is_wanted_now() {
        let spec = |artifact: &str| {
            serde_json::from_value::<DeliverySpec>(json!({
                "application": "web", "environment": "prod", "targetNamespace": "shop",
                "artifact": crate::digest::Digest::of(artifact), "cluster": ClusterRef::new("fleet", "eu-1", "u"),
                "driftPolicy": "Correct", "onFailure": "Hold", "timeout": "10m", "deletionPolicy": "Prune",
            }))
            .unwrap()
        };
        let condition = |type_: &str, status: &str, reason: &str| {
            json!({
                "type": type_, "status": status, "reason": reason, "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            })
        };
        let progress = |artifact: &str, observed: i64, reason: &str| {
            let status = json!({
                "observedGeneration": observed,
                "conditions": [condition("Ready", "False", reason), condition("Stalled", "True", reason)],
            });
            let metadata = json!({"name": "web.prod.fleet.eu-1", "namespace": "shop", "generation": 2});
            let delivery = json!({
                "apiVersion": "orbit.k8or.io/v1alpha1", "kind": "Delivery",
                "metadata": metadata, "spec": spec(artifact), "status": status,
            });
            let there = vec![Arc::new(serde_json::from_value::<DeserializeGuard<Delivery>>(delivery).unwrap())];
            let progress = super::progress(&there, &BTreeMap::from([("web.prod.fleet.eu-1".into(), spec("new"))]), 0);
            (progress.stalled, progress.underway)
        };
        assert_eq!(progress("new", 2, "QuotaExceeded"), (vec!["QuotaExceeded".to_owned()], 0));
        assert_eq!(progress("old", 2, "QuotaExceeded"), (vec![], 1), "what was wanted before");
        assert_eq!(progress("new", 1, "QuotaExceeded"), (vec![], 1), "it has not looked at it yet");
        assert_eq!(progress("new", 2, "Unreachable"), (vec![], 0), "it is away");
        let none = super::progress(&[], &BTreeMap::from([("web.prod.fleet.eu-1".into(), spec("new"))]), 0);
        assert_eq!((none.stalled, none.underway), (vec![], 1));
    }
}
