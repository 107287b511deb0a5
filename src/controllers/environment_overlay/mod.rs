//! `EnvironmentOverlay`: from the stored releases to one environment's final manifests.
//!
//! select → render → report. What was rendered last stays until something newer is rendered whole.

mod render;
mod select;

use std::time::Duration;

use jiff::SignedDuration;
use kube::ResourceExt;

use super::{
    context::Context,
    outcome::{Halt, Ready},
    reconcile::{Common, Reconcile},
};
use crate::{
    api::{EnvironmentOverlay, EnvironmentOverlaySpec, EnvironmentOverlayStatus, OverlayArtifact},
    chart_store::{Entry, Fact},
    overlay::inputs::BaseInput,
    release::ApplicationKey,
};

/// The shortest interval: what is settled costs a few reads, but not every second.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(10);

impl Reconcile for EnvironmentOverlay {
    type Status = EnvironmentOverlayStatus;
    const KIND: &'static str = "EnvironmentOverlay";
    const HELD: bool = true;
    const TIMEOUT: Duration = Duration::from_secs(300);

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
        let message = rendered(version.as_deref(), &artifact);
        status.artifact = Some(artifact);
        Ok(Ready::succeeded(message).again(interval(&self.spec)))
    }

    async fn retire(&self, context: &Context) -> Result<(), Halt> {
        let key = ApplicationKey::new(self.namespace().unwrap_or_default(), &self.spec.application);
        let environment = &self.spec.environment;
        let known = context.chart_store.environment(&key, environment).await?;
        if known.is_none_or(|record| record.removed) {
            return Ok(());
        }
        let fact = Fact::EnvironmentRemoved { environment: environment.clone() };
        let entry = Entry { actor: context.deleter(), fact, spec: None, chart_package: None };
        context.chart_store.record(&key, entry).await?;
        Ok(())
    }
}

fn rendered(version: Option<&str>, artifact: &OverlayArtifact) -> String {
    let what = version.map_or_else(|| "its own manifests".to_owned(), |version| format!("version {version}"));
    let objects = artifact.objects;
    format!("rendered {what}: {objects} object{}", if objects == 1 { "" } else { "s" })
}

fn interval(spec: &EnvironmentOverlaySpec) -> Duration {
    let wanted = spec.interval.parse::<SignedDuration>().ok().and_then(|wanted| Duration::try_from(wanted).ok());
    wanted.unwrap_or(Duration::from_secs(3600)).max(SHORTEST_INTERVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_read_and_bounded() {
        for (text, seconds) in [("1h", 3600), ("1h30m", 5400), ("90s", 90), ("0s", 10), ("", 3600)] {
            let spec = serde_json::json!({"application": "web", "environment": "prod", "interval": text});
            let spec: EnvironmentOverlaySpec = serde_json::from_value(spec).unwrap();
            assert_eq!(interval(&spec).as_secs(), seconds, "{text:?}");
        }
    }
}
