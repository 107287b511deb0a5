//! Which blobs an application may read. Namespaces are tenants: a blob that is stored is nobody's without a link.

use super::{
    ChartStore, ChartStoreError, Page,
    table::{Condition, MAX_WRITES, Write},
};
use crate::{digest::Digest, release::ApplicationKey};

impl ChartStore {
    /// Links an application to blobs; how many links are new. Linking again writes nothing.
    pub async fn link(&self, key: &ApplicationKey, digests: &[Digest]) -> Result<usize, ChartStoreError> {
        let mut missing = Vec::new();
        for digest in digests {
            if !self.is_linked(key, digest).await? && !missing.contains(digest) {
                missing.push(*digest);
            }
        }
        for batch in missing.chunks(MAX_WRITES) {
            let writes: Vec<_> = batch.iter().map(|digest| self.linking(key, digest)).collect();
            self.commit("links", &writes).await?;
        }
        Ok(missing.len())
    }

    /// What links an application to a blob.
    pub(super) fn linking(&self, key: &ApplicationKey, digest: &Digest) -> Write {
        Write::put(self.layout.link(key, digest), "{}", Condition::Any)
    }

    /// Takes links away; those that are not there are none to take.
    pub async fn unlink(&self, key: &ApplicationKey, digests: &[Digest]) -> Result<(), ChartStoreError> {
        let mut digests = digests.to_vec();
        digests.sort();
        digests.dedup();
        for batch in digests.chunks(MAX_WRITES) {
            let unlink = |digest| Write::delete(self.layout.link(key, digest), Condition::Any);
            self.commit("links", &batch.iter().map(unlink).collect::<Vec<_>>()).await?;
        }
        Ok(())
    }

    /// Whether an application may read a blob.
    pub async fn is_linked(&self, key: &ApplicationKey, digest: &Digest) -> Result<bool, ChartStoreError> {
        Ok(self.table.get(&self.layout.link(key, digest)).await?.is_some())
    }

    /// The blobs an application may read, in the order of their digests.
    pub async fn links(
        &self,
        key: &ApplicationKey,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Digest>, ChartStoreError> {
        self.page(&self.layout.links(key, after), limit, |item| {
            let hex = item.key.sort.rsplit('/').next().unwrap_or_default().to_owned();
            let digest = format!("sha256:{hex}").parse().map_err(|error| ChartStoreError::Corrupt {
                item: item.key.to_string(),
                problem: format!("{error}"),
            })?;
            Ok((digest, hex))
        })
        .await
    }
}
