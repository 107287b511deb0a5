//! The chart as an artifact (C24): a `.tgz` that Helm takes, in an OCI manifest that registries take.
//!
//! The same chart has the same bytes wherever and whenever it is packaged: so does its `.tgz`, and the manifest is
//! without a date.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Chart, ManifestorError};
use crate::{
    digest::{Digest, canonical_json},
    tgz,
};

/// Media type of the manifest.
pub const MANIFEST_MEDIA_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of a chart's config: its metadata as JSON (Helm, "OCI-based registries").
pub const CONFIG_MEDIA_TYPE: &str = "application/vnd.cncf.helm.config.v1+json";
/// Media type of a packaged chart.
pub const LAYER_MEDIA_TYPE: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";

/// A packaged chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The chart as `helm package` would make it.
    pub tgz: Bytes,
    /// The chart's metadata as JSON, of media type [`CONFIG_MEDIA_TYPE`].
    pub config: Bytes,
    /// The OCI manifest that binds the two.
    pub manifest: Bytes,
    /// Digest of `manifest`: what the chart is known by.
    pub digest: Digest,
    /// Digest of `tgz`.
    pub tgz_digest: Digest,
}

/// Packages a chart.
pub fn package(application: &str, version: &str, chart: &Chart) -> Result<Package, ManifestorError> {
    let metadata = chart
        .files
        .get("Chart.yaml")
        .ok_or_else(|| ManifestorError::Spec("the chart has no Chart.yaml".into()))
        .and_then(|text| {
            serde_yaml::from_str::<serde_json::Value>(text)
                .map_err(|e| ManifestorError::Spec(format!("Chart.yaml cannot be read: {e}")))
        })?;
    let config = Bytes::from(canonical_json(&metadata));
    let files: BTreeMap<String, &String> =
        chart.files.iter().map(|(path, content)| (format!("{application}/{path}"), content)).collect();
    let tgz = tgz::pack(&files)
        .map_err(|e| ManifestorError::Spec(format!("the chart of {application} {version} cannot be packaged: {e}")))?;
    let tgz = Bytes::from(tgz);
    let tgz_digest = Digest::of(&tgz);
    let manifest = Bytes::from(canonical_json(&serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_MEDIA_TYPE,
        "config": {"mediaType": CONFIG_MEDIA_TYPE, "digest": Digest::of(&config), "size": config.len()},
        "layers": [{"mediaType": LAYER_MEDIA_TYPE, "digest": tgz_digest, "size": tgz.len()}],
        "annotations": {
            "org.opencontainers.image.title": application,
            "org.opencontainers.image.version": version,
        },
    })));
    Ok(Package { digest: Digest::of(&manifest), tgz, config, manifest, tgz_digest })
}

/// The digest of the config that a chart's manifest names; none in what is no manifest.
pub fn config_of(manifest: &[u8]) -> Option<Digest> {
    let manifest: serde_json::Value = serde_json::from_slice(manifest).ok()?;
    manifest["config"]["digest"].as_str()?.parse().ok()
}
