//! A warm rendering of the sample chart and overlay, beside `helm template | kustomize build` as processes.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use orbit_plane::{
    api::{EnvironmentOverlay, Workload},
    digest::Digest,
    manifestor::{ChartInput, ImageConfig, RunAs, generate, package},
    overlay::{
        inputs::{BaseInput, Inputs, Surroundings},
        renderer::{RenderRequest, Renderer, Rendering},
    },
};
use serde_json::json;

use crate::report::Row;

const OVERLAY: &str = include_str!("../../config/samples/environmentoverlay-range.yaml");
const KUBE_VERSION: &str = "1.36.3";
const ROUNDS: usize = 25;

/// Measures it: the medians of rounds in which both take turns.
pub async fn measure() -> Vec<Row> {
    println!("Rendering the sample chart and overlay, {ROUNDS} times each way (usually 5 s)");
    let program = std::env::var_os("ORBIT_TEST_RENDERER").expect("ORBIT_TEST_RENDERER names orbit-renderer");
    let renderer = Renderer::new(PathBuf::from(program), 1, Duration::from_secs(30));
    let surroundings = Surroundings {
        registry_host: "registry.example",
        image_pull_secret: None,
        kube_version: KUBE_VERSION,
        versions: renderer.versions().await.expect("the renderer runs"),
    };
    let overlay: EnvironmentOverlay = serde_yaml::from_str(OVERLAY).expect("the sample is an overlay");
    let chart = sample_chart();
    let inputs = Inputs::new(&overlay.spec, "shop", BaseInput::Chart(Digest::of("chart")), &surroundings);
    let request = || inputs.request(Some(BASE64_STANDARD.encode(&chart)));
    let warm = renderer.render(request()).await.expect("the sample renders");
    let tools = Tools::new(&chart, &request(), &warm);
    assert_eq!(tools.render(), warm.manifest, "both ways give the same");

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        renderer.render(request()).await.expect("the sample renders");
        ours.push(began.elapsed());
        let began = Instant::now();
        tools.render();
        theirs.push(began.elapsed());
    }
    let (ours, theirs) = (median(ours), median(theirs));
    vec![Row {
        name: "warm render of sample chart and overlay",
        value: ours,
        unit: "ms",
        beside: theirs,
        ratio: theirs / ours,
        beside_what: "helm template | kustomize build",
        promise: "at least 5 times faster",
        kept: theirs / ours >= 5.0,
    }]
}

/// In milliseconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1000.0
}

/// What the Manifestor makes of a small web server, packaged.
fn sample_chart() -> Vec<u8> {
    let config = json!({"config": {"User": "app", "ExposedPorts": {"8080/tcp": {}}}});
    let image = ImageConfig::parse(config.to_string().as_bytes()).expect("an image config");
    let chart = generate(&ChartInput {
        application: "web",
        version: "1.4.0",
        release_digest: Digest::of("release"),
        repository: "shop/web".into(),
        image_digest: Digest::of("image"),
        image: &image,
        run_as: RunAs::Numeric { uid: 1000, gid: Some(1000) },
        config: &BTreeMap::from([("LOG_LEVEL".into(), "info".into())]),
        workload: &Workload::default(),
    });
    package("web", "1.4.0", &chart.expect("a chart")).expect("a package").tgz.to_vec()
}

/// The same by the command lines of the same versions, prepared so that only their own work is measured.
struct Tools {
    folder: tempfile::TempDir,
    helm: Vec<String>,
}

impl Tools {
    fn new(chart: &[u8], request: &RenderRequest<'_>, rendering: &Rendering) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let kustomization = folder.path().join("kustomization");
        for (name, text) in rendering.files.iter().filter(|(name, _)| *name != "base.yaml") {
            write(&kustomization.join(name), text.as_bytes());
        }
        let (package, values) = (folder.path().join("chart.tgz"), folder.path().join("values.yaml"));
        write(&package, chart);
        write(&values, serde_json::to_string(request.values).expect("values are JSON").as_bytes());
        let helm = [
            "template",
            request.release.name,
            &package.display().to_string(),
            "--include-crds",
            "--skip-tests",
            "--kube-version",
            request.kube_version,
            "--namespace",
            request.release.namespace,
            "--values",
            &values.display().to_string(),
        ];
        Self { helm: helm.map(str::to_owned).to_vec(), folder }
    }

    fn render(&self) -> String {
        let kustomization = self.folder.path().join("kustomization");
        let base = output(Command::new("helm").args(&self.helm));
        write(&kustomization.join("base.yaml"), &base);
        String::from_utf8(output(Command::new("kustomize").arg("build").arg(&kustomization))).expect("YAML is text")
    }
}

fn output(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e} (make bench puts it on the PATH)"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder");
    fs::write(path, bytes).expect("a file");
}
