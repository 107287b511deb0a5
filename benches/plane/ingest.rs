//! An archive of 1 GiB is taken in with little more memory than an idle plane has.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    process::Command,
};

use orbit_plane::digest::Digest;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::{plane::Plane, report::Row, scene::Scene};

const MIB: u64 = 1024 * 1024;
const LAYER: u64 = 1024 * MIB;
/// How far above its idle state the plane may go.
const ALLOWED: f64 = 64.0;

/// Measures it.
pub async fn measure() -> Vec<Row> {
    println!("Taking in an archive of 1 GiB (usually 1 minute)");
    let scene = Scene::new().await;
    let archive = scene.folder.path().join("large.tar");
    write_archive(&archive, LAYER);
    let plane = Plane::start(scene.folder.path(), &scene.kubeconfig(), &[]).await;
    let idle = mebibytes(plane.id(), "VmRSS");
    // The kernel forgets the peak so far (proc(5), clear_refs), which the start made.
    std::fs::write(format!("/proc/{}/clear_refs", plane.id()), "5").expect("the peak is reset: are you root?");
    let upload = Command::new(env!("CARGO_BIN_EXE_orbit"))
        .args(["upload", "--application", "large", "--version", "1.0.0", "--environment", "dev"])
        .args(["--namespace", &scene.namespace])
        .arg(&archive)
        .env("XDG_STATE_HOME", scene.folder.path())
        .output()
        .expect("orbit upload runs");
    assert!(upload.status.success(), "{}\n{}", String::from_utf8_lossy(&upload.stderr), plane.written());
    let peak = mebibytes(plane.id(), "VmHWM");
    scene.end_with(plane).await;
    vec![Row {
        name: "peak memory while 1 GiB comes in",
        value: peak,
        unit: "MiB",
        beside: idle,
        ratio: peak / idle,
        beside_what: "idle",
        promise: "at most 64 MiB more",
        kept: peak - idle <= ALLOWED,
    }]
}

/// A line of `/proc/PID/status`.
fn mebibytes(process: u32, field: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).expect("a known field");
    let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kibibytes / 1024.0
}

/// An OCI layout as a tar file: one layer with one file of so many random bytes, which nothing compresses.
pub fn write_archive(path: &Path, content: u64) {
    // The blob's name is its digest, hence the layer is made twice: once to be hashed, once to be written.
    let mut hash = Sha256::new();
    write_layer(content, |bytes| hash.update(bytes));
    let layer = format!("sha256:{}", hex::encode(hash.finalize()));
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {"User": "1000", "Cmd": ["/data"]},
        "rootfs": {"type": "layers", "diff_ids": [layer]},
    })
    .to_string();
    let descriptor =
        |media_type: &str, digest: &str, size: u64| json!({"mediaType": media_type, "digest": digest, "size": size});
    let oci = "application/vnd.oci.image";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": format!("{oci}.manifest.v1+json"),
        "config": descriptor(&format!("{oci}.config.v1+json"), &Digest::of(&config).to_string(), config.len() as u64),
        "layers": [descriptor(&format!("{oci}.layer.v1.tar"), &layer, layer_size(content))],
    })
    .to_string();
    let manifest_digest = Digest::of(&manifest).to_string();
    let index = json!({
        "schemaVersion": 2,
        "manifests": [descriptor(&format!("{oci}.manifest.v1+json"), &manifest_digest, manifest.len() as u64)],
    })
    .to_string();

    let mut file = BufWriter::new(File::create(path).expect("a file"));
    for (name, text) in [
        ("oci-layout".to_owned(), json!({"imageLayoutVersion": "1.0.0"}).to_string()),
        ("index.json".to_owned(), index),
        (blob(&Digest::of(&config).to_string()), config.clone()),
        (blob(&manifest_digest), manifest.clone()),
    ] {
        file.write_all(header(&name, text.len() as u64).as_bytes()).expect("a header is written");
        file.write_all(text.as_bytes()).expect("content is written");
        file.write_all(&vec![0; text.len().next_multiple_of(512) - text.len()]).expect("padding is written");
    }
    file.write_all(header(&blob(&layer), layer_size(content)).as_bytes()).expect("a header is written");
    write_layer(content, |bytes| file.write_all(bytes).expect("the layer is written"));
    file.write_all(&[0; 1024]).expect("the end is written");
    file.flush().expect("the file is written");
}

fn blob(digest: &str) -> String {
    digest.replace("sha256:", "blobs/sha256/")
}

fn header(name: &str, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_path(name).expect("a short name");
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    header
}

/// Header, content, end.
fn layer_size(content: u64) -> u64 {
    512 + content + 1024
}

fn write_layer(content: u64, mut to: impl FnMut(&[u8])) {
    let mut random = fastrand::Rng::with_seed(1);
    let mut chunk = vec![0; MIB as usize];
    to(header("data", content).as_bytes());
    for _ in 0..content / MIB {
        random.fill(&mut chunk);
        to(&chunk);
    }
    to(&[0; 1024]);
}
