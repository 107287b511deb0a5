//! What manifests, indexes and configs say. Pure: bytes in, meaning or the fault out.
//!
//! Faults are ends of sentences that begin with the document's name: "is no JSON (…)".

use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use serde::{Deserialize, de::IgnoredAny};

use super::Limits;
use crate::digest::Digest;

/// Media types, as the OCI image-spec and Docker's "Image Manifest Version 2, Schema 2" name them.
pub(super) mod media_type {
    pub(in super::super) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    pub(in super::super) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    pub(in super::super) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    pub(in super::super) const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    pub(in super::super) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    pub(in super::super) const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    pub(in super::super) const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    pub(in super::super) const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    pub(in super::super) const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

    /// Everything that a tag may resolve to.
    pub(in super::super) const MANIFESTS: [&str; 4] = [OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST];

    pub(super) fn is_config(media_type: &str) -> bool {
        [OCI_CONFIG, DOCKER_CONFIG].contains(&media_type)
    }

    /// The compression that a type names is not looked at: container runtimes go by the bytes, and so does the plane.
    pub(super) fn is_layer(media_type: &str) -> bool {
        matches!(
            media_type,
            OCI_LAYER
                | OCI_LAYER_GZIP
                | OCI_LAYER_ZSTD
                | "application/vnd.oci.image.layer.nondistributable.v1.tar"
                | "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
                | "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"
                | "application/vnd.docker.image.rootfs.diff.tar"
                | "application/vnd.docker.image.rootfs.diff.tar.gzip"
                | "application/vnd.docker.image.rootfs.diff.tar.zstd"
                | "application/vnd.docker.image.rootfs.foreign.diff.tar"
                | "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
        )
    }
}

/// A manifest of either kind.
#[derive(Debug)]
pub(super) enum Document {
    Index(Box<ImageIndex>),
    Manifest(Box<ImageManifest>),
}

/// What is looked at before a document is taken for one kind or the other.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: Option<serde_json::Value>,
    media_type: Option<String>,
    manifests: Option<IgnoredAny>,
    config: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
    fs_layers: Option<IgnoredAny>,
}

/// Reads a manifest or index, with the media type it is to be stored under. `announced` is what the descriptor or the
/// registry called it; empty when nobody said anything.
pub(super) fn parse(bytes: &[u8], announced: &str) -> Result<(String, Document), String> {
    let shape: Option<Shape> = serde_json::from_slice(bytes).map_err(|error| format!("is no manifest ({error})"))?;
    let shape = shape.ok_or("is null instead of a manifest: build and save the image again")?;
    let schema1 =
        "is of Docker's image format 1, which was given up in 2017: push or save the image with a current Docker";
    if shape.fs_layers.is_some()
        || shape.schema_version == Some(1.into())
        || announced.starts_with("application/vnd.docker.distribution.manifest.v1+")
    {
        return Err(schema1.into());
    }
    // A document that can be read both ways would be one image here and another one elsewhere (CVE-2021-41190).
    let is_index = match (shape.manifests.is_some(), shape.config.is_some() || shape.layers.is_some()) {
        (true, true) => return Err("is ambiguous: it has manifests as well as a config or layers".into()),
        (true, false) => true,
        (false, true) => false,
        (false, false) => return Err("has neither manifests nor a config and layers: it is no image".into()),
    };
    // The document's own word first; what is no manifest type at all (a generic Content-Type) says nothing.
    let known = |name: &&str| media_type::MANIFESTS.contains(name);
    let stated = shape.media_type.as_deref();
    if let Some(unknown) = stated.filter(|stated| !known(stated)) {
        return Err(format!("has the media type {unknown:?}, which is no container image"));
    }
    if let (Some(stated), Some(announced)) = (stated, Some(announced).filter(known))
        && stated != announced
    {
        return Err(format!("calls itself {stated}, but was announced as {announced}"));
    }
    let fallback = if is_index { media_type::OCI_INDEX } else { media_type::OCI_MANIFEST };
    let media_type = stated.or(Some(announced).filter(known)).unwrap_or(fallback);
    if is_index != [media_type::OCI_INDEX, media_type::DOCKER_INDEX].contains(&media_type) {
        return Err(format!("calls itself {media_type}, but its content is of the other kind"));
    }
    let malformed = |error: serde_json::Error| format!("is malformed ({error})");
    let document = if is_index {
        Document::Index(Box::new(serde_json::from_slice(bytes).map_err(malformed)?))
    } else {
        Document::Manifest(Box::new(serde_json::from_slice(bytes).map_err(malformed)?))
    };
    Ok((media_type.to_owned(), document))
}

/// The digest that a descriptor names.
pub(super) fn digest_of(descriptor: &Descriptor) -> Result<Digest, String> {
    let text = descriptor.digest().to_string();
    text.parse().map_err(|_| format!("refers to {text}: only sha256 digests are supported, build the image with those"))
}

