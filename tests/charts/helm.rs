//! The Helm command line.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use orbit_plane::manifestor::Chart;
use serde_json::Value;

fn helm() -> PathBuf {
    if let Some(path) = std::env::var_os("ORBIT_HELM") {
        return path.into();
    }
    let cache = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/orbit-plane/bin"));
    let cached = cache.into_iter().flat_map(|bin| ["helm", "helm-v4.3.1"].map(|name| bin.join(name)));
    cached.into_iter().find(|path| path.exists()).unwrap_or_else(|| "helm".into())
}

fn run(arguments: &[&str]) -> Output {
    let helm = helm();
    Command::new(&helm).args(arguments).output().unwrap_or_else(|e| {
        panic!("these tests need Helm 4, and {} does not start ({e}): set ORBIT_HELM to it", helm.display())
    })
}

/// A chart as files in a directory of its own.
pub struct ChartDir(tempfile::TempDir);

impl ChartDir {
    pub fn new(chart: &Chart) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (path, content) in &chart.files {
            let path = dir.path().join("web").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        Self(dir)
    }

    fn path(&self) -> String {
        self.0.path().join("web").display().to_string()
    }

    /// What `helm lint --strict` says, as an error when it is not content.
    pub fn lint(&self) -> Result<String, String> {
        outcome(run(&["lint", "--strict", &self.path()]))
    }

    /// The objects that `helm template` renders with these values laid over the chart's.
    pub fn template(&self, values: &Value) -> Result<Vec<Value>, String> {
        let file = self.0.path().join("overlay.json");
        // Helm reads YAML, which wants characters escaped that JSON takes as they are.
        let escape = |c: char| match c {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => format!("\\u{:04x}", c as u32),
            c => c.to_string(),
        };
        std::fs::write(&file, values.to_string().chars().map(escape).collect::<String>()).unwrap();
        let text = outcome(run(&[
            "template",
            "web",
            &self.path(),
            "--skip-tests",
            "--namespace",
            "shop-prod",
            "--values",
            &file.display().to_string(),
        ]))?;
        Ok(objects(&text))
    }

    /// As [`Self::template`], with the tests.
    pub fn template_with_tests(&self) -> Vec<Value> {
        objects(&outcome(run(&["template", "web", &self.path()])).unwrap())
    }
}

/// `helm show chart` of a packaged chart.
pub fn show(package: &Path) -> Result<String, String> {
    outcome(run(&["show", "chart", &package.display().to_string()]))
}

/// `helm lint --strict` of a packaged chart.
pub fn lint_package(package: &Path) -> Result<String, String> {
    outcome(run(&["lint", "--strict", &package.display().to_string()]))
}

fn outcome(output: Output) -> Result<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(format!("{}\n{}", text(&output.stdout), text(&output.stderr)))
}

fn objects(yaml: &str) -> Vec<Value> {
    use serde::Deserialize;
    serde_yaml::Deserializer::from_str(yaml)
        .map(|document| Value::deserialize(document).unwrap_or_else(|e| panic!("{e}:\n{yaml}")))
        .filter(|object| !object.is_null())
        .collect()
}

/// The one object of a kind.
pub fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Option<&'a Value> {
    let mut found = objects.iter().filter(|object| object["kind"] == kind);
    let first = found.next();
    assert!(found.next().is_none(), "more than one {kind}");
    first
}

/// The container of the Deployment.
pub fn container(objects: &[Value]) -> &Value {
    &of_kind(objects, "Deployment").expect("a Deployment")["spec"]["template"]["spec"]["containers"][0]
}
