//! `ImageUpload`: from an image somewhere to a stored release, its HelmChart, and an overlay per environment.
//!
//! validate → look up → acquire → store → describe → tidy up → publish the chart → provide overlays → await the chart.
//! Each step finds out by itself what of it is done already, so that a pipeline that died is simply run again.

mod acquire;
mod chart;
mod overlays;
mod request;
mod retire;
mod store;

use std::time::Duration;

use kube::ResourceExt;

use super::{
    conditions::find_true,
    context::Context,
    outcome::{Halt, Ready},
    reconcile::{Common, Reconcile},
    spec_changes::Audited,
    sweep,
};
use crate::{
    api::{
        ChartRef, HelmChart, ImageStatus, ImageUpload, ImageUploadStatus, ReleaseStatus, annotation, condition_type,
        helm_chart_name, reason,
    },
    release::{ReleaseRecord, StoredImage},
};
use request::{Request, Standing};

impl Reconcile for ImageUpload {
    type Status = ImageUploadStatus;
    const KIND: &'static str = "ImageUpload";
    const HELD: bool = true;
    // A large image over a slow line. What is stored of it by then is not fetched again.
    const TIMEOUT: Duration = Duration::from_secs(3600);
    // Most of them wait for a turn to take their image in.
    const CONCURRENCY: u16 = 64;

    fn audited(&self) -> Option<Audited> {
        Some(Audited::of(&self.spec).about(&self.spec.application))
    }

    fn suspended(&self) -> bool {
        self.spec.suspend
    }

    fn status(&self) -> Option<&ImageUploadStatus> {
        self.status.as_ref()
    }

    fn common(status: &mut ImageUploadStatus) -> Common<'_> {
        Common {
            observed_generation: &mut status.observed_generation,
            last_handled_reconcile_at: &mut status.last_handled_reconcile_at,
            conditions: &mut status.conditions,
        }
    }

    async fn reconcile(&self, context: &Context, status: &mut ImageUploadStatus) -> Result<Ready, Halt> {
        let request = Request::of(self)?;
        let record = context.chart_store.release(&request.key, request.version()).await?;
        let record = match request.standing(record, self.status.as_ref())? {
            Standing::Stored(record) => *record,
            Standing::Missing => {
                self.standing_verdict()?;
                let image = acquire::acquire(context, self, &request, status).await?;
                store::store(context, self, &request, image).await?
            }
        };
        let record = store::describe(context, self, &request, record).await?;
        report(status, &request, &record);
        self.discard_archive(context).await?;
        let chart = chart::publish(context, self, &request, &record).await?;
        overlays::provide(context, &request).await?;
        chart::trim_history(context, self, &request).await?;
        charted(&record, &chart)
    }

    async fn retire(&self, context: &Context) -> Result<(), Halt> {
        self.discard_archive(context).await?;
        retire::retire(context, self).await
    }
}

/// Verdicts on content that cannot become another by waiting: they stand until the spec changes or a new look is asked
/// for.
const VERDICTS: [&str; 3] = [reason::ARCHIVE_INVALID, reason::IMAGE_INVALID, reason::VERSION_CONFLICT];

trait ImageUploadExt {
    /// Halts where the same content was judged before: it is not fetched again for the same judgement.
    fn standing_verdict(&self) -> Result<(), Halt>;
    /// The archive has been taken in, or is not wanted any more.
    async fn discard_archive(&self, context: &Context) -> Result<(), Halt>;
}

impl ImageUploadExt for ImageUpload {
    fn standing_verdict(&self) -> Result<(), Halt> {
        let Some(status) = &self.status else { return Ok(()) };
        let requested = self.annotations().get(annotation::REQUESTED_AT);
        let verdict = find_true(&status.conditions, condition_type::STALLED).filter(|stalled| {
            stalled.observed_generation == self.metadata.generation
                && VERDICTS.contains(&stalled.reason.as_str())
                && requested == status.last_handled_reconcile_at.as_ref()
        });
        match verdict {
            Some(stalled) => Err(Halt::stalled(stalled.reason.clone(), stalled.message.clone())),
            None => Ok(()),
        }
    }

    async fn discard_archive(&self, context: &Context) -> Result<(), Halt> {
        match self.status.as_ref().and_then(|status| status.upload.as_ref()).and_then(acquire::session_id) {
            Some(id) => sweep::forget(context, id).await,
            None => Ok(()),
        }
    }
}

/// What is stored, in the status.
fn report(status: &mut ImageUploadStatus, request: &Request, record: &ReleaseRecord) {
    let release = &record.release;
    status.release = Some(ReleaseStatus { version: release.version.clone(), digest: release.digest });
    status.images = release.images.iter().map(|image| image_status(image, request.key.repository())).collect();
    status.chart_ref = Some(ChartRef { name: helm_chart_name(&request.key.application, &release.version) });
    status.upload = None;
}

fn image_status(image: &StoredImage, repository: String) -> ImageStatus {
    ImageStatus {
        name: image.name.clone(),
        digest: image.digest,
        config_digest: match image.platforms.as_slice() {
            [only] => Some(only.config),
            _ => None,
        },
        size: i64::try_from(image.size).unwrap_or(i64::MAX),
        platforms: image.platforms.iter().map(|platform| platform.platform.clone()).collect(),
        repository,
    }
}

/// Ready once the chart is published: before, nobody can deploy the release.
fn charted(record: &ReleaseRecord, chart: &HelmChart) -> Result<Ready, Halt> {
    let version = &record.release.version;
    if record.chart.is_some() {
        return Ok(Ready::succeeded(format!("version {version} is stored, and its chart is published")));
    }
    let conditions = chart.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    match find_true(conditions, condition_type::STALLED) {
        Some(stalled) => Err(Halt::stalled(stalled.reason.clone(), stalled.message.clone())),
        None => Err(Halt::waiting(
            reason::AWAITING_CHART,
            format!("version {version} is stored; HelmChart {} is being made", chart.name_any()),
        )),
    }
}