/// Whether a manifest in an index is something beside the image (an attestation, a signature) rather than the image for
/// some platform. BuildKit marks attestations with the platform unknown/unknown.
pub(super) fn is_attachment(descriptor: &Descriptor) -> bool {
    descriptor.platform().as_ref().is_some_and(|p| p.os().to_string() == "unknown")
        || descriptor.annotations().as_ref().is_some_and(|a| a.contains_key("vnd.docker.reference.type"))
        || descriptor.artifact_type().as_ref().is_some_and(|t| !media_type::is_config(t.as_ref()))
}

/// The platform that an index gives a manifest, for people.
pub(super) fn announced_platform(descriptor: &Descriptor) -> Option<String> {
    let platform = descriptor.platform().as_ref()?;
    let base = format!("{}/{}", platform.os(), platform.architecture());
    Some(platform.variant().as_ref().filter(|v| !v.is_empty()).map(|v| format!("{base}/{v}")).unwrap_or(base))
}

/// Refuses an image manifest that the plane cannot deploy.
pub(super) fn check_manifest(manifest: &ImageManifest, limits: &Limits) -> Result<(), String> {
    let config = manifest.config().media_type().as_ref();
    if !media_type::is_config(config) {
        let what = if config.starts_with("application/vnd.cncf.helm.") { "a Helm chart" } else { "something else" };
        return Err(format!("is no container image but {what}: its config has the media type {config:?}"));
    }
    if let Some(layer) = manifest.layers().iter().find(|l| !media_type::is_layer(l.media_type().as_ref())) {
        return Err(format!(
            "has a layer of media type {:?}, which container runtimes do not read: build the image with tar, gzip or zstd layers",
            layer.media_type().as_ref()
        ));
    }
    match manifest.layers().len() {
        0 => Err("has no layers: there is nothing in it to run".into()),
        n if n > limits.layers => Err(format!("has {n} layers, {} are allowed: squash some of them", limits.layers)),
        _ => Ok(()),
    }
}

/// What makes an image config an identity: its platform and its uncompressed layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    /// `os/architecture[/variant]`.
    pub platform: String,
    /// Digests of the uncompressed layers, in order.
    pub diff_ids: Vec<Digest>,
}

