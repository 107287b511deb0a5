//! Generates a release's chart and makes it known: bytes, links, journal.

use bytes::Bytes;

use crate::{
    api::reason,
    chart_store::{Entry, Fact},
    controllers::{context::Context, outcome::Halt},
    digest::Digest,
    image_harbor,
    manifestor::{self, ChartInput, Package},
    release::{ApplicationKey, ChartRecord, ReleaseRecord},
};

/// The largest packaged chart that lies in the Chart Store; a DynamoDB item takes 400 KB with all its other content.
const MAX_IN_CHART_STORE: usize = 300 * 1024;

/// The published chart: this one, or the one that somebody else published first.
pub async fn publish(
    context: &Context,
    key: &ApplicationKey,
    record: &ReleaseRecord,
    actor: String,
) -> Result<ChartRecord, Halt> {
    let (package, unrestricted) = generate(context, key, record).await?;
    let chart = ChartRecord {
        digest: package.digest,
        package: package.tgz_digest,
        size: package.tgz.len() as u64,
        unrestricted,
    };
    let in_chart_store = store(context, key, &package).await?;
    let version = record.release.version.clone();
    let fact = Fact::Charted { version: version.clone(), chart };
    let entry = Entry { actor, fact, spec: None, chart_package: in_chart_store };
    context.chart_store.record(key, entry).await?;
    let published = context.chart_store.release(key, &version).await?.and_then(|record| record.chart);
    published
        .ok_or_else(|| Halt::retry(reason::INTERNAL, "the chart that was just published is not in the Chart Store"))
}

async fn generate(
    context: &Context,
    key: &ApplicationKey,
    record: &ReleaseRecord,
) -> Result<(Package, Option<String>), Halt> {
    let release = &record.release;
    let invalid = |message: &str| Halt::stalled(reason::CHART_INVALID, message);
    let image = release.images.first().ok_or_else(|| invalid("the release has no image"))?;
    // Platforms of one image differ in their binaries, hardly in user and ports: the first speaks for all.
    let platform = image.platforms.first().ok_or_else(|| invalid("the image has no platform"))?;
    let harbor = context.harbor.as_ref();
    let config = manifestor::read_image_config(harbor, &platform.config).await?;
    let run_as = manifestor::resolve_user(harbor, &platform.manifest, &config).await?;
    let chart = manifestor::generate(&ChartInput {
        application: &key.application,
        version: &release.version,
        release_digest: release.digest,
        repository: key.repository(),
        image_digest: image.digest,
        image: &config,
        run_as,
        config: &release.config,
        workload: &release.workload,
    })?;
    let package = manifestor::package(&key.application, &release.version, &chart)?;
    Ok((package, chart.unrestricted))
}

/// Stores and links the chart's blobs, the manifest last; a package that fits goes into the Chart Store instead, with
/// the journal's entry.
async fn store(context: &Context, key: &ApplicationKey, package: &Package) -> Result<Option<Bytes>, Halt> {
    let harbor = context.harbor.as_ref();
    let small = package.tgz.len() <= MAX_IN_CHART_STORE;
    let mut blobs: Vec<Digest> = Vec::new();
    if !small {
        blobs.push(image_harbor::store_bytes(harbor, package.tgz.clone()).await?);
    }
    blobs.push(image_harbor::store_bytes(harbor, package.config.clone()).await?);
    blobs.push(image_harbor::store_bytes(harbor, package.manifest.clone()).await?);
    context.chart_store.link(key, &blobs).await?;
    Ok(small.then(|| package.tgz.clone()))
}
