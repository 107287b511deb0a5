//! Archives as tools write them, and archives as nobody should.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio_tar::EntryType;

use super::*;
use crate::image_harbor::ingest::{
    document::media_type::{OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_LAYER_GZIP, OCI_MANIFEST},
    testing::{MemoryHarbor, Tar, config, descriptor, gzip, layer, zstd},
};

struct Taken {
    harbor: Arc<MemoryHarbor>,
    image: Result<StoredImage, IngestError>,
}

async fn take(archive: Vec<u8>) -> Taken {
    take_within(archive, &Limits::default()).await
}

async fn take_within(archive: Vec<u8>, limits: &Limits) -> Taken {
    let harbor = Arc::new(MemoryHarbor::default());
    let store: Arc<dyn ImageHarbor> = harbor.clone();
    let digest = Digest::of(&archive);
    let image = from_archive(&store, "main", &archive, &digest, limits).await;
    assert_eq!(harbor.staged(), 0, "nothing stays staged");
    Taken { harbor, image }
}

async fn fault(archive: Vec<u8>) -> String {
    let taken = take(archive).await;
    let error = taken.image.expect_err("a refusal");
    assert_eq!(error.reason(), crate::api::reason::ARCHIVE_INVALID, "{error}");
    assert!(!error.is_transient());
    error.to_string()
}

fn layers() -> Vec<Vec<u8>> {
    vec![layer("base"), layer("app")]
}

/// As Docker wrote it until version 24, with the second layer a link to where an older image had it.
fn old_docker_save() -> Tar {
    let config = config("linux/amd64", &layers()).to_string();
    let name = format!("{}.json", Digest::of(&config).hex());
    let manifest = json!([{"Config": name, "RepoTags": ["shop/web:1"], "Layers": ["a/layer.tar", "b/layer.tar"]}]);
    Tar::default()
        .entry("a/", EntryType::Directory, "", b"")
        .file("a/layer.tar", &layers()[0])
        .link("b/layer.tar", "../c/layer.tar")
        .file("./c/layer.tar", &layers()[1])
        .file(&name, &config)
        .json("manifest.json", &manifest)
}

fn blob(tar: Tar, content: impl AsRef<[u8]>) -> Tar {
    tar.file(&format!("blobs/sha256/{}", Digest::of(content.as_ref()).hex()), content)
}

fn manifest_of(config: &str, layers: &[Value]) -> String {
    json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(OCI_CONFIG, config), "layers": layers})
        .to_string()
}

/// An OCI layout of the same image, its layers compressed.
async fn oci_layout() -> (Tar, String) {
    let config = config("linux/amd64", &layers()).to_string();
    let (first, second) = (gzip(&layers()[0]).await, gzip(&layers()[1]).await);
    let manifest = manifest_of(&config, &[descriptor(OCI_LAYER_GZIP, &first), descriptor(OCI_LAYER_GZIP, &second)]);
    let tar = blob(blob(blob(blob(Tar::default(), first), second), config), &manifest);
    (tar.json("oci-layout", &json!({"imageLayoutVersion": "1.0.0"})), manifest)
}

fn index_json(manifests: &[Value]) -> Value {
    json!({"schemaVersion": 2, "manifests": manifests})
}

#[tokio::test]
async fn an_old_docker_save_becomes_the_same_manifest_every_time() {
    let taken = take(old_docker_save().finish()).await;
    let image = taken.image.unwrap();
    assert_eq!(image.media_type, OCI_MANIFEST);
    // Golden: a new digest here gives images that are stored already another identity.
    let held = taken.harbor.held();
    let manifest = std::str::from_utf8(&held[&image.digest]).unwrap();
    let digests: Vec<_> = layers().iter().map(Digest::of).collect();
    let config = config("linux/amd64", &layers()).to_string();
    let size = layers()[0].len();
    assert_eq!(
        manifest,
        format!(
            concat!(
                r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
                r#""config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":{}}},"layers":["#,
                r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{}","size":{}}},"#,
                r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{}","size":{}}}]}}"#
            ),
            Digest::of(&config),
            config.len(),
            digests[0],
            size,
            digests[1],
            size
        )
    );
    assert_eq!(image.blobs, held.keys().copied().collect::<Vec<_>>());
    assert_eq!(image.size, held.values().map(|b| b.len() as u64).sum::<u64>());
}

