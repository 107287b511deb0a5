//! What is read of releases, charts and environments, and the ways to find them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    ChartStore, ChartStoreError, DeploymentRecord, EnvironmentRecord, Event, Fact, Page, store::decode, table::ItemKey,
};
use crate::{
    digest::Digest,
    release::{ApplicationKey, ClusterRef, ReleaseRecord},
};

/// Where a release is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseRef {
    /// Its application.
    #[serde(flatten)]
    pub key: ApplicationKey,
    /// Its version.
    pub version: String,
}

impl ChartStore {
    /// A release, its tombstone included.
    pub async fn release(&self, key: &ApplicationKey, version: &str) -> Result<Option<ReleaseRecord>, ChartStoreError> {
        self.read_body(&self.layout.release(key, version)).await
    }

    /// The releases of an application, in the order of their versions' text.
    pub async fn releases(
        &self,
        key: &ApplicationKey,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<ReleaseRecord>, ChartStoreError> {
        self.page(&self.layout.releases(key, after), limit, |item| {
            let record: ReleaseRecord = decode(item)?;
            let version = record.release.version.clone();
            Ok((record, version))
        })
        .await
    }

    /// All releases of an application, their tombstones included.
    pub async fn all_releases(&self, key: &ApplicationKey) -> Result<Vec<ReleaseRecord>, ChartStoreError> {
        self.all(self.layout.releases(key, None)).await?.iter().map(decode).collect()
    }

    /// The packaged chart of a release, if it is kept here and not in the Harbor.
    pub async fn chart_package(&self, key: &ApplicationKey, version: &str) -> Result<Option<Bytes>, ChartStoreError> {
        Ok(self.table.get(&self.layout.chart(key, version)).await?.and_then(|item| item.blob))
    }

    /// A packaged chart that is kept here, by its own digest.
    pub async fn chart_package_by_digest(
        &self,
        key: &ApplicationKey,
        digest: &Digest,
    ) -> Result<Option<Bytes>, ChartStoreError> {
        let mut after = None;
        loop {
            let page = self.releases_by_digest(&key.namespace, digest, after.as_deref(), 100).await?;
            for found in page.items.iter().filter(|found| found.key == *key) {
                if let Some(record) = self.release(key, &found.version).await?
                    && record.chart.is_some_and(|chart| chart.package == *digest)
                {
                    return self.chart_package(key, &found.version).await;
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(None);
            }
        }
    }

    /// What an environment runs of an application.
    pub async fn environment(
        &self,
        key: &ApplicationKey,
        environment: &str,
    ) -> Result<Option<EnvironmentRecord>, ChartStoreError> {
        self.read_body(&self.layout.environment(key, environment)).await
    }

    /// All environments that an application was ever selected or rendered for.
    pub async fn environments(&self, key: &ApplicationKey) -> Result<Vec<EnvironmentRecord>, ChartStoreError> {
        self.all(self.layout.environments(key)).await?.iter().map(decode).collect()
    }

    /// What was last recorded of an environment in a cluster.
    pub async fn deployment(
        &self,
        key: &ApplicationKey,
        environment: &str,
        cluster: &ClusterRef,
    ) -> Result<Option<DeploymentRecord>, ChartStoreError> {
        self.read_body(&self.layout.deployment(key, environment, cluster)).await
    }

    /// Every environment and cluster that an application was ever deployed to, those that are gone included.
    pub async fn deployments(&self, key: &ApplicationKey) -> Result<Vec<DeploymentRecord>, ChartStoreError> {
        self.all(self.layout.deployments(key)).await?.iter().map(decode).collect()
    }

    /// The releases of a tenant that a release, image, image config, chart or packaged chart's digest belongs to.
    pub async fn releases_by_digest(
        &self,
        namespace: &str,
        digest: &Digest,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<ReleaseRef>, ChartStoreError> {
        let range = self.layout.by_digest(namespace, digest, after);
        self.page(&range, limit, |item| Ok((decode(item)?, item.key.sort.clone()))).await
    }

    /// The releases of a tenant that a user had stored, newest first.
    pub async fn releases_by_user(
        &self,
        namespace: &str,
        user: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<ReleaseRef>, ChartStoreError> {
        let range = self.layout.by_user(namespace, user, after);
        self.page(&range, limit, |item| Ok((decode(item)?, item.key.sort.clone()))).await
    }

    /// The places under which what an event is about can be found from now on.
    pub(super) fn index(&self, event: &Event) -> Vec<(ItemKey, ReleaseRef)> {
        let ApplicationKey { namespace, application } = &event.key;
        let mut digests = Vec::new();
        let mut places = Vec::new();
        match &event.fact {
            Fact::Stored { release } => {
                digests.push(release.digest);
                for image in &release.images {
                    digests.push(image.digest);
                    digests.extend(image.platforms.iter().map(|platform| platform.config));
                }
                places.push(self.layout.user(namespace, &event.actor, event.time, application, &release.version));
            }
            Fact::Charted { chart, .. } => digests.extend([chart.digest, chart.package]),
            _ => return Vec::new(),
        }
        digests.sort();
        digests.dedup();
        let version = event.fact.version().unwrap_or_default();
        places.extend(digests.iter().map(|digest| self.layout.digest(namespace, digest, application, version)));
        let reference = ReleaseRef { key: event.key.clone(), version: version.to_owned() };
        places.into_iter().map(|place| (place, reference.clone())).collect()
    }
}
