//! Makes an image a release: links, then the journal, then what its owner says of it.

use super::request::Request;
use crate::{
    api::{ImageUpload, reason},
    chart_store::{Entry, Fact},
    controllers::{context::Context, outcome::Halt},
    digest::Digest,
    release::{Release, ReleaseRecord, StoredImage},
};

/// The stored release: this one, or the same that was stored before. Other content under its version is refused.
pub async fn store(
    context: &Context,
    object: &ImageUpload,
    request: &Request<'_>,
    image: StoredImage,
) -> Result<ReleaseRecord, Halt> {
    let key = &request.key;
    let mut release = Release::new(
        &key.application,
        request.version(),
        vec![image],
        request.spec.config.clone(),
        request.spec.workload.clone(),
    );
    release.sources = request.sources();
    release.upload = object.metadata.name.clone();
    for image in &release.images {
        let size = context.harbor.stat(&image.digest).await?.unwrap_or_default();
        let name = format!("{}:{}", key.repository(), release.version);
        context.harbor.announce(&name, &image.media_type, &image.digest, size).await?;
    }

    let _alone = context.alone_with(key).await;
    let blobs: Vec<_> = image_blobs(&release).collect();
    context.chart_store.link(key, &blobs).await?;
    let spec = context.spec_text(key, request.spec).await?;
    let entry =
        Entry { actor: context.actor(object), fact: Fact::Stored { release }, spec: Some(spec), chart_package: None };
    context.chart_store.record(key, entry).await?;
    let record = context.chart_store.release(key, request.version()).await?;
    record.ok_or_else(|| Halt::retry(reason::INTERNAL, "the release that was just stored is not in the Chart Store"))
}

/// Records what the user says of the release, once per change of the spec.
///
/// Not more often: another ImageUpload of the same release, or an edit of its HelmChart, may have had its say since.
pub async fn describe(
    context: &Context,
    object: &ImageUpload,
    request: &Request<'_>,
    record: ReleaseRecord,
) -> Result<ReleaseRecord, Halt> {
    let reported = object.status.as_ref();
    let release = reported.and_then(|status| status.release.as_ref());
    let said = release.is_some_and(|release| release.version == request.version())
        && reported.and_then(|status| status.observed_generation) == object.metadata.generation;
    let description = request.description();
    if said {
        return Ok(record);
    }
    let spec = context.spec_text(&request.key, request.spec).await?;
    let fact = Fact::Described { version: request.version().to_owned(), description: description.clone() };
    let entry = Entry { actor: context.actor(object), fact, spec: Some(spec), chart_package: None };
    context.chart_store.record(&request.key, entry).await?;
    Ok(ReleaseRecord { description, ..record })
}

/// The blobs of a release's images.
pub fn image_blobs(release: &Release) -> impl Iterator<Item = Digest> + '_ {
    release.images.iter().flat_map(|image| image.blobs.iter().copied())
}
