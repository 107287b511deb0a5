//! Whether the cluster says what the Chart Store says: objects that call themselves ready name releases, charts and
//! renderings that are recorded.

use std::fmt::Debug;

use kube::{
    Api, Client, Resource, ResourceExt,
    api::ListParams,
    core::{DeserializeGuard, NamespaceResourceScope},
};
use serde::de::DeserializeOwned;

use super::{Finding, VerifyError};
use crate::{
    api::{Condition, ConditionStatus, EnvironmentOverlay, HelmChart, ImageUpload, condition_type},
    chart_store::{ChartStore, EnvironmentRecord},
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
}
