//! Images that really run: the demo's application, which says over HTTP which version it is.

use std::{collections::BTreeMap, path::Path};

use tokio::{process::Command, sync::Mutex};

use crate::plane::image::{Image, tar};

/// What was built already, by version.
static BUILT: Mutex<BTreeMap<String, Image>> = Mutex::const_new(BTreeMap::new());

/// The image of a version. It answers on 8080.
pub async fn of_version(version: &str) -> Image {
    let mut built = BUILT.lock().await;
    if let Some(image) = built.get(version) {
        return image.clone();
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("app");
    let linked = Command::new("go")
        .arg("-C")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("hack/demo/app"))
        .args(["build", "-trimpath", "-ldflags", &format!("-s -w -X main.version={version}"), "-o"])
        .arg(&program)
        .arg(".")
        .env("CGO_ENABLED", "0")
        .output()
        .await
        .unwrap_or_else(|error| panic!("go is needed for this test: {error}"));
    assert!(linked.status.success(), "go build: {}", String::from_utf8_lossy(&linked.stderr));
    let image = Image::with_layer(&tar([("app", std::fs::read(program).unwrap().as_slice())]));
    built.insert(version.to_owned(), image.clone());
    image
}
