//! The end of an ImageUpload. History stays; whether the data does is the retention policy's to say.

use std::collections::BTreeSet;

use kube::{ResourceExt, api::ListParams};

use super::store::image_blobs;
use crate::{
    api::{HelmChart, ImageUpload, RetentionPolicy, helm_chart_name},
    chart_store::{Entry, Fact},
    controllers::{context::Context, outcome::Halt},
    digest::Digest,
    image_harbor::{self, HarborError},
    manifestor,
    release::{ApplicationKey, ReleaseRecord},
};

/// A chart's manifest has some hundred bytes.
const MAX_MANIFEST: u64 = 64 * 1024;

/// Records the end of the object and, where its policy is Delete, gives up what it had stored.
pub async fn retire(context: &Context, object: &ImageUpload) -> Result<(), Halt> {
    let key = ApplicationKey::new(object.namespace().unwrap_or_default(), &object.spec.application);
    let Some(version) = last_version(context, object, &key).await? else { return Ok(()) };
    let fact =
        Fact::UploadDeleted { upload: object.name_any(), version, retention_policy: object.spec.retention_policy };
    record(context, &key, fact).await?;
    match object.spec.retention_policy {
        RetentionPolicy::Retain => Ok(()),
        RetentionPolicy::Delete => purge(context, object, &key).await,
    }
}

/// The version that the object had stored last, if any.
async fn last_version(context: &Context, object: &ImageUpload, key: &ApplicationKey) -> Result<Option<String>, Halt> {
    let reported = object.status.as_ref().and_then(|status| status.release.as_ref()).map(|r| r.version.clone());
    // Between the journal's entry and the status the object may have died.
    let stored = context.chart_store.release(key, &object.spec.version).await?;
    let own = stored.filter(|record| record.release.upload.as_deref() == Some(&object.name_any()));
    Ok(own.map(|record| record.release.version).or(reported))
}

/// Gives up every release that the object had stored and that no other ImageUpload names.
async fn purge(context: &Context, object: &ImageUpload, key: &ApplicationKey) -> Result<(), Halt> {
    let name = object.name_any();
    let _alone = context.alone_with(key).await;
    // Not before: whoever had the application to itself until now may have stored for an ImageUpload that is new.
    let named = named_by_others(context, object, key).await?;
    let records = context.chart_store.all_releases(key).await?;
    let standing = |record: &&ReleaseRecord| record.purged_at.is_none();
    let (gone, kept): (Vec<_>, Vec<_>) = records.iter().filter(standing).partition(|record| {
        record.release.upload.as_deref() == Some(&name) && !named.contains(&record.release.version)
    });
    let needed: BTreeSet<Digest> = kept.iter().flat_map(|record| blobs(record)).collect();
    for record in gone {
        let release = &record.release;
        // All else first: once the journal has the purge, nothing would come back for it.
        let config = chart_config(context, record).await?;
        let unneeded: Vec<Digest> = blobs(record).chain(config).filter(|digest| !needed.contains(digest)).collect();
        context.chart_store.unlink(key, &unneeded).await?;
        let chart = helm_chart_name(&key.application, &release.version);
        if let Some(chart) = context.api::<HelmChart>(&key.namespace).get_opt(&chart).await? {
            context.delete(&chart).await?;
        }
        let fact = Fact::Purged { version: release.version.clone(), release_digest: release.digest };
        self::record(context, key, fact).await?;
    }
    Ok(())
}

async fn named_by_others(
    context: &Context,
    object: &ImageUpload,
    key: &ApplicationKey,
) -> Result<BTreeSet<String>, Halt> {
    let uploads = context.list::<ImageUpload>(&key.namespace, &ListParams::default()).await?;
    let others = uploads.into_iter().filter(|other| {
        other.uid() != object.uid()
            && other.metadata.deletion_timestamp.is_none()
            && other.spec.application == key.application
    });
    Ok(others.map(|other| other.spec.version).collect())
}

/// The config of a release's chart, which is of this version and no other, and which only the chart's manifest names.
async fn chart_config(context: &Context, record: &ReleaseRecord) -> Result<Option<Digest>, Halt> {
    let Some(chart) = &record.chart else { return Ok(None) };
    match image_harbor::read_to_vec(context.harbor.as_ref(), &chart.digest, MAX_MANIFEST).await {
        Ok(manifest) => Ok(manifestor::config_of(&manifest)),
        Err(HarborError::NotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What a release needs of the Harbor: its images and its chart, its config aside.
fn blobs(record: &ReleaseRecord) -> impl Iterator<Item = Digest> + '_ {
    let chart = record.chart.iter().flat_map(|chart| [chart.digest, chart.package]);
    image_blobs(&record.release).chain(chart)
}

async fn record(context: &Context, key: &ApplicationKey, fact: Fact) -> Result<(), Halt> {
    let entry = Entry { actor: context.deleter(), fact, spec: None, chart_package: None };
    context.chart_store.record(key, entry).await?;
    Ok(())
}
