//! The same chart has the same bytes, in this process and any other.

use std::process::Command;

use orbit_plane::{
    digest::Digest,
    manifestor::{Package, package},
};

use crate::{
    helm,
    samples::{sample, samples},
};

/// The digest of the package of sample "named". It changes with the templates and on purpose only: released charts
/// keep their bytes, and so do charts made by two replicas of one version of the plane.
const GOLDEN: &str = include_str!("golden.sha256");

fn packaged() -> Package {
    package("web", "1.4.0", &sample("named").chart()).unwrap()
}

#[test]
fn golden_digest() {
    let package = packaged();
    assert_eq!(package.tgz_digest, Digest::of(&package.tgz));
    assert_eq!(package.digest, Digest::of(&package.manifest));
    println!("manifest {}", package.digest);
    assert_eq!(package.digest.to_string(), GOLDEN.trim(), "the chart's bytes changed: is that meant?");
}

#[test]
fn another_process_in_another_directory_makes_the_same_bytes() {
    let elsewhere = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "packaging::golden_digest", "--nocapture"])
        .current_dir(elsewhere.path())
        .env("TZ", "Asia/Tokyo")
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains(&format!("manifest {}", packaged().digest)), "{said}");
}

#[test]
fn helm_takes_the_package() {
    let directory = tempfile::tempdir().unwrap();
    for sample in samples() {
        let package = package("web", "1.4.0", &sample.chart()).unwrap();
        assert!(package.tgz.len() < 300 * 1024, "{}", package.tgz.len());
        let file = directory.path().join("web-1.4.0.tgz");
        std::fs::write(&file, &package.tgz).unwrap();
        helm::lint_package(&file).unwrap_or_else(|e| panic!("{}: {e}", sample.name));
        let shown: serde_json::Value = serde_yaml::from_str(&helm::show(&file).unwrap()).unwrap();
        let config: serde_json::Value = serde_json::from_slice(&package.config).unwrap();
        assert_eq!(shown, config, "{}: the config is the chart's metadata", sample.name);
    }
}
