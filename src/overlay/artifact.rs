//! A rendered overlay as an OCI artifact that Flux, Argo CD and `kubectl apply -k` can consume.
//!
//! Its one layer is the overlay as a plain kustomization over pre-rendered resources. The final YAML, as `kustomize
//! build` on these gives it, lies beside them in a file that the kustomization does not name: it is what the plane itself
//! applies.

use std::{collections::BTreeMap, io};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::renderer::Rendering;
use crate::{
    digest::Digest,
    image_harbor::{self, HarborError, ImageHarbor},
    tgz,
};

/// Media type of an OCI image manifest (OCI image-spec, media-types.md).
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of the config, by which Flux knows artifacts of its kind.
pub const CONFIG: &str = "application/vnd.cncf.flux.config.v1+json";
/// Media type of the layer. Argo CD takes one layer of this type unless it is told otherwise; Flux takes the first layer
/// of any.
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The final YAML's file in the layer.
const FINAL_YAML: &str = "manifests.yaml";
/// What an artifact of two layers has its final YAML in. None is made any more.
const LAYER_OF_FINAL_YAML: &str = "application/vnd.orbit.k8or.io.manifests.v1+yaml";
/// The largest manifest of an artifact that is read, in bytes: what registries take.
const MAX_MANIFEST: u64 = 4 * 1024 * 1024;
/// The largest layer and the largest final YAML, in bytes: twice what the renderer makes.
const MAX_YAML: u64 = 64 * 1024 * 1024;

/// The blobs of an artifact. The manifest is stored last: it names the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// The OCI manifest; its digest is the artifact's.
    pub manifest: Bytes,
    /// Config and layer.
    pub blobs: Vec<Bytes>,
}

impl Artifact {
    /// Packs a rendering. The same rendering gives the same artifact; nothing of time or place is in it.
    ///
    /// # Errors
    /// A file name in the rendering that does not stay inside the artifact.
    pub fn of(rendering: &Rendering, title: &str, version: Option<&str>) -> io::Result<Self> {
        let config = Bytes::from_static(b"{}");
        let mut files: BTreeMap<_, _> =
            rendering.files.iter().map(|(name, text)| (name.clone(), text.as_str())).collect();
        files.insert(FINAL_YAML.to_owned(), &rendering.manifest);
        let layer = Bytes::from(tgz::pack(&files)?);
        let descriptor = |media_type: &str, bytes: &Bytes| json!({"mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len()});
        let mut annotations = BTreeMap::from([("org.opencontainers.image.title", title)]);
        if let Some(version) = version {
            annotations.insert("org.opencontainers.image.version", version);
        }
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, &config),
            "layers": [descriptor(LAYER, &layer)],
            "annotations": annotations,
        });
        Ok(Self { manifest: crate::digest::canonical_json(&manifest).into(), blobs: vec![config, layer] })
    }

    /// The artifact's digest: that of its manifest.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }

    /// Every blob, the manifest last.
    pub fn all_blobs(&self) -> impl Iterator<Item = &Bytes> {
        self.blobs.iter().chain([&self.manifest])
    }
}

/// Why the final YAML of an artifact cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// Its blobs cannot.
    #[error(transparent)]
    Harbor(#[from] HarborError),
    /// It is no artifact of an overlay.
    #[error("the artifact {0} holds no manifests")]
    Empty(Digest),
    /// Its layer is no package of files, or has too much in it.
    #[error("the layer {layer} of the artifact {artifact} cannot be unpacked: {error}")]
    Package {
        /// The artifact.
        artifact: Digest,
        /// Its layer.
        layer: Digest,
        /// What is wrong.
        error: io::Error,
    },
}

/// What is looked at in an artifact's manifest.
#[derive(Debug, Deserialize)]
struct Document {
    layers: Vec<Layer>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    media_type: String,
    digest: Digest,
}

