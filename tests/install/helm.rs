//! The Helm command line on the plane's own chart.

use std::{
    path::Path,
    process::{Command, Output},
};

use serde::Deserialize;
use serde_json::Value;

/// Where the chart is.
pub const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/orbit-plane");

/// The version of the testbed's API server, which charts are rendered for.
const KUBE_VERSION: &str = "1.36.3";

fn run(arguments: &[&str]) -> Output {
    let cached = std::env::home_dir().unwrap_or_default().join(".cache/orbit-plane/bin/helm");
    let program = std::env::var_os("ORBIT_HELM").map_or(cached, Into::into);
    let program = if program.exists() { program } else { "helm".into() };
    Command::new(&program).args(arguments).output().unwrap_or_else(|e| {
        panic!("these tests need Helm 4, and {} does not start ({e}): set ORBIT_HELM to it", program.display())
    })
}

fn outcome(output: Output) -> Result<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stdout) + &text(&output.stderr)) }
}

/// What `helm lint --strict` says, as an error when it is not content.
pub fn lint(set: &[&str]) -> Result<String, String> {
    outcome(run(&[&["lint", "--strict", CHART], &flags(set)[..]].concat()))
}

/// What `helm lint --strict` says of a packaged chart.
pub fn lint_package(package: &Path) -> Result<String, String> {
    outcome(run(&["lint", "--strict", &package.display().to_string()]))
}

/// The objects of a release with these values (`key=value`).
pub fn template(release: &str, namespace: &str, set: &[&str]) -> Result<Vec<Value>, String> {
    let fixed = ["template", release, CHART, "--namespace", namespace, "--kube-version", KUBE_VERSION];
    let text = outcome(run(&[&fixed[..], &flags(set)].concat()))?;
    let documents = serde_yaml::Deserializer::from_str(&text).map(|document| Value::deserialize(document).unwrap());
    Ok(documents.filter(|object| !object.is_null()).collect())
}

fn flags<'a>(set: &[&'a str]) -> Vec<&'a str> {
    set.iter().flat_map(|value| ["--set", value]).collect()
}

/// The objects of a kind.
pub fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}
