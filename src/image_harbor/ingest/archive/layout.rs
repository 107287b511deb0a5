//! An OCI image layout in a tar file: `index.json` and `blobs/sha256/<hex>`.

use std::collections::BTreeMap;

use oci_spec::image::{Descriptor, ImageIndex};

use super::{ArchiveImage, Archived, Content};
use crate::{
    digest::Digest,
    image_harbor::ingest::{IngestError, Limits, document, intake::Root},
};

/// The file that says which images a layout holds.
pub(super) const INDEX: &str = "index.json";
const BLOBS: &str = "blobs/sha256/";

/// The one image of the layout. Its manifests are kept byte for byte.
pub(super) async fn image(archive: &Archived<'_>, limits: &Limits) -> Result<ArchiveImage, IngestError> {
    let invalid = |fault: String| IngestError::ArchiveInvalid(format!("{INDEX} {fault}"));
    let bytes = archive.document(INDEX, limits.manifest).await?;
    let index: Option<ImageIndex> =
        serde_json::from_slice(&bytes).map_err(|error| invalid(format!("is no image index ({error})")))?;
    let index = index.ok_or_else(|| invalid("is null: save the image again".into()))?;
    let root = single(&index).map_err(invalid)?;
    let mut contents = BTreeMap::new();
    for path in archive.index.paths() {
        let digest = path.strip_prefix(BLOBS).and_then(|hex| format!("sha256:{hex}").parse::<Digest>().ok());
        if let Some(digest) = digest
            && let Some(file) = archive.file(path)?
        {
            contents.insert(digest, Content::File(file));
        }
    }
    Ok(ArchiveImage { root, contents })
}

/// The layout's only image: several names for it are none too many.
fn single(index: &ImageIndex) -> Result<Root, String> {
    let mut images = BTreeMap::<Digest, (&Descriptor, Vec<String>)>::new();
    for descriptor in index.manifests().iter().filter(|d| !document::is_attachment(d)) {
        let digest = document::digest_of(descriptor)?;
        let (_, names) = images.entry(digest).or_insert((descriptor, Vec::new()));
        names.push(name(descriptor));
    }
    if images.len() > 1 {
        let names: Vec<_> = images.into_values().flat_map(|(_, names)| names).collect();
        return Err(format!("lists several images ({}): save one of them only", super::listed(&names)));
    }
    let (digest, (descriptor, _)) = images.pop_first().ok_or("lists no image: save one into the archive")?;
    Ok(Root { digest, size: descriptor.size(), media_type: descriptor.media_type().to_string() })
}

/// What people call it: containerd's annotation has the whole name, OCI's often only the tag.
fn name(descriptor: &Descriptor) -> String {
    let annotation = |key: &str| descriptor.annotations().as_ref()?.get(key).cloned();
    annotation("io.containerd.image.name")
        .or_else(|| annotation("org.opencontainers.image.ref.name"))
        .unwrap_or_else(|| descriptor.digest().to_string())
}
