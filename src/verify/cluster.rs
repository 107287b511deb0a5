//! Whether the cluster says what the Chart Store says: objects that call themselves ready name releases, charts and
//! renderings that are recorded, and deliveries whose objects are known.

use std::fmt::Debug;

use kube::{
    Api, Client, Resource, ResourceExt,
    api::ListParams,
    core::{DeserializeGuard, NamespaceResourceScope},
};
use serde::de::DeserializeOwned;

use super::{Finding, VerifyError};
use crate::{
    api::{
        Condition, ConditionStatus, Delivery, EnvironmentOverlay, EphemeralCluster, HelmChart, ImageUpload,
        InventoryRef, condition_type,
    },
    chart_store::{ChartStore, DeploymentRecord, DeploymentState, EnvironmentRecord},
    image_harbor::ImageHarbor,
    release::{ApplicationKey, ReleaseRecord},
};

/// Objects that are listed at a time.
const PAGE: u32 = 200;

/// What the objects of a cluster (or of one namespace of it) say otherwise than the Chart Store.
///
/// A plane that is at work writes its statuses after the journal, so that this is for a plane at rest.
pub async fn verify_cluster(
    client: &Client,
    namespace: Option<&str>,
    store: &ChartStore,
    harbor: &dyn ImageHarbor,
) -> Result<Vec<Finding>, VerifyError> {
    let mut findings = Vec::new();
    for upload in list::<ImageUpload>(client, namespace).await? {
        let key = key(&upload, &upload.spec.application);
        let record = store.release(&key, &upload.spec.version).await?;
        report(&mut findings, &upload, upload_problem(&upload, record.as_ref()));
    }
    for chart in list::<HelmChart>(client, namespace).await? {
        let key = key(&chart, &chart.spec.application);
        let record = store.release(&key, &chart.spec.version).await?;
        report(&mut findings, &chart, chart_problem(&chart, record.as_ref()));
    }
    for overlay in list::<EnvironmentOverlay>(client, namespace).await? {
        let key = key(&overlay, &overlay.spec.application);
        let record = store.environment(&key, &overlay.spec.environment).await?;
        report(&mut findings, &overlay, overlay_problem(&overlay, record.as_ref()));
    }
    let deliveries = list::<Delivery>(client, namespace).await?;
    for delivery in &deliveries {
        let key = key(delivery, &delivery.spec.application);
        let record = store.deployment(&key, &delivery.spec.environment, &delivery.spec.cluster).await?;
        report(&mut findings, delivery, delivery_problem(delivery, record.as_ref()));
        let Some(inventory) = delivery.status.as_ref().and_then(|status| status.inventory.as_ref()) else { continue };
        let is_stored = harbor.stat(&inventory.digest).await?.is_some();
        let is_linked = store.is_linked(&key, &inventory.digest).await?;
        report(&mut findings, delivery, inventory_problem(inventory, is_stored, is_linked));
    }
    for cluster in list::<EphemeralCluster>(client, namespace).await? {
        report(&mut findings, &cluster, cluster_problem(&cluster, &deliveries));
    }
    Ok(findings)
}

fn upload_problem(upload: &ImageUpload, record: Option<&ReleaseRecord>) -> Option<String> {
    let status = upload.status.as_ref().filter(|status| is_ready(&status.conditions))?;
    let said = status.release.as_ref()?;
    match record {
        None => Some(format!("its status names release {}, which is not recorded", said.digest)),
        Some(record) if record.release.digest != said.digest => {
            Some(format!("its status names release {}, recorded is {}", said.digest, record.release.digest))
        }
        Some(record) if record.purged_at.is_some() => Some("it is ready, but its release was given up".to_owned()),
        Some(_) => None,
    }
}

fn chart_problem(chart: &HelmChart, record: Option<&ReleaseRecord>) -> Option<String> {
    let status = chart.status.as_ref().filter(|status| is_ready(&status.conditions))?;
    let said = status.artifact.as_ref()?.digest;
    match record.and_then(|record| record.chart.as_ref()) {
        None => Some(format!("its status names chart {said}, which is not recorded")),
        Some(chart) if chart.digest != said => {
            Some(format!("its status names chart {said}, recorded is {}", chart.digest))
        }
        Some(_) => None,
    }
}

fn overlay_problem(overlay: &EnvironmentOverlay, record: Option<&EnvironmentRecord>) -> Option<String> {
    let status = overlay.status.as_ref().filter(|status| is_ready(&status.conditions))?;
    let said = status.artifact.as_ref()?.digest;
    match record.filter(|record| !record.removed).and_then(|record| record.rendered.as_ref()) {
        None => Some(format!("its status names artifact {said}, which is not recorded")),
        Some(rendered) if rendered.artifact != said => {
            Some(format!("its status names artifact {said}, recorded is {}", rendered.artifact))
        }
        Some(_) => None,
    }
}

