//! `EnvironmentOverlay`: from the stored releases to one environment's final manifests.
//!
//! end what is not to be → refuse secrets → select → render → deliver. What was rendered last stays until something newer
//! is rendered whole.

mod deliver;
mod render;
mod retire;
mod select;

pub use deliver::is_for;

use std::{collections::BTreeMap, time::Duration};

use kube::ResourceExt;

use super::{
    context::Context,
    outcome::{Halt, Ready},
    reconcile::{Common, Reconcile},
    secrets,
    spec_changes::Audited,
};
use crate::{
    api::{
        ClusterCounts, DeliveryMode, DeliveryPolicy, EnvironmentOverlay, EnvironmentOverlaySpec,
        EnvironmentOverlayStatus, OverlayArtifact, condition_type, reason,
    },
    overlay::inputs::BaseInput,
    release::ApplicationKey,
};

/// The shortest interval: what is settled costs a few reads, but not every second.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(10);

/// Even in a crowd of hundreds that goes to a cluster that has joined, one is mostly there by then.
const COUNTED_AFTER: Duration = Duration::from_secs(30);

impl Reconcile for EnvironmentOverlay {
    type Status = EnvironmentOverlayStatus;
    const KIND: &'static str = "EnvironmentOverlay";
    const HELD: bool = true;
    const TIMEOUT: Duration = Duration::from_secs(300);

    fn audited(&self) -> Option<Audited> {
        Some(Audited::of(&self.spec).about(&self.spec.application).within(&self.spec.environment))
    }

    fn suspended(&self) -> bool {
        self.spec.suspend
    }

    fn status(&self) -> Option<&EnvironmentOverlayStatus> {
        self.status.as_ref()
    }

    fn common(status: &mut EnvironmentOverlayStatus) -> Common<'_> {
        Common {
            observed_generation: &mut status.observed_generation,
            last_handled_reconcile_at: &mut status.last_handled_reconcile_at,
            conditions: &mut status.conditions,
        }
    }

    async fn reconcile(&self, context: &Context, status: &mut EnvironmentOverlayStatus) -> Result<Ready, Halt> {
        deliver::withdraw(context, self).await?;
        secrets::refuse(self, configs(&self.spec))?;
        let key = ApplicationKey::new(self.namespace().unwrap_or_default(), &self.spec.application);
        let (base, version) = if self.spec.base.manifests.is_empty() {
            let selected = match select::select(context, self, &key).await? {
                select::Choice::Run(selected) => selected,
                select::Choice::Idle(why) => return Ok(Ready::idle(why).again(interval(&self.spec))),
            };
            let base = BaseInput::Chart(selected.chart_digest);
            let version = selected.version.clone();
            status.selected = Some(selected);
            (base, Some(version))
        } else {
            status.selected = None;
            (BaseInput::Manifests(self.spec.base.manifests.join("\n---\n")), None)
        };
        let artifact = render::render(context, self, &key, base, version.as_deref()).await?;
        let message = rendered(version.as_deref(), &artifact) + &not_copied(&self.spec.delivery);
        status.artifact = Some(artifact.clone());
        let progress = deliver::deliver(context, self, &artifact, version.as_deref()).await?;
        status.clusters = (progress.counts.desired > 0).then(|| progress.counts.clone());
        let observations = deliver::observations(&progress);
        let ClusterCounts { desired, applied, .. } = progress.counts;
        let message = match (applied < desired, progress.problems.join("; ")) {
            (true, problems) if !progress.stalled.is_empty() => {
                format!("{message}, in {applied} of {desired} clusters: {problems}. The Deliveries say more")
            }
            (true, _) => format!("{message}, in {applied} of {desired} clusters"),
            (false, _) => message,
        };
        // Those that do not answer hold up nobody who waits for the others.
        if progress.underway > 0 {
            let waiting = Halt::waiting_for(interval(&self.spec), reason::PROGRESSING, message).observing(observations);
            let only_counts = self.status.as_ref().is_some_and(|told| {
                told.observed_generation == self.metadata.generation && only_counts(told, status, &progress.problems)
            });
            // How far each cluster is, its delivery tells at once.
            return Err(if only_counts { waiting.untold_for(COUNTED_AFTER) } else { waiting });
        }
        if let Some(reason) = progress.stalled.into_iter().next() {
            return Err(Halt::stalled_for(interval(&self.spec), reason, message).observing(observations));
        }
        Ok(Ready::succeeded(message).observing(observations).again(interval(&self.spec)))
    }

    async fn retire(&self, context: &Context) -> Result<(), Halt> {
        // They end by themselves; a cluster that does not answer must not hold up this object.
        deliver::end_all(context, self).await?;
        let key = ApplicationKey::new(self.namespace().unwrap_or_default(), &self.spec.application);
        retire::record(context, &key, &self.spec.environment).await
    }

    async fn leaves_behind(context: &Context, namespace: &str, name: &str) -> Result<Option<String>, Halt> {
        retire::leaves_behind(context, namespace, name).await
    }
}

