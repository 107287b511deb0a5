//! The pool of renderers against the real program, which `ORBIT_TEST_RENDERER` names (`make test` builds it).

#[allow(dead_code)]
#[path = "../charts/samples.rs"]
mod chart_samples;
mod golden;
mod read_back;
mod samples;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use orbit_plane::{
    api::{EnvironmentOverlaySpec, Prereleases},
    digest::Digest,
    overlay::{
        artifact::Artifact,
        inputs::{BaseInput, Inputs, Surroundings},
        renderer::{RenderError, Renderer, SelectRequest, WorkerError},
    },
    tgz,
};

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: main
        image: {{ with .Values.image.registry }}{{ . }}/{{ end }}shop/web@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
";

fn renderer(timeout: Duration) -> Renderer {
    let program =
        std::env::var_os("ORBIT_TEST_RENDERER").expect("ORBIT_TEST_RENDERER names the orbit-renderer program");
    Renderer::new(PathBuf::from(program), 2, timeout)
}

/// A packaged chart with this template, in base64.
fn chart(template: &str) -> String {
    let files = BTreeMap::from([
        ("web/Chart.yaml".to_owned(), "{apiVersion: v2, name: web, version: 1.4.0}"),
        ("web/values.yaml".to_owned(), "{replicas: 1, image: {}}"),
        ("web/templates/deployment.yaml".to_owned(), template),
    ]);
    BASE64_STANDARD.encode(tgz::pack(&files).unwrap())
}

async fn inputs(renderer: &Renderer, spec: &str) -> Inputs {
    let spec: EnvironmentOverlaySpec =
        serde_yaml::from_str(&format!("application: web\nenvironment: prod\n{spec}")).unwrap();
    let surroundings = Surroundings {
        registry_host: "registry.example:5000",
        image_pull_secret: None,
        kube_version: "1.36.3",
        versions: renderer.versions().await.unwrap(),
    };
    Inputs::new(&spec, "shop", BaseInput::Chart(Digest::of("chart")), &surroundings)
}

#[tokio::test]
async fn an_overlay_becomes_the_same_artifact_in_any_process() {
    let mut artifacts = Vec::new();
    for _ in 0..2 {
        let renderer = renderer(Duration::from_secs(30));
        let spec =
            "targetNamespace: shop-prod\nkustomize: {replicas: [{name: web, count: 3}], labels: {team: checkout}}";
        let inputs = inputs(&renderer, spec).await;
        let rendering = renderer.render(inputs.request(Some(chart(DEPLOYMENT)))).await.unwrap();
        let [object] = rendering.objects.as_slice() else { panic!("{:?}", rendering.objects) };
        assert_eq!((object.kind.as_str(), object.namespace.as_str()), ("Deployment", "shop-prod"));
        let deployment: serde_json::Value = serde_yaml::from_str(&rendering.manifest).unwrap();
        assert_eq!(deployment["spec"]["replicas"], 3);
        assert!(rendering.images[0].starts_with("registry.example:5000/shop/web@sha256:"), "{:?}", rendering.images);
        artifacts.push(Artifact::of(&rendering, "web.prod", Some("1.4.0")).unwrap());
    }
    assert_eq!(artifacts[0], artifacts[1]);
}

#[tokio::test]
async fn a_failure_names_file_and_line() {
    let renderer = renderer(Duration::from_secs(30));
    let inputs = inputs(&renderer, "").await;
    let broken = chart("kind: ConfigMap\nmetadata:\n  name: {{ .Values.a.b.c }}\n");
    match renderer.render(inputs.request(Some(broken))).await {
        Err(RenderError::Refused(failure)) => {
            assert_eq!(failure.reason, "TemplateFailed");
            assert_eq!((failure.file.as_str(), failure.line), ("templates/deployment.yaml", 3));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_endless_template_costs_only_its_own_worker() {
    let renderer = renderer(Duration::from_secs(3));
    let inputs = inputs(&renderer, "").await;
    let endless = chart(
        r#"{{ define "again" }}{{ range until 1000000 }}{{ range until 1000000 }}{{ end }}{{ end }}{{ end }}{{ include "again" . }}"#,
    );
    let (bad, good) = tokio::join!(
        renderer.render(inputs.request(Some(endless))),
        renderer.render(inputs.request(Some(chart(DEPLOYMENT))))
    );
    assert!(matches!(bad, Err(RenderError::Worker(WorkerError::Timeout(_)))), "{bad:?}");
    good.unwrap();
    renderer.render(inputs.request(Some(chart(DEPLOYMENT)))).await.unwrap();
}

#[tokio::test]
async fn ranges_are_helms() {
    let renderer = renderer(Duration::from_secs(30));
    let versions: Vec<_> = ["1.0.0", "1.4.0", "1.5.0-rc.1", "2.0.0"].map(str::to_owned).into();
    for (range, prereleases, newest) in [
        (">=1.0.0 <2.0.0", Prereleases::Exclude, Some("1.4.0")),
        (">=1.0.0 <2.0.0", Prereleases::Include, Some("1.5.0-rc.1")),
        ("~1.0", Prereleases::Exclude, Some("1.0.0")),
        ("^3", Prereleases::Exclude, None),
        ("", Prereleases::Include, Some("2.0.0")),
    ] {
        let selected = renderer.select(SelectRequest { range, prereleases, versions: &versions }).await.unwrap();
        assert_eq!(selected.as_deref(), newest, "{range}");
    }
    let bad =
        renderer.select(SelectRequest { range: "not a range", prereleases: Prereleases::Exclude, versions: &versions });
    assert!(matches!(bad.await, Err(RenderError::Refused(failure)) if failure.reason == "RangeInvalid"));
}