fn delivery_problem(delivery: &Delivery, record: Option<&DeploymentRecord>) -> Option<String> {
    let status = delivery.status.as_ref().filter(|status| is_ready(&status.conditions))?;
    let Some(applied) = &status.applied else { return Some("it is ready, but its status names nothing".to_owned()) };
    let said = applied.artifact;
    match record {
        None => Some(format!("its status names artifact {said}, of which no deployment is recorded")),
        // The next one is on its way: the status says so when it is there, or when that takes a while.
        Some(record) if record.artifact != said && record.state == DeploymentState::Requested => None,
        Some(record) if record.artifact != said => {
            Some(format!("its status names artifact {said}, recorded is {}", record.artifact))
        }
        Some(record) if record.state != DeploymentState::Healthy => {
            Some(format!("it is ready, but recorded as {}", record.state.as_str()))
        }
        Some(_) if status.inventory.is_none() => {
            Some("it is ready, but its status names no list of what is there".to_owned())
        }
        Some(_) => None,
    }
}

/// What is wrong with the list of a delivery's objects. Whatever the delivery's state: it is found by it what is to go.
fn inventory_problem(inventory: &InventoryRef, is_stored: bool, is_linked: bool) -> Option<String> {
    let digest = inventory.digest;
    match (is_stored, is_linked) {
        (false, _) => Some(format!("its status names inventory {digest}, which is not stored")),
        (true, false) => Some(format!("its status names inventory {digest}, which the application has no link to")),
        (true, true) => None,
    }
}

/// What a cluster says otherwise than the deliveries to it, which are known by what was recorded.
fn cluster_problem(cluster: &EphemeralCluster, deliveries: &[Delivery]) -> Option<String> {
    let status = cluster.status.as_ref().filter(|status| is_ready(&status.conditions))?;
    let Some(said) = &status.cluster_uid else {
        return Some("it is ready, but its status does not say which cluster it is".to_owned());
    };
    let (namespace, name) = (cluster.namespace().unwrap_or_default(), cluster.name_any());
    let elsewhere = deliveries.iter().find(|delivery| {
        let to = &delivery.spec.cluster;
        let is_ready = delivery.status.as_ref().is_some_and(|status| is_ready(&status.conditions));
        is_ready && to.namespace == namespace && to.name == name && to.uid != *said
    })?;
    let uid = &elsewhere.spec.cluster.uid;
    Some(format!("its status says that it is cluster {said}, but {} is ready in {uid}", elsewhere.name_any()))
}

fn is_ready(conditions: &[Condition]) -> bool {
    conditions.iter().any(|c| c.type_ == condition_type::READY && c.status == ConditionStatus::True)
}

fn key(object: &impl ResourceExt, application: &str) -> ApplicationKey {
    ApplicationKey::new(object.namespace().unwrap_or_default(), application)
}

fn report<K: Resource<DynamicType = ()>>(findings: &mut Vec<Finding>, object: &K, problem: Option<String>) {
    if let Some(problem) = problem {
        let subject = format!("{} {}/{}", K::kind(&()), object.namespace().unwrap_or_default(), object.name_any());
        findings.push(Finding { subject, problem });
    }
}

