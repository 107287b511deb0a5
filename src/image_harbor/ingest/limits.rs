//! How much of anything an image may make the plane read, hold or inflate.

use super::registry::AllowedRegistry;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// Bounds on what is taken in. The defaults are far above real images and far below what would harm the plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of an archive file, and of its content where the file is compressed.
    pub archive: u64,
    /// Entries in an archive.
    pub entries: usize,
    /// Bytes of all paths in an archive together: what its index holds in memory.
    pub paths: u64,
    /// Bytes of a manifest or index (the OCI Distribution specification asks registries to take 4 MiB).
    pub manifest: u64,
    /// Bytes of an image config.
    pub config: u64,
    /// Bytes of all manifests and configs of one image together: they are held in memory.
    pub documents: u64,
    /// Layers of one platform.
    pub layers: usize,
    /// Platforms of an image.
    pub platforms: usize,
    /// Bytes of one layer, uncompressed.
    pub layer_inflated: u64,
    /// Bytes of all layers of an image, uncompressed.
    pub image_inflated: u64,
    /// How many bytes one compressed byte may become …
    pub inflation_ratio: u64,
    /// … once so many bytes have come out. Below it a ratio proves nothing: a preallocated file is all zeros.
    pub inflation_floor: u64,
    /// Blobs on their way at the same time.
    pub concurrency: usize,
    /// Registries that references may name. None: any.
    pub pull_from: Vec<AllowedRegistry>,
    /// Registries (`host` or `host:port`) that are spoken to without TLS. Those on loopback always are.
    pub plain_http: Vec<String>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            archive: 64 * GIB,
            entries: 100_000,
            paths: 16 * MIB,
            manifest: 4 * MIB,
            config: 8 * MIB,
            documents: 32 * MIB,
            layers: 500,
            platforms: 64,
            layer_inflated: 32 * GIB,
            image_inflated: 128 * GIB,
            inflation_ratio: 200,
            inflation_floor: GIB,
            concurrency: 4,
            pull_from: Vec::new(),
            plain_http: Vec::new(),
        }
    }
}