/// The final YAML of an artifact.
///
/// # Errors
/// See [`ArtifactError`].
pub async fn final_yaml(harbor: &dyn ImageHarbor, artifact: &Digest) -> Result<Vec<u8>, ArtifactError> {
    let empty = || ArtifactError::Empty(*artifact);
    let manifest = image_harbor::read_to_vec(harbor, artifact, MAX_MANIFEST).await?;
    let Document { layers } = serde_json::from_slice(&manifest).map_err(|_| empty())?;
    if let Some(layer) = layers.iter().find(|layer| layer.media_type == LAYER_OF_FINAL_YAML) {
        return Ok(image_harbor::read_to_vec(harbor, &layer.digest, MAX_YAML).await?);
    }
    let layer = layers.iter().find(|layer| layer.media_type == LAYER).ok_or_else(empty)?.digest;
    let package = image_harbor::read_to_vec(harbor, &layer, MAX_YAML).await?;
    let found = tgz::file(&package, FINAL_YAML, MAX_YAML);
    found.map_err(|error| ArtifactError::Package { artifact: *artifact, layer, error })?.ok_or_else(empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_harbor::{LocalHarbor, store_bytes};

    fn rendering() -> Rendering {
        Rendering {
            manifest: "a: 1\n".into(),
            files: BTreeMap::from([("kustomization.yaml".into(), "{}".into())]),
            objects: Vec::new(),
            images: Vec::new(),
        }
    }

    /// The final YAML of an artifact whose blobs, the manifest last, are in a Harbor.
    async fn read(blobs: impl IntoIterator<Item = Bytes>) -> Result<Vec<u8>, ArtifactError> {
        let directory = tempfile::tempdir().unwrap();
        let harbor = LocalHarbor::open(directory.path()).await.unwrap();
        let mut artifact = None;
        for blob in blobs {
            artifact = Some(store_bytes(&harbor, blob).await.unwrap());
        }
        final_yaml(&harbor, &artifact.unwrap()).await
    }

    #[tokio::test]
    async fn the_final_yaml_is_found_again() {
        let artifact = Artifact::of(&rendering(), "web.prod", None).unwrap();
        assert_eq!(read(artifact.all_blobs().cloned()).await.unwrap(), b"a: 1\n");
    }

    #[tokio::test]
    async fn artifacts_of_two_layers_are_still_read() {
        let (kustomization, yaml) = (Bytes::from_static(b"a tar.gz"), Bytes::from_static(b"b: 2\n"));
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": Digest::of("{}"), "size": 2},
            "layers": [
                {"mediaType": "application/vnd.cncf.flux.content.v1.tar+gzip", "digest": Digest::of(&kustomization), "size": 8},
                {"mediaType": LAYER_OF_FINAL_YAML, "digest": Digest::of(&yaml), "size": 5},
            ],
        });
        let manifest = crate::digest::canonical_json(&manifest).into();
        assert_eq!(read([kustomization, yaml, manifest]).await.unwrap(), b"b: 2\n");
    }

    #[tokio::test]
    async fn what_is_no_artifact_of_an_overlay_is_told_apart_from_a_broken_one() {
        assert!(matches!(read([Bytes::from_static(b"{}")]).await, Err(ArtifactError::Empty(_))));
        let manifest = json!({"layers": [{"mediaType": LAYER, "digest": Digest::of("no package"), "size": 10}]});
        let blobs = [Bytes::from_static(b"no package"), manifest.to_string().into()];
        assert!(matches!(read(blobs).await, Err(ArtifactError::Package { .. })));
    }

    #[test]
    fn an_artifact_is_what_argo_cd_takes() {
        let artifact = Artifact::of(&rendering(), "web.prod", Some("1.4.0")).unwrap();
        let Document { layers } = serde_json::from_slice(&artifact.manifest).unwrap();
        let [layer] = layers.as_slice() else { panic!("{layers:?}") };
        // The default of its --oci-layer-media-types, besides charts.
        assert_eq!(layer.media_type, "application/vnd.oci.image.layer.v1.tar+gzip");
    }
}
