//! What `docker save` and its kin write: `manifest.json`, a config, and layers by path.
//!
//! Such an archive has no image manifest, so one is made: the same archive gives the same manifest, byte for byte,
//! because its digest is what the image is pinned to.

use std::collections::BTreeMap;

use bytes::Bytes;
use oci_spec::image::{Descriptor, ImageManifest, ImageManifestBuilder, MediaType, Sha256Digest};
use serde::Deserialize;

use super::{ArchiveImage, Archived, Content, tar_index::File};
use crate::{
    digest::Digest,
    image_harbor::ingest::{
        IngestError, Limits,
        document::{self, media_type},
        inflate::Compression,
        intake::Root,
    },
};

/// The file that says which images an archive holds.
pub(super) const MANIFEST: &str = "manifest.json";

/// One image of `manifest.json` (Docker image specification 1.2, "Combined Image JSON + Filesystem Changeset Format").
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: Option<String>,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

/// The one image of the archive.
pub(super) async fn image(archive: &Archived<'_>, limits: &Limits) -> Result<ArchiveImage, IngestError> {
    let invalid = |fault: String| IngestError::ArchiveInvalid(format!("{MANIFEST} {fault}"));
    let bytes = archive.document(MANIFEST, limits.manifest).await?;
    let (config, layers) = single(&bytes).map_err(invalid)?;
    let config_bytes = archive.document(&config, limits.config).await?;
    let config_digest = Digest::of(&config_bytes);
    if let Some(named) = digest_in_name(&config).filter(|named| *named != config_digest) {
        return Err(IngestError::ArchiveInvalid(format!(
            "the config {config:?} is named after {named}, but it is {config_digest}: the archive is damaged or was tampered with"
        )));
    }
    let identity = document::identity(&config_bytes)
        .map_err(|fault| IngestError::ArchiveInvalid(format!("the config {config:?} {fault}")))?;
    if layers.len() != identity.diff_ids.len() {
        return Err(invalid(format!(
            "lists {} layers, but the config {config:?} has {} (rootfs.diff_ids): save the image again",
            layers.len(),
            identity.diff_ids.len()
        )));
    }
    if layers.len() > limits.layers {
        return Err(invalid(format!("lists {} layers, {} are allowed", layers.len(), limits.layers)));
    }
    let mut contents = BTreeMap::from([(config_digest, Content::Made(config_bytes.clone()))]);
    let mut descriptors = Vec::new();
    for (path, diff_id) in layers.iter().zip(identity.diff_ids) {
        let file = archive.file(path)?.ok_or_else(|| {
            let fault = format!("lists the layer {path:?}, which the archive lacks: save the image again");
            IngestError::ArchiveInvalid(format!("{MANIFEST} {fault}"))
        })?;
        let (digest, kind) = layer(archive, &file, diff_id).await?;
        contents.insert(digest, Content::File(file));
        descriptors.push(descriptor(kind, digest, file.size));
    }
    let config = descriptor(media_type::OCI_CONFIG, config_digest, config_bytes.len() as u64);
    let bytes = manifest(config, descriptors)
        .map_err(|error| IngestError::ArchiveInvalid(format!("{MANIFEST} describes no image ({error})")))?;
    let root =
        Root { digest: Digest::of(&bytes), size: bytes.len() as u64, media_type: media_type::OCI_MANIFEST.to_owned() };
    contents.insert(root.digest, Content::Made(bytes));
    Ok(ArchiveImage { root, contents })
}

/// Config and layers of the only image.
fn single(manifest: &[u8]) -> Result<(String, Vec<String>), String> {
    let images: Option<Vec<Option<Entry>>> = serde_json::from_slice(manifest)
        .map_err(|error| format!("is no list of images ({error}): save the image again"))?;
    let mut images: Vec<Entry> = images.unwrap_or_default().into_iter().flatten().collect();
    if images.len() > 1 {
        let names: Vec<_> = images
            .iter()
            .map(|i| {
                i.repo_tags.iter().flatten().next().cloned().unwrap_or_else(|| i.config.clone().unwrap_or_default())
            })
            .collect();
        return Err(format!("lists several images ({}): save one of them only", super::listed(&names)));
    }
    let image = images.pop().ok_or("lists no image: save one, as in docker save IMAGE -o FILE")?;
    let config = image.config.filter(|c| !c.is_empty()).ok_or("names no config: save the image again")?;
    let layers = image.layers.unwrap_or_default();
    if layers.is_empty() {
        return Err("lists no layers: there is nothing in the image to run".into());
    }
    Ok((config, layers))
}

/// The digest that tools put into a config's name: `<hex>.json`, `sha256:<hex>` or `blobs/sha256/<hex>`.
fn digest_in_name(path: &str) -> Option<Digest> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let name = name.strip_suffix(".json").unwrap_or(name);
    format!("sha256:{}", name.strip_prefix("sha256:").unwrap_or(name)).parse().ok()
}

/// Digest and media type of a layer as it is in the archive. An uncompressed one is its diffID, which the Harbor will
/// check; some builders (kaniko, Bazel's rules) put compressed ones in, and those are hashed here.
async fn layer(archive: &Archived<'_>, file: &File, diff_id: Digest) -> Result<(Digest, &'static str), IngestError> {
    Ok(match Compression::of(&file.head) {
        Compression::None => (diff_id, media_type::OCI_LAYER),
        Compression::Gzip => (archive.digest(file).await?, media_type::OCI_LAYER_GZIP),
        Compression::Zstd => (archive.digest(file).await?, media_type::OCI_LAYER_ZSTD),
    })
}

fn descriptor(media_type: &str, digest: Digest, size: u64) -> Descriptor {
    let hex: Sha256Digest = digest.hex().parse().expect("a sha256 digest is one");
    Descriptor::new(MediaType::from(media_type), size, hex)
}

fn manifest(config: Descriptor, layers: Vec<Descriptor>) -> Result<Bytes, oci_spec::OciSpecError> {
    let manifest: ImageManifest = ImageManifestBuilder::default()
        .schema_version(oci_spec::image::SCHEMA_VERSION)
        .media_type(MediaType::ImageManifest)
        .config(config)
        .layers(layers)
        .build()?;
    Ok(serde_json::to_vec(&manifest)?.into())
}