#[tokio::test]
async fn one_image_in_two_formats_has_one_identity() {
    let docker = take(old_docker_save().finish()).await.image.unwrap();
    let (tar, manifest) = oci_layout().await;
    let tar = tar.json("index.json", &index_json(&[descriptor(OCI_MANIFEST, &manifest)]));
    let layout = take(tar.finish()).await.image.unwrap();
    assert_eq!(layout.digest, Digest::of(&manifest), "kept byte for byte");
    assert_eq!(layout.platforms[0].platform, "linux/amd64");
    assert_eq!(layout.platforms[0].config, docker.platforms[0].config);
}

#[tokio::test]
async fn compressed_archives_are_read_as_well() {
    let plain = old_docker_save().finish();
    let expected = take(plain.clone()).await.image.unwrap();
    for archive in [gzip(&plain).await, zstd(&plain).await] {
        assert_eq!(take(archive.clone()).await.image.unwrap(), expected);
        let cut = archive[..archive.len() / 2].to_vec();
        assert!(fault(cut).await.contains("decompressed"));
    }
}

#[tokio::test]
async fn compressed_layers_in_a_docker_archive_stay_compressed() {
    let config = config("linux/amd64", &layers()[..1]).to_string();
    let compressed = gzip(&layers()[0]).await;
    let tar = Tar::default().file("config", &config).file("layer.tar.gz", &compressed);
    let tar = tar.json("manifest.json", &json!([{"Config": "config", "RepoTags": null, "Layers": ["layer.tar.gz"]}]));
    let taken = take(tar.finish()).await;
    assert!(taken.image.unwrap().blobs.contains(&Digest::of(&compressed)));
}

#[tokio::test]
async fn an_index_keeps_its_attestations_and_names_what_it_lacks() {
    let (tar, manifest) = oci_layout().await;
    let mut amd64 = descriptor(OCI_MANIFEST, &manifest);
    amd64["platform"] = json!({"os": "linux", "architecture": "amd64"});
    let statement = "{}";
    let attestation = manifest_of("{ }", &[descriptor("application/vnd.in-toto+json", statement)]);
    let mut attached = descriptor(OCI_MANIFEST, &attestation);
    attached["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    let mut arm64 = descriptor(OCI_MANIFEST, "not there");
    arm64["platform"] = json!({"os": "linux", "architecture": "arm64"});
    let archive = |tar: Tar, manifests: &[Value]| {
        let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}).to_string();
        let tar = blob(tar, &index).json("index.json", &index_json(&[descriptor(OCI_INDEX, &index)]));
        blob(blob(blob(tar, &attestation), statement), "{ }").finish()
    };
    let image = take(archive(tar, &[amd64.clone(), attached])).await.image.unwrap();
    assert_eq!(image.platforms.len(), 1);
    assert!(image.blobs.contains(&Digest::of(statement)) && image.blobs.contains(&Digest::of(&attestation)));
    let (tar, _) = oci_layout().await;
    assert!(fault(archive(tar, &[amd64, arm64])).await.contains("linux/arm64"));
}

#[tokio::test]
async fn an_incomplete_layout_beside_manifest_json_is_passed_over() {
    let expected = take(old_docker_save().finish()).await.image.unwrap();
    let archive = old_docker_save().json("index.json", &index_json(&[descriptor(OCI_MANIFEST, "not there")]));
    assert_eq!(take(archive.finish()).await.image.unwrap(), expected);
}

#[tokio::test]
async fn a_lying_archive_stores_nothing() {
    let harbor = Arc::new(MemoryHarbor::default());
    let store: Arc<dyn ImageHarbor> = harbor.clone();
    let archive = old_docker_save().finish();
    let announced = Digest::of("another");
    let error = from_archive(&store, "main", &archive, &announced, &Limits::default()).await.unwrap_err();
    assert!(error.to_string().contains("was announced"), "{error}");
    assert!(harbor.held().is_empty());
}

