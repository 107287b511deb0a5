//! A rendered overlay as an OCI artifact that Flux and `kubectl apply -k` can consume.
//!
//! Layer 0 is the overlay as a plain kustomization over pre-rendered resources, in the shape of Flux's OCI artifacts;
//! layer 1 is the final YAML, as `kustomize build` on layer 0 gives it.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::json;

use super::renderer::Rendering;
use crate::{digest::Digest, tgz};

/// Media type of an OCI image manifest (OCI image-spec, media-types.md).
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of the config, by which Flux knows artifacts of its kind.
pub const CONFIG: &str = "application/vnd.cncf.flux.config.v1+json";
const FLUX_CONTENT: &str = "application/vnd.cncf.flux.content.v1.tar+gzip";
const FINAL_YAML: &str = "application/vnd.orbit.k8or.io.manifests.v1+yaml";

/// The blobs of an artifact. The manifest is stored last: it names the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// The OCI manifest; its digest is the artifact's.
    pub manifest: Bytes,
    /// Config and layers.
    pub blobs: Vec<Bytes>,
}

impl Artifact {
    /// Packs a rendering. The same rendering gives the same artifact; nothing of time or place is in it.
    ///
    /// # Errors
    /// A file name in the rendering that does not stay inside the artifact.
    pub fn of(rendering: &Rendering, title: &str, version: Option<&str>) -> std::io::Result<Self> {
        let config = Bytes::from_static(b"{}");
        let kustomization = Bytes::from(tgz::pack(&rendering.files)?);
        let manifests = Bytes::from(rendering.manifest.clone());
        let descriptor = |media_type: &str, bytes: &Bytes, title: Option<&str>| {
            let mut descriptor = json!({"mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len()});
            if let Some(title) = title {
                descriptor["annotations"] = json!({"org.opencontainers.image.title": title});
            }
            descriptor
        };
        let mut annotations = BTreeMap::from([("org.opencontainers.image.title", title)]);
        if let Some(version) = version {
            annotations.insert("org.opencontainers.image.version", version);
        }
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, &config, None),
            "layers": [
                descriptor(FLUX_CONTENT, &kustomization, None),
                descriptor(FINAL_YAML, &manifests, Some("manifests.yaml")),
            ],
            "annotations": annotations,
        });
        Ok(Self {
            manifest: crate::digest::canonical_json(&manifest).into(),
            blobs: vec![config, kustomization, manifests],
        })
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

/// The digest of the layer of final YAML, from an artifact's manifest; none in what is no artifact of an overlay.
pub fn final_yaml(manifest: &[u8]) -> Option<Digest> {
    let manifest: serde_json::Value = serde_json::from_slice(manifest).ok()?;
    let layers = manifest["layers"].as_array()?;
    layers.iter().find(|layer| layer["mediaType"] == FINAL_YAML)?["digest"].as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_final_yaml_is_found_again() {
        let rendering = Rendering {
            manifest: "a: 1\n".into(),
            files: BTreeMap::from([("kustomization.yaml".into(), "{}".into())]),
            objects: Vec::new(),
            images: Vec::new(),
        };
        let artifact = Artifact::of(&rendering, "web.prod", None).unwrap();
        assert_eq!(final_yaml(&artifact.manifest), Some(Digest::of("a: 1\n")));
        assert_eq!(final_yaml(b"{}"), None);
    }
}
