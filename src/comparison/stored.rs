//! What the stores hold of an application, or that they do not.

use crate::{
    chart_store::{ChartStore, RenderedRecord},
    image_harbor::{ImageHarbor, read_to_vec},
    release::{ApplicationKey, ReleaseRecord},
};

/// The most that is read of one chart or overlay, in bytes: what the renderer makes at most.
pub const MAX_SIZE: u64 = 64 * 1024 * 1024;

/// What is asked for is not stored.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotThere(pub String);

/// A release whose data was not given up.
pub async fn release(charts: &ChartStore, key: &ApplicationKey, version: &str) -> anyhow::Result<ReleaseRecord> {
    let record = charts.release(key, version).await?;
    let record = record.ok_or_else(|| NotThere(format!("{key} has no version {version}")))?;
    if let Some(at) = record.purged_at {
        return Err(NotThere(format!("the data of {key} {version} was given up at {at}")).into());
    }
    Ok(record)
}

/// The packaged chart of a release.
pub async fn chart(
    harbor: &dyn ImageHarbor,
    charts: &ChartStore,
    key: &ApplicationKey,
    version: &str,
) -> anyhow::Result<Vec<u8>> {
    let chart = release(charts, key, version).await?.chart;
    let chart = chart.ok_or_else(|| NotThere(format!("the chart of {key} {version} is not published yet")))?;
    // A small one lies with the record, a larger one in the Harbor.
    match charts.chart_package(key, version).await? {
        Some(package) => Ok(package.to_vec()),
        None => Ok(read_to_vec(harbor, &chart.package, MAX_SIZE).await?),
    }
}

/// What was rendered last for an environment.
pub async fn rendered(charts: &ChartStore, key: &ApplicationKey, environment: &str) -> anyhow::Result<RenderedRecord> {
    let record = charts.environment(key, environment).await?.filter(|record| !record.removed);
    let rendered = record.and_then(|record| record.rendered);
    Ok(rendered.ok_or_else(|| NotThere(format!("nothing is rendered of {key} for {environment}")))?)
}
