//! Images as real tools write and serve them: buildah, skopeo and crane's registry.
//!
//! A tool that is missing fails the test: `apt-get install buildah skopeo`, and
//! `go install github.com/google/go-containerregistry/cmd/crane@v0.22.1` into `~/.cache/orbit-plane/bin` or the PATH.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use orbit_plane::{
    digest::Digest,
    image_harbor::{
        ByteStream, HarborError, ImageHarbor, LocalHarbor,
        ingest::{ArchiveBytes, Limits, RegistryAuth, from_archive, from_reference},
    },
    release::StoredImage,
};

struct File(Bytes);

#[async_trait]
impl ArchiveBytes for File {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    async fn read(&self, range: Range<u64>) -> Result<ByteStream, HarborError> {
        let bytes = self.0.slice(range.start as usize..range.end as usize);
        Ok(Box::pin(futures::stream::once(async move { Ok(bytes) })))
    }
}

fn run(tool: &str, args: &[&str], folder: &Path) {
    let output = Command::new(tool).args(args).current_dir(folder).output();
    let output = output.unwrap_or_else(|error| panic!("{tool} is needed for this test: {error}"));
    assert!(output.status.success(), "{tool} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A real image with two layers, as an OCI archive.
fn build(folder: &Path) -> PathBuf {
    fs::write(folder.join("app"), "#!/bin/sh\n").unwrap();
    fs::write(folder.join("data"), "x".repeat(100_000)).unwrap();
    let recipe = "FROM scratch\nCOPY app /app\nCOPY data /data\nEXPOSE 8080\nUSER 1000\nCMD [\"/app\"]\n";
    fs::write(folder.join("Dockerfile"), recipe).unwrap();
    let root = folder.join("storage");
    let buildah = |args: &[&str]| {
        let storage = ["--storage-driver", "vfs", "--root", root.to_str().unwrap()];
        run("buildah", &[&storage[..], args].concat(), folder);
    };
    buildah(&["bud", "--isolation", "chroot", "--layers", "-t", "shop/web:1", "."]);
    buildah(&["push", "shop/web:1", "oci-archive:oci.tar:1"]);
    folder.join("oci.tar")
}

async fn take(path: &Path, harbor: &Path) -> StoredImage {
    let harbor: Arc<dyn ImageHarbor> = Arc::new(LocalHarbor::open(harbor).await.unwrap());
    let archive = File(fs::read(path).unwrap().into());
    let digest = Digest::of(&archive.0);
    from_archive(&harbor, "main", &archive, &digest, &Limits::default())
        .await
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[tokio::test]
async fn one_image_is_the_same_in_every_format_that_tools_write() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let oci = build(folder);
    let expected = take(&oci, &folder.join("harbor")).await;
    assert_eq!(expected.platforms.len(), 1);
    run("skopeo", &["copy", "-q", "oci-archive:oci.tar", "docker-archive:docker.tar:shop/web:1"], folder);
    run("gzip", &["-k", "docker.tar"], folder);
    for file in ["docker.tar", "docker.tar.gz"] {
        let image = take(&folder.join(file), &folder.join("harbor")).await;
        assert_eq!(image.platforms[0].config, expected.platforms[0].config, "{file}");
        assert_eq!(image.platforms[0].platform, expected.platforms[0].platform, "{file}");
    }
}

/// Ends the registry with the test, however it goes.
struct Registry(std::process::Child);

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn crane() -> PathBuf {
    let cached = std::env::home_dir().unwrap_or_default().join(".cache/orbit-plane/bin/crane");
    if cached.exists() { cached } else { "crane".into() }
}

#[tokio::test]
async fn an_image_is_pulled_from_a_real_registry() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let oci = build(folder);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let host = format!("127.0.0.1:{port}");
    let registry = Command::new(crane())
        .args(["registry", "serve", "--address", &host])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("crane is needed for this test: {error}"));
    let _registry = Registry(registry);
    let target = format!("docker://{host}/shop/web:1");
    // skopeo retries while the registry comes up.
    run(
        "skopeo",
        &["copy", "-q", "--retry-times", "5", "--dest-tls-verify=false", "oci-archive:oci.tar", &target],
        folder,
    );
    let harbor: Arc<dyn ImageHarbor> = Arc::new(LocalHarbor::open(folder.join("harbor")).await.unwrap());
    let reference = format!("{host}/shop/web:1");
    let pulled =
        from_reference(&harbor, "main", &reference, &RegistryAuth::Anonymous, &Limits::default()).await.unwrap();
    let archived = take(&oci, &folder.join("other")).await;
    assert_eq!(pulled.platforms[0].config, archived.platforms[0].config);
    for blob in &pulled.blobs {
        assert!(harbor.stat(blob).await.unwrap().is_some(), "{blob}");
    }
}