/// The objects of a kind that can be read as it. Those that cannot are told of by events, and hide nobody else here.
async fn list<K>(client: &Client, namespace: Option<&str>) -> Result<Vec<K>, VerifyError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
{
    let api: Api<DeserializeGuard<K>> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let mut objects = Vec::new();
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = api.list(&params).await?;
        params.continue_token = page.metadata.continue_.clone().filter(|token| !token.is_empty());
        objects.extend(page.items.into_iter().filter_map(|object| object.0.ok()));
        if params.continue_token.is_none() {
            return Ok(objects);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{chart_store::RenderedRecord, digest::Digest};

    fn overlay(artifact: &str, ready: &str) -> EnvironmentOverlay {
        serde_json::from_value(json!({
            "apiVersion": "orbit.k8or.io/v1alpha1",
            "kind": "EnvironmentOverlay",
            "metadata": {"name": "web.prod", "namespace": "shop"},
            "spec": {"application": "web", "environment": "prod"},
            "status": {
                "artifact": {"digest": Digest::of(artifact), "inputsDigest": Digest::of("i"), "objects": 1},
                "conditions": [{
                    "type": "Ready", "status": ready, "reason": "R", "message": "",
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                }],
            },
        }))
        .unwrap()
    }

    fn record(artifact: &str) -> EnvironmentRecord {
        let rendered = RenderedRecord {
            version: None,
            artifact: Digest::of(artifact),
            inputs_digest: Digest::of("i"),
            objects: 1,
            images: vec![],
            at: jiff::Timestamp::UNIX_EPOCH,
        };
        EnvironmentRecord { environment: "prod".into(), rendered: Some(rendered), ..Default::default() }
    }

    #[test]
    fn what_a_ready_overlay_names_must_be_what_is_recorded() {
        assert_eq!(overlay_problem(&overlay("a", "True"), Some(&record("a"))), None);
        assert!(overlay_problem(&overlay("a", "True"), Some(&record("b"))).is_some());
        assert!(overlay_problem(&overlay("a", "True"), None).is_some());
        // While it works its status lags behind.
        assert_eq!(overlay_problem(&overlay("a", "False"), Some(&record("b"))), None);
    }

    fn delivery(artifact: &str, ready: &str) -> Delivery {
        serde_json::from_value(json!({
            "apiVersion": "orbit.k8or.io/v1alpha1",
            "kind": "Delivery",
            "metadata": {"name": "web.prod.fleet.eu-1", "namespace": "shop"},
            "spec": {
                "application": "web", "environment": "prod",
                "cluster": {"namespace": "fleet", "name": "eu-1", "uid": "u"},
                "artifact": Digest::of(artifact), "targetNamespace": "shop", "driftPolicy": "Correct",
                "onFailure": "Hold", "timeout": "5m", "deletionPolicy": "Prune",
            },
            "status": {
                "applied": {
                    "artifact": Digest::of(artifact), "inputsDigest": Digest::of("i"), "at": "2026-01-01T00:00:00Z",
                },
                "inventory": {"digest": Digest::of("inventory"), "objects": 1},
                "conditions": [{
                    "type": "Ready", "status": ready, "reason": "R", "message": "",
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                }],
            },
        }))
        .unwrap()
    }

    fn deployment(artifact: &str, state: &str) -> DeploymentRecord {
        serde_json::from_value(json!({
            "environment": "prod", "cluster": {"namespace": "fleet", "name": "eu-1", "uid": "u"}, "attempt": 1,
            "state": state, "since": "2026-01-01T00:00:00Z", "artifact": Digest::of(artifact),
        }))
        .unwrap()
    }

    #[test]
    fn what_a_ready_delivery_names_must_be_recorded_as_healthy() {
        let problem = |delivery: &Delivery, record: Option<(&str, &str)>| {
            delivery_problem(delivery, record.map(|(artifact, state)| deployment(artifact, state)).as_ref())
        };
        let ready = delivery("a", "True");
        assert_eq!(problem(&ready, Some(("a", "healthy"))), None);
        assert!(problem(&ready, Some(("b", "healthy"))).unwrap().contains("recorded is"));
        assert_eq!(problem(&ready, Some(("a", "lost"))).unwrap(), "it is ready, but recorded as lost");
        assert!(problem(&ready, None).is_some());
        assert_eq!(problem(&delivery("a", "False"), Some(("b", "failed"))), None);
        let mut empty = ready.clone();
        empty.status.as_mut().unwrap().inventory = None;
        assert!(problem(&empty, Some(("a", "healthy"))).is_some());
        empty.status.as_mut().unwrap().applied = None;
        assert!(problem(&empty, None).is_some());
    }

    #[test]
    fn the_list_of_what_is_there_must_be_stored_and_linked() {
        let inventory = InventoryRef { digest: Digest::of("inventory"), objects: 1 };
        assert_eq!(inventory_problem(&inventory, true, true), None);
        assert!(inventory_problem(&inventory, true, false).unwrap().contains("no link"));
        assert!(inventory_problem(&inventory, false, false).unwrap().contains("not stored"));
    }

    #[test]
    fn a_ready_cluster_is_the_one_that_is_delivered_to() {
        let cluster = |uid: Option<&str>, name: &str| -> EphemeralCluster {
            serde_json::from_value(json!({
                "apiVersion": "orbit.k8or.io/v1alpha1",
                "kind": "EphemeralCluster",
                "metadata": {"name": name, "namespace": "fleet"},
                "spec": {"connection": {"kubeConfig": {"secretRef": {"name": "eu-1"}}}},
                "status": {"clusterUID": uid, "conditions": [{
                    "type": "Ready", "status": "True", "reason": "R", "message": "",
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                }]},
            }))
            .unwrap()
        };
        let there = [delivery("a", "True")];
        assert_eq!(cluster_problem(&cluster(Some("u"), "eu-1"), &there), None);
        assert!(cluster_problem(&cluster(Some("v"), "eu-1"), &there).is_some());
        assert_eq!(cluster_problem(&cluster(Some("v"), "eu-2"), &there), None);
        assert_eq!(cluster_problem(&cluster(Some("v"), "eu-1"), &[delivery("a", "False")]), None);
        assert!(cluster_problem(&cluster(None, "eu-1"), &[]).is_some());
    }
}
