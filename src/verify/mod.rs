//! `orbit verify` across the rooms: whether the Image Harbor holds what the Chart Store says there is, and whether a
//! cluster says the same.
//!
//! Bytes that nobody refers to are no finding: a killed writer leaves them, and they can be reclaimed at any time.

mod blobs;
mod cluster;
mod needs;

use futures::{StreamExt, TryStreamExt, stream};

pub use self::cluster::verify_cluster;
use self::{blobs::Blobs, needs::Need};
pub use crate::chart_store::Finding;
use crate::{
    chart_store::{ChartStore, ChartStoreError},
    image_harbor::{HarborError, ImageHarbor},
    release::ApplicationKey,
};

/// Blobs that are looked at at the same time.
const AT_ONCE: usize = 8;

/// Why it cannot be told whether the stores are as they should be.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The Chart Store does not answer, or holds something unreadable.
    #[error(transparent)]
    ChartStore(#[from] ChartStoreError),
    /// The Image Harbor does not answer.
    #[error(transparent)]
    Harbor(#[from] HarborError),
    /// The API server does not answer, or refuses.
    #[error("asking the API server")]
    Cluster(#[from] kube::Error),
}

/// Looks for every blob that a link, a standing release, its chart or an environment's manifests need: whether it is
/// there, linked, and of the size that manifests and records give it. With `deep` each is read to its end and compared
/// with its digest, which reads as much as there is.
///
/// A blob that several applications need is looked at once, and missed by each of them. What a purge takes away at the
/// same moment may be reported.
pub async fn verify_stores(
    store: &ChartStore,
    harbor: &dyn ImageHarbor,
    deep: bool,
) -> Result<Vec<Finding>, VerifyError> {
    let blobs = Blobs::new(harbor, deep);
    let mut findings = Vec::new();
    for head in store.all_heads().await? {
        findings.extend(application(store, &blobs, &head.key).await?);
    }
    Ok(findings)
}

async fn application(store: &ChartStore, blobs: &Blobs<'_>, key: &ApplicationKey) -> Result<Vec<Finding>, VerifyError> {
    let (needs, mut findings) = needs::of(store, blobs, key).await?;
    let problems: Vec<Option<Finding>> = stream::iter(needs)
        .map(async |(digest, need)| {
            let problem = blobs.problem(&digest, need.size).await?.or_else(|| need.unlinked());
            let subject = format!("{digest}, which {} of {key} needs", need.by);
            Ok::<_, VerifyError>(problem.map(|problem| Finding { subject, problem }))
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    findings.extend(problems.into_iter().flatten());
    Ok(findings)
}

impl Need {
    fn unlinked(&self) -> Option<String> {
        (!self.linked).then(|| "is stored, but the application has no link to it and so may not read it".to_owned())
    }
}
