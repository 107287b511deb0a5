//! What an application needs of the Harbor, as the Chart Store has it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, VerifyError, blobs::Blobs};
use crate::{
    chart_store::{ChartStore, DeploymentState},
    digest::Digest,
    release::{ApplicationKey, ChartRecord, StoredImage},
};

/// Why a blob is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Need {
    /// The first that needs it, as in "release 1.4.0".
    pub by: String,
    /// How many bytes it should have, where that is known.
    pub size: Option<u64>,
    /// Whether the application may read it.
    pub linked: bool,
}

/// The blobs that are needed, and why.
#[derive(Debug, Default)]
struct Needs {
    blobs: BTreeMap<Digest, Need>,
    /// Packaged charts that lie in the Chart Store.
    elsewhere: BTreeSet<Digest>,
}

impl Needs {
    fn add(&mut self, by: &str, digest: Digest) -> &mut Need {
        self.blobs.entry(digest).or_insert_with(|| Need { by: by.to_owned(), size: None, linked: false })
    }

    /// A manifest and all that it names.
    async fn add_artifact(&mut self, blobs: &Blobs<'_>, by: &str, manifest: Digest) -> Result<(), VerifyError> {
        self.add(by, manifest);
        for (digest, size) in blobs.sizes(&manifest).await? {
            if !self.elsewhere.contains(&digest) {
                self.add(by, digest).size = Some(size);
            }
        }
        Ok(())
    }

    /// An image: its manifests give sizes to its blobs. The record alone says which of those it names are here.
    async fn add_image(&mut self, blobs: &Blobs<'_>, by: &str, image: &StoredImage) -> Result<(), VerifyError> {
        for digest in &image.blobs {
            self.add(by, *digest);
        }
        for manifest in image.platforms.iter().map(|platform| platform.manifest).chain([image.digest]) {
            self.add(by, manifest);
            for (digest, size) in blobs.sizes(&manifest).await? {
                if let Some(need) = self.blobs.get_mut(&digest) {
                    need.size = Some(size);
                }
            }
        }
        Ok(())
    }
}

/// All that an application needs, and what is wrong with charts that lie in the Chart Store itself.
pub(super) async fn of(
    store: &ChartStore,
    blobs: &Blobs<'_>,
    key: &ApplicationKey,
) -> Result<(BTreeMap<Digest, Need>, Vec<Finding>), VerifyError> {
    let (mut needs, mut findings) = (Needs::default(), Vec::new());
    for record in store.all_releases(key).await? {
        if record.purged_at.is_some() {
            continue;
        }
        let by = format!("release {}", record.release.version);
        for image in &record.release.images {
            needs.add_image(blobs, &by, image).await?;
        }
        let Some(chart) = &record.chart else { continue };
        let by = format!("the chart of {by}");
        match store.chart_package(key, &record.release.version).await? {
            Some(package) => {
                needs.elsewhere.insert(chart.package);
                let subject = format!("{}, {by} of {key}", chart.package);
                findings.extend(package_problem(&package, chart).map(|problem| Finding { subject, problem }));
            }
            None => needs.add(&by, chart.package).size = Some(chart.size),
        }
        needs.add_artifact(blobs, &by, chart.digest).await?;
    }
    for record in store.environments(key).await? {
        if let (false, Some(rendered)) = (record.removed, &record.rendered) {
            let by = format!("environment {}", record.environment);
            needs.add_artifact(blobs, &by, rendered.artifact).await?;
        }
    }
    for record in store.deployments(key).await? {
        if record.state == DeploymentState::Removed {
            continue;
        }
        let by = format!("the deployment of {} to {}", record.environment, record.cluster);
        let deployed = [&record.applied, &record.last_healthy].into_iter().flatten().map(|deployed| deployed.artifact);
        for artifact in deployed.chain([record.artifact]) {
            needs.add_artifact(blobs, &by, artifact).await?;
        }
        if let Some(inventory) = record.inventory {
            needs.add(&by, inventory);
        }
    }
    // Links come before or with what they are for, so they are read after it: nothing that is new lacks one.
    for digest in links(store, key).await? {
        needs.add("a link", digest).linked = true;
    }
    Ok((needs.blobs, findings))
}

/// What is wrong with a packaged chart in the Chart Store.
fn package_problem(package: &[u8], chart: &ChartRecord) -> Option<String> {
    let found = Digest::of(package);
    (found != chart.package).then(|| format!("is {found} of {} bytes in the Chart Store", package.len()))
}

async fn links(store: &ChartStore, key: &ApplicationKey) -> Result<BTreeSet<Digest>, VerifyError> {
    const AT_ONCE: usize = 100;
    let (mut links, mut after) = (BTreeSet::new(), None);
    loop {
        let page = store.links(key, after.as_deref(), AT_ONCE).await?;
        links.extend(page.items);
        after = page.next;
        if after.is_none() {
            return Ok(links);
        }
    }
}