/// Whether nothing is new since it was told but that there are more clusters to go to, or that more have it: nothing that
/// was said to be so is not any more.
fn only_counts(told: &EnvironmentOverlayStatus, now: &EnvironmentOverlayStatus, problems: &[String]) -> bool {
    let counts = |status: &EnvironmentOverlayStatus| status.clusters.clone().unwrap_or_default();
    let (before, after) = (counts(told), counts(now));
    let is_well = told.conditions.iter().any(|condition| {
        condition.type_ == condition_type::READY
            && [reason::SUCCEEDED, reason::PROGRESSING].contains(&condition.reason.as_str())
    });
    let has_less = after.applied < before.applied || after.healthy < before.healthy;
    is_well
        && problems.is_empty()
        && before != after
        && !has_less
        && (&told.artifact, &told.selected) == (&now.artifact, &now.selected)
}

/// What becomes ConfigMaps, and where it is: the value that generated charts have for it, and Kustomize's.
fn configs(spec: &EnvironmentOverlaySpec) -> Vec<(String, BTreeMap<String, String>)> {
    let value = spec.values.iter().filter_map(|values| values.0.get("config")?.as_object());
    let value = value.map(|config| {
        let texts = config.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        ("spec.values.config".to_owned(), texts.collect())
    });
    let maps = spec.kustomize.iter().flat_map(|kustomize| &kustomize.config_maps);
    value.chain(maps.map(|map| (format!("spec.kustomize.configMaps.{}", map.name), map.data.clone()))).collect()
}

fn rendered(version: Option<&str>, artifact: &OverlayArtifact) -> String {
    let what = version.map_or_else(|| "its own manifests".to_owned(), |version| format!("version {version}"));
    let objects = artifact.objects;
    format!("rendered {what}: {objects} object{}", if objects == 1 { "" } else { "s" })
}

/// The Secrets that would be copied if the plane applied it itself.
fn not_copied(policy: &DeliveryPolicy) -> String {
    if policy.mode == DeliveryMode::Apply || policy.secrets.is_empty() {
        return String::new();
    }
    let names: Vec<_> = policy.secrets.iter().map(|secret| secret.name.as_str()).collect();
    format!("; delivery.secrets ({}) are not copied, for others apply it (delivery.mode: None)", names.join(", "))
}

