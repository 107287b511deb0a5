//! Container images made by hand: small, whole, and the same bytes every time.

use std::io::Write;

use flate2::{Compression, GzBuilder};
use orbit_plane::digest::Digest;
use serde_json::{Value, json};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// An image of one layer with one file. It listens on 8080 and runs as user 1000.
#[derive(Debug, Clone)]
pub struct Image {
    pub layer: Vec<u8>,
    pub config: Vec<u8>,
    pub manifest: Vec<u8>,
}

impl Image {
    /// The image whose file has this content. Other content is another image.
    pub fn of(content: &str) -> Self {
        Self::with_layer(&tar([("app", content.as_bytes())]))
    }

    /// The image with this layer, given uncompressed.
    pub fn with_layer(layer: &[u8]) -> Self {
        Self::of_parts(gzip(layer), Digest::of(layer))
    }

    /// The image with this compressed layer, of which the config says that it has this digest uncompressed.
    pub fn of_parts(packed: Vec<u8>, diff_id: Digest) -> Self {
        let config = json!({
            "os": "linux",
            "architecture": "amd64",
            "config": {"User": "1000", "Cmd": ["/app"], "ExposedPorts": {"8080/tcp": {}}},
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        });
        let config = config.to_string().into_bytes();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, &config),
            "layers": [descriptor(LAYER, &packed)],
        });
        Self { layer: packed, config, manifest: manifest.to_string().into_bytes() }
    }

    /// The image as an OCI layout in a tar file: what `docker save` and `skopeo copy … oci-archive:` write today.
    pub fn archive(&self) -> Vec<u8> {
        self.archive_of(&[&self.layer, &self.config, &self.manifest])
    }

    /// The same with these blobs, each under its digest, in place of those that it needs.
    pub fn archive_of(&self, blobs: &[&Vec<u8>]) -> Vec<u8> {
        let named = blobs.iter().map(|blob| (Digest::of(blob), blob.as_slice()));
        self.archive_with(named.collect())
    }

    /// The same with blobs under the digests that are given, their own or not.
    pub fn archive_with(&self, blobs: Vec<(Digest, &[u8])>) -> Vec<u8> {
        let index = json!({"schemaVersion": 2, "manifests": [descriptor(MANIFEST, &self.manifest)]}).to_string();
        let names: Vec<_> = blobs.iter().map(|(digest, _)| format!("blobs/sha256/{}", digest.hex())).collect();
        let mut files: Vec<(&str, &[u8])> =
            vec![("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#), ("index.json", index.as_bytes())];
        files.extend(names.iter().map(String::as_str).zip(blobs.iter().map(|(_, blob)| *blob)));
        tar(files)
    }
}

/// A tar file; names are written as they are, the bad ones too.
pub fn tar<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        header.set_mtime(0);
        header.as_gnu_mut().expect("it was made as one").name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        archive.extend_from_slice(header.as_bytes());
        archive.extend_from_slice(content);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

/// Compressed, without a time.
pub fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::default());
    encoder.write_all(content).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len()})
}