/// Reads an image config. Only what is verified is parsed: everything else in it is the container runtime's business,
/// and Docker writes properties that the OCI specification does not have.
pub(super) fn identity(config: &[u8]) -> Result<Identity, String> {
    #[derive(Deserialize)]
    struct Config {
        architecture: Option<String>,
        os: Option<String>,
        variant: Option<String>,
        rootfs: Option<RootFs>,
    }
    #[derive(Deserialize)]
    struct RootFs {
        diff_ids: Option<Vec<String>>,
    }
    let config: Option<Config> =
        serde_json::from_slice(config).map_err(|error| format!("is no image config ({error})"))?;
    let config = config.ok_or("is null instead of an image config: build and save the image again")?;
    let word = |name: &str, value: Option<String>| match value.filter(|v| !v.is_empty()) {
        None => Err(format!("has no {name}: build the image again with a current builder")),
        Some(v) if v.len() > 20 || !v.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) => {
            Err(format!("has an {name} that is none: {:?}", v.chars().take(40).collect::<String>()))
        }
        Some(v) => Ok(v),
    };
    let mut platform = format!("{}/{}", word("os", config.os)?, word("architecture", config.architecture)?);
    if let Some(variant) = config.variant.filter(|v| !v.is_empty()) {
        platform = format!("{platform}/{}", word("variant", Some(variant))?);
    }
    let diff_ids =
        config.rootfs.and_then(|r| r.diff_ids).ok_or("has no rootfs.diff_ids: its layers cannot be checked")?;
    let diff_ids = diff_ids
        .iter()
        .map(|text| text.parse().map_err(|error| format!("has a diffID that is none: {error}")))
        .collect::<Result<_, _>>()?;
    Ok(Identity { platform, diff_ids })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fault(value: serde_json::Value, announced: &str) -> String {
        parse(value.to_string().as_bytes(), announced).unwrap_err()
    }

    fn descriptor(media_type: &str) -> serde_json::Value {
        json!({"mediaType": media_type, "digest": Digest::of("x").to_string(), "size": 1})
    }

    #[test]
    fn what_is_no_image_manifest_is_refused() {
        let image = json!({"schemaVersion": 2, "config": descriptor(media_type::OCI_CONFIG), "layers": []});
        let with = |key: &str, value: serde_json::Value| {
            let mut image = image.clone();
            image[key] = value;
            image
        };
        for (value, announced, expected) in [
            (json!(null), "", "is null"),
            (json!([]), "", "is no manifest"),
            (json!("x"), "", "is no manifest"),
            (json!({}), "", "neither manifests nor"),
            (json!({"schemaVersion": 1, "fsLayers": [], "history": []}), "", "format 1"),
            (with("manifests", json!([])), "", "ambiguous"),
            (with("mediaType", json!(media_type::OCI_INDEX)), "", "other kind"),
            (with("mediaType", json!("application/vnd.oci.artifact.manifest.v1+json")), "", "no container image"),
            (with("mediaType", json!(media_type::OCI_MANIFEST)), media_type::DOCKER_MANIFEST, "announced as"),
            (with("layers", json!(null)), "", "malformed"),
            (with("layers", json!([null])), "", "malformed"),
            (with("config", json!({"mediaType": "x", "digest": "sha256:xyz", "size": 1})), "", "malformed"),
            (
                with("config", json!({"mediaType": "x", "digest": Digest::of("").to_string(), "size": -1})),
                "",
                "malformed",
            ),
            (json!({"schemaVersion": 2, "manifests": null}), "", "neither manifests nor"),
            (image.clone(), media_type::DOCKER_INDEX, "other kind"),
            (image.clone(), "application/vnd.docker.distribution.manifest.v1+prettyjws", "format 1"),
        ] {
            let fault = fault(value.clone(), announced);
            assert!(fault.contains(expected), "{value}: {fault}");
        }
    }

    #[test]
    fn a_document_is_stored_under_its_own_word_then_the_announced_one() {
        let image = json!({"schemaVersion": 2, "config": descriptor(media_type::OCI_CONFIG), "layers": []});
        let stored = |value: &serde_json::Value, announced| parse(value.to_string().as_bytes(), announced).unwrap().0;
        assert_eq!(stored(&image, ""), media_type::OCI_MANIFEST);
        assert_eq!(stored(&image, "application/json"), media_type::OCI_MANIFEST);
        assert_eq!(stored(&image, media_type::DOCKER_MANIFEST), media_type::DOCKER_MANIFEST);
        let mut docker = image;
        docker["mediaType"] = json!(media_type::DOCKER_MANIFEST);
        assert_eq!(stored(&docker, ""), media_type::DOCKER_MANIFEST);
    }

    #[test]
    fn manifests_that_are_no_deployable_image_are_refused() {
        let manifest = |config: &str, layers: &[&str]| -> ImageManifest {
            let layers: Vec<_> = layers.iter().map(|l| descriptor(l)).collect();
            let value = json!({"schemaVersion": 2, "config": descriptor(config), "layers": layers});
            serde_json::from_value(value).unwrap()
        };
        let limits = Limits { layers: 1, ..Limits::default() };
        let helm = "application/vnd.cncf.helm.config.v1+json";
        for (manifest, expected) in [
            (manifest(helm, &[media_type::OCI_LAYER]), "a Helm chart"),
            (manifest("application/vnd.oci.empty.v1+json", &[media_type::OCI_LAYER]), "no container image"),
            (manifest(media_type::OCI_CONFIG, &["application/vnd.in-toto+json"]), "in-toto"),
            (manifest(media_type::OCI_CONFIG, &[]), "no layers"),
            (manifest(media_type::OCI_CONFIG, &[media_type::OCI_LAYER, media_type::OCI_LAYER]), "has 2 layers"),
        ] {
            let fault = check_manifest(&manifest, &limits).unwrap_err();
            assert!(fault.contains(expected), "{fault}");
        }
        assert_eq!(
            check_manifest(&manifest(media_type::DOCKER_CONFIG, &[media_type::OCI_LAYER_ZSTD]), &limits),
            Ok(())
        );
    }

    #[test]
    fn a_config_must_name_platform_and_layers() {
        let of = |value: serde_json::Value| identity(value.to_string().as_bytes());
        let diff_id = Digest::of("layer");
        let config = json!({"os": "linux", "architecture": "arm64", "variant": "v8",
            "rootfs": {"type": "layers", "diff_ids": [diff_id.to_string()]}, "config": {"Healthcheck": {"Test": []}}});
        assert_eq!(of(config.clone()), Ok(Identity { platform: "linux/arm64/v8".into(), diff_ids: vec![diff_id] }));
        for (key, value, expected) in [
            ("os", json!(null), "has no os"),
            ("os", json!("li/nux"), "an os that is none"),
            ("architecture", json!(""), "has no architecture"),
            ("variant", json!("v8\n"), "variant that is none"),
            ("rootfs", json!(null), "no rootfs.diff_ids"),
            ("rootfs", json!({"diff_ids": null}), "no rootfs.diff_ids"),
            ("rootfs", json!({"diff_ids": ["md5:1"]}), "diffID that is none"),
        ] {
            let mut config = config.clone();
            config[key] = value;
            let fault = of(config).unwrap_err();
            assert!(fault.contains(expected), "{fault}");
        }
        assert!(of(json!(null)).unwrap_err().contains("is null"));
    }

    #[test]
    fn attestations_are_told_from_platforms() {
        let of = |extra: serde_json::Value| -> Descriptor {
            let mut value = descriptor(media_type::OCI_MANIFEST);
            value.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            serde_json::from_value(value).unwrap()
        };
        assert!(is_attachment(&of(json!({"platform": {"os": "unknown", "architecture": "unknown"}}))));
        assert!(is_attachment(&of(json!({"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}))));
        assert!(is_attachment(&of(json!({"artifactType": "application/spdx+json"}))));
        assert!(!is_attachment(&of(json!({"platform": {"os": "linux", "architecture": "amd64"}}))));
        assert!(!is_attachment(&of(json!({}))));
    }
}