#[tokio::test]
async fn a_layer_that_is_not_its_diff_id_gets_no_name() {
    let config = config("linux/amd64", &layers()[..1]).to_string();
    for (content, kind, expected) in [
        (gzip(b"other").await, OCI_LAYER_GZIP, "uncompressed, but the image config says"),
        (b"\x1f\x8bgarbage".to_vec(), OCI_LAYER_GZIP, "cannot be decompressed"),
        (layer("other"), OCI_LAYER, "uncompressed, but the image config says"),
    ] {
        let manifest = manifest_of(&config, &[descriptor(kind, &content)]);
        let tar = blob(blob(blob(Tar::default(), &content), &config), &manifest);
        let archive = tar.json("index.json", &index_json(&[descriptor(OCI_MANIFEST, &manifest)])).finish();
        let taken = take(archive.clone()).await;
        assert!(taken.image.unwrap_err().to_string().contains(expected));
        assert!(taken.harbor.held().is_empty());
        // The Harbor may hold the bytes already: that proves nothing for this config.
        let store: Arc<dyn ImageHarbor> = taken.harbor.clone();
        taken.harbor.held().insert(Digest::of(&content), content.into());
        let digest = Digest::of(&archive);
        let error = from_archive(&store, "main", &archive, &digest, &Limits::default()).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_bomb_is_refused_as_layer_and_as_archive() {
    let limits = Limits { inflation_ratio: 20, inflation_floor: 10_000, ..Limits::default() };
    let zeros = vec![0; 1_000_000];
    let config = config("linux/amd64", std::slice::from_ref(&zeros)).to_string();
    let content = gzip(&zeros).await;
    let manifest = manifest_of(&config, &[descriptor(OCI_LAYER_GZIP, &content)]);
    let tar = blob(blob(blob(Tar::default(), &content), &config), &manifest);
    let archive = tar.json("index.json", &index_json(&[descriptor(OCI_MANIFEST, &manifest)])).finish();
    for archive in [archive, gzip(&zeros).await] {
        let taken = take_within(archive, &limits).await;
        let error = taken.image.unwrap_err().to_string();
        assert!(error.contains("bomb"), "{error}");
        assert!(taken.harbor.held().is_empty());
    }
}

#[tokio::test]
async fn what_is_no_archive_is_told_by_its_looks() {
    for (content, expected) in [
        (&b""[..], "empty"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"PK\x03\x04 and so on", "ZIP"),
        (b"{\"a\": 1}", "JSON"),
        (b"\xfd7zXZ\0", "xz"),
        (b"BZh91AY", "bzip2"),
        (b"\0", "truncated"),
        (&[0; 1024], "no image"),
        (&[7; 1024], "this is no tar archive"),
    ] {
        let fault = fault(content.to_vec()).await;
        assert!(fault.contains(expected), "{fault}");
    }
}

#[tokio::test]
async fn hostile_and_broken_archives_are_refused_with_a_sentence() {
    let tar = Tar::default;
    let manifest = |value: Value| Tar::default().json("manifest.json", &value);
    let config = config("linux/amd64", &layers()).to_string();
    let image = json!([{"Config": "c", "Layers": ["l", "m"]}]);
    let long_name = |size: u64| {
        let mut archive = tar().entry("././@LongLink", EntryType::GNULongName, "", b"").finish();
        let header = tokio_tar::Header::from_byte_slice(&archive[..512]).clone();
        let mut header = header;
        header.set_size(size);
        header.set_cksum();
        archive[..512].copy_from_slice(header.as_bytes());
        archive
    };
    let pax = |record: &[u8]| tar().entry("x", EntryType::XHeader, "", record).file("y", "z").finish();
    for (archive, expected) in [
        (tar().file("../evil", "x").finish(), "leads out of the archive"),
        (tar().file("a/../../evil", "x").finish(), "leads out of the archive"),
        (tar().file("/etc/passwd", "x").finish(), "absolute path"),
        (tar().link("l", "/etc/passwd").finish(), "outside of the archive"),
        (tar().link("a/l", "../../x").finish(), "outside of the archive"),
        (tar().link("manifest.json", "b").link("b", "manifest.json").finish(), "in a circle"),
        (tar().entry("h", EntryType::Link, "x", b"").finish(), "hard link"),
        (tar().entry("d", EntryType::Char, "", b"").finish(), "device"),
        (tar().entry("d", EntryType::Fifo, "", b"").finish(), "device"),
        (tar().entry("s", EntryType::GNUSparse, "", b"").finish(), "sparse"),
        (tar().entry("w", EntryType::new(b'W'), "", b"").finish(), "unknown type"),
        (tar().file("x", "1").file("./x", "2").finish(), "there twice"),
        (long_name(1 << 40), "claims 1099511627776 bytes"),
        (pax(b"nonsense"), "PAX"),
        (pax(b"12 size=abc\n"), "no number"),
        (pax(b"21 GNU.sparse.size=1\n"), "sparse"),
        (manifest(json!(null)).finish(), "lists no image"),
        (manifest(json!([])).finish(), "lists no image"),
        (manifest(json!([null])).finish(), "lists no image"),
        (manifest(json!({})).finish(), "no list of images"),
        (manifest(json!([{"Config": null, "Layers": ["l"]}])).finish(), "names no config"),
        (manifest(json!([{"Config": "c", "Layers": null}])).finish(), "lists no layers"),
        (manifest(image.clone()).finish(), "lacks the entry \"c\""),
        (manifest(image.clone()).file("c", "null").finish(), "is null"),
        (manifest(image.clone()).file("c", &config).finish(), "lists the layer \"l\", which the archive lacks"),
        (manifest(json!([{"Config": "c", "Layers": ["l"]}])).file("c", &config).finish(), "lists 1 layers"),
        (
            manifest(image.clone()).file("c", &config).file("l", "other").file("m", &layers()[1]).finish(),
            "layer 1 of the image",
        ),
        (
            manifest(
                json!([{"Config": "c", "RepoTags": ["a:1"], "Layers": ["l"]}, {"Config": "d", "RepoTags": ["b:2"]}]),
            )
            .finish(),
            "several images (a:1, b:2)",
        ),
        (
            tar()
                .json("index.json", &index_json(&[descriptor(OCI_MANIFEST, "a"), descriptor(OCI_MANIFEST, "b")]))
                .finish(),
            "several images",
        ),
        (tar().json("index.json", &index_json(&[])).finish(), "lists no image"),
        (tar().json("index.json", &json!(null)).finish(), "is null"),
        (tar().json("index.json", &index_json(&[descriptor(OCI_MANIFEST, "a")])).finish(), "is missing"),
        (tar().file("etc/passwd", "root").finish(), "docker export"),
        (tar().file("repositories", "{}").finish(), "older than 1.10"),
    ] {
        let fault = fault(archive).await;
        assert!(fault.contains(expected), "{expected:?} expected: {fault}");
    }
}

#[tokio::test]
async fn damage_anywhere_never_panics_and_never_passes_for_another_image() {
    let (tar, manifest) = oci_layout().await;
    let layout = tar.json("index.json", &index_json(&[descriptor(OCI_MANIFEST, &manifest)])).finish();
    let mut random = fastrand::Rng::with_seed(20_261_124);
    for archive in [old_docker_save().finish(), layout] {
        let sound = take(archive.clone()).await.image.unwrap();
        for _ in 0..200 {
            let cut = archive[..random.usize(..archive.len())].to_vec();
            let mut flipped = archive.clone();
            flipped[random.usize(..archive.len())] ^= 1 << random.u32(..8);
            for damaged in [cut, flipped] {
                // Damage where nothing of the image lies (padding, owners) leaves the same image.
                let taken = take(damaged).await;
                match taken.image {
                    Ok(image) => assert_eq!(image, sound),
                    Err(error) => assert_eq!(error.reason(), crate::api::reason::ARCHIVE_INVALID, "{error}"),
                }
            }
        }
    }
}