fn interval(spec: &EnvironmentOverlaySpec) -> Duration {
    spec.interval.length().max(SHORTEST_INTERVAL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::annotation;

    #[test]
    fn what_looks_like_a_secret_is_refused_wherever_it_becomes_a_config_map() {
        let overlay = |annotations: serde_json::Value| -> EnvironmentOverlay {
            serde_json::from_value(serde_json::json!({
                "metadata": {"name": "web.prod", "annotations": annotations},
                "spec": {
                    "application": "web",
                    "environment": "prod",
                    "values": {"config": {"LOG_LEVEL": "info", "RETRIES": 3, "DB_PASSWORD": "k3Jh8sd9fHs2LmQ0"}},
                    "kustomize": {"configMaps": [{"name": "more", "data": {"API_TOKEN": "w8Zq1xP0vB7nC5dK"}}]},
                },
            }))
            .unwrap()
        };
        let careless = overlay(serde_json::json!({}));
        let halt = secrets::refuse(&careless, configs(&careless.spec)).unwrap_err();
        assert_eq!(halt.reason, reason::SECRET_IN_CONFIG);
        for place in ["spec.values.config.DB_PASSWORD", "spec.kustomize.configMaps.more.API_TOKEN"] {
            assert!(halt.message.contains(place), "{}", halt.message);
        }
        for said_too_much in ["k3Jh8sd9fHs2LmQ0", "w8Zq1xP0vB7nC5dK", "LOG_LEVEL"] {
            assert!(!halt.message.contains(said_too_much), "{}", halt.message);
        }
        let insisting = overlay(serde_json::json!({annotation::SECRETS_IN_CONFIG: "allow"}));
        assert_eq!(secrets::refuse(&insisting, configs(&insisting.spec)), Ok(()));
    }

    #[test]
    fn what_is_counted_is_told_later_and_what_is_lost_at_once() {
        let status = |clusters: serde_json::Value, reason: &str| -> EnvironmentOverlayStatus {
            serde_json::from_value(serde_json::json!({
                "clusters": clusters,
                "conditions": [{
                    "type": "Ready", "status": "Unknown", "reason": reason, "message": "",
                    "lastTransitionTime": "2026-01-02T00:00:00Z",
                }],
            }))
            .unwrap()
        };
        let counts = |desired: i32, applied: i32, healthy: i32| serde_json::json!({"desired": desired, "applied": applied, "healthy": healthy, "unreachable": 0});
        let told = status(counts(2, 1, 1), reason::SUCCEEDED);
        let later = |now: serde_json::Value| only_counts(&told, &status(now, reason::SUCCEEDED), &[]);
        assert!(later(counts(3, 1, 1)) && later(counts(3, 2, 1)));
        assert!(!later(counts(2, 0, 0)) && !later(counts(3, 2, 0)), "something is lost");
        assert!(!later(counts(2, 1, 1)), "nothing is new");
        let joined = status(counts(1, 0, 0), reason::SUCCEEDED);
        assert!(only_counts(&status(serde_json::Value::Null, reason::SUCCEEDED), &joined, &[]));
        assert!(!only_counts(&told, &joined, &["eu-1: QuotaExceeded".to_owned()]));
        assert!(!only_counts(&status(serde_json::Value::Null, reason::STORE_UNAVAILABLE), &joined, &[]));
    }

    #[test]
    fn secrets_that_nobody_copies_are_named() {
        let policy = |mode: &str, secrets: serde_json::Value| -> DeliveryPolicy {
            serde_json::from_value(serde_json::json!({"mode": mode, "secrets": secrets})).unwrap()
        };
        let two = || serde_json::json!([{"name": "db"}, {"name": "mail"}]);
        assert!(not_copied(&policy("None", two())).contains("(db, mail)"));
        assert_eq!(not_copied(&policy("Apply", two())), "");
        assert_eq!(not_copied(&policy("None", serde_json::json!([]))), "");
    }

    #[test]
    fn an_interval_is_read_and_bounded() {
        for (text, seconds) in [("1h", 3600), ("1h30m", 5400), ("90s", 90), ("0s", 10)] {
            let spec = serde_json::json!({"application": "web", "environment": "prod", "interval": text});
            let spec: EnvironmentOverlaySpec = serde_json::from_value(spec).unwrap();
            assert_eq!(interval(&spec).as_secs(), seconds, "{text:?}");
        }
    }
}
