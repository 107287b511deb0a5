//! The chart as an artifact (C24): a `.tgz` that Helm takes, in an OCI manifest that registries take.
//!
//! The same chart has the same bytes wherever and whenever it is packaged: entries are sorted, their time and owner
//! fixed, the gzip header without name, time and system, the manifest without a date.

use std::io::Write;

use bytes::Bytes;
use flate2::{Compression, GzBuilder};
use tokio_tar::Header;

use super::{Chart, ManifestorError};
use crate::digest::{Digest, canonical_json};

/// Media type of the manifest.
pub const MANIFEST_MEDIA_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of a chart's config: its metadata as JSON (Helm, "OCI-based registries").
pub const CONFIG_MEDIA_TYPE: &str = "application/vnd.cncf.helm.config.v1+json";
/// Media type of a packaged chart.
pub const LAYER_MEDIA_TYPE: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";

/// Every entry's time, in seconds since 1970: 1980-01-01, which ZIP-minded tools can say too.
const MTIME: u64 = 315_532_800;

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
    let tgz =
        Bytes::from(archive(application, chart).map_err(|e| {
            ManifestorError::Spec(format!("the chart of {application} {version} cannot be packaged: {e}"))
        })?);
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

fn archive(application: &str, chart: &Chart) -> std::io::Result<Vec<u8>> {
    // Operating system 255 is "unknown" (RFC 1952, section 2.3.1).
    let mut gzip = GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::best());
    for (path, content) in &chart.files {
        let mut header = Header::new_ustar();
        header.set_path(format!("{application}/{path}"))?;
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(MTIME);
        header.set_entry_type(tokio_tar::EntryType::Regular);
        header.set_cksum();
        gzip.write_all(header.as_bytes())?;
        gzip.write_all(content.as_bytes())?;
        gzip.write_all(&[0; 512][..content.len().next_multiple_of(512) - content.len()])?;
    }
    gzip.write_all(&[0; 1024])?;
    gzip.finish()
}
