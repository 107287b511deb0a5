//! `HelmChart`: from a stored release to a published chart.
//!
//! look up → take over environments → generate → publish. A published chart is never generated again.

mod environments;
mod publish;

use std::time::Duration;

use kube::ResourceExt;

use super::{
    context::{Context, PLANE},
    outcome::{Halt, Observation, Ready},
    reconcile::{Common, Reconcile},
    spec_changes::Audited,
};
use crate::{
    api::{ChartArtifact, ConditionStatus, HelmChart, HelmChartStatus, annotation, condition_type, reason},
    registry::repository::{Collection, Repository},
    release::{ApplicationKey, ChartRecord, ReleaseRecord},
};

impl Reconcile for HelmChart {
    type Status = HelmChartStatus;
    const KIND: &'static str = "HelmChart";
    // Nothing in the history depends on when a HelmChart goes.
    const HELD: bool = false;
    const TIMEOUT: Duration = Duration::from_secs(300);

    fn audited(&self) -> Option<Audited> {
        Some(Audited::of(&self.spec).about(&self.spec.application))
    }

    fn suspended(&self) -> bool {
        self.spec.suspend
    }

    fn status(&self) -> Option<&HelmChartStatus> {
        self.status.as_ref()
    }

    fn common(status: &mut HelmChartStatus) -> Common<'_> {
        Common {
            observed_generation: &mut status.observed_generation,
            last_handled_reconcile_at: &mut status.last_handled_reconcile_at,
            conditions: &mut status.conditions,
        }
    }

    async fn reconcile(&self, context: &Context, status: &mut HelmChartStatus) -> Result<Ready, Halt> {
        let key = ApplicationKey::new(self.namespace().unwrap_or_default(), &self.spec.application);
        let record = release(self, context.chart_store.release(&key, &self.spec.version).await?)?;
        environments::take_over(context, self, &key, &record).await?;
        let chart = match record.chart.clone() {
            Some(chart) => chart,
            None => publish::publish(context, &key, &record, actor(context, self)).await?,
        };
        status.artifact = Some(artifact(&context.installation.registry_host, &key, &self.spec.version, &chart));
        Ok(published(&self.spec.version, &chart))
    }

    async fn retire(&self, _: &Context) -> Result<(), Halt> {
        Ok(())
    }
}

/// The release that the chart is of, if it is the one that the spec means.
fn release(object: &HelmChart, record: Option<ReleaseRecord>) -> Result<ReleaseRecord, Halt> {
    let (application, version) = (&object.spec.application, &object.spec.version);
    let wanted = object.spec.source.generated.release_digest;
    let Some(record) = record else {
        return Err(Halt::waiting(
            reason::RELEASE_NOT_FOUND,
            format!(
                "version {version} of {application} is not stored: the chart is made once an ImageUpload has stored it"
            ),
        ));
    };
    if record.purged_at.is_some() {
        return Err(Halt::stalled(
            reason::VERSION_PURGED,
            format!("the data of version {version} of {application} was given up: delete this HelmChart"),
        ));
    }
    if record.release.digest != wanted {
        return Err(Halt::stalled(
            reason::RELEASE_NOT_FOUND,
            format!(
                "version {version} of {application} is stored as {}, but spec.source.generated.releaseDigest is {wanted}: create the HelmChart anew with the digest that is stored",
                record.release.digest
            ),
        ));
    }
    Ok(record)
}

/// A chart that the plane asked for itself is nobody's wish.
fn actor(context: &Context, object: &HelmChart) -> String {
    match object.annotations().contains_key(annotation::IMAGE_UPLOAD) {
        true => PLANE.to_owned(),
        false => context.actor(object),
    }
}

fn artifact(host: &str, key: &ApplicationKey, version: &str, chart: &ChartRecord) -> ChartArtifact {
    let repository = Repository { collection: Collection::Charts, key: key.clone() };
    ChartArtifact {
        digest: chart.digest,
        size: i64::try_from(chart.size).unwrap_or(i64::MAX),
        url: repository.url(host).map(|url| format!("{url}:{version}")),
    }
}

fn published(version: &str, chart: &ChartRecord) -> Ready {
    let observation = match &chart.unrestricted {
        None => Observation {
            type_: condition_type::RESTRICTED_PSS,
            status: ConditionStatus::True,
            reason: reason::SUCCEEDED.into(),
            message: "the workload can run under Pod Security \"restricted\"".into(),
        },
        Some(why) => Observation {
            type_: condition_type::RESTRICTED_PSS,
            status: ConditionStatus::False,
            reason: reason::UNRESTRICTED.into(),
            message: why.clone(),
        },
    };
    let ready = Ready::succeeded(format!("the chart of version {version} is published as {}", chart.digest));
    Ready { observations: vec![observation], ..ready }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{ChartSource, GeneratedChart, HelmChartSpec, Workload, helm_chart_name},
        controllers::outcome::HaltKind,
        digest::Digest,
        release::{Description, Release},
    };

    fn record() -> ReleaseRecord {
        ReleaseRecord {
            release: Release::new("web", "1.4.0", vec![], Default::default(), Workload::default()),
            description: Description::default(),
            chart: None,
            actor: "maria".into(),
            stored_at: jiff::Timestamp::UNIX_EPOCH,
            purged_at: None,
        }
    }

    fn chart(release_digest: Digest) -> HelmChart {
        let source = ChartSource { generated: GeneratedChart { release_digest } };
        let spec = HelmChartSpec {
            application: "web".into(),
            version: "1.4.0".into(),
            environments: vec![],
            source,
            suspend: false,
        };
        HelmChart::new(&helm_chart_name("web", "1.4.0"), spec)
    }

    #[test]
    fn a_release_that_is_to_come_is_waited_for() {
        let halt = release(&chart(Digest::of("r")), None).unwrap_err();
        assert_eq!((halt.kind, &*halt.reason), (HaltKind::Waiting { again: None }, reason::RELEASE_NOT_FOUND));
    }

    #[test]
    fn only_the_release_that_is_meant_will_do() {
        assert!(release(&chart(record().release.digest), Some(record())).is_ok());
        let halt = release(&chart(Digest::of("another")), Some(record())).unwrap_err();
        assert_eq!(halt.kind, HaltKind::Stalled { again: None });
        let purged = ReleaseRecord { purged_at: Some(jiff::Timestamp::UNIX_EPOCH), ..record() };
        let halt = release(&chart(record().release.digest), Some(purged)).unwrap_err();
        assert_eq!(halt.reason, reason::VERSION_PURGED);
    }
}
