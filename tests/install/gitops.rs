//! The samples for other tools, held against the schemas that those tools' own releases bring.

use std::{path::PathBuf, process::Command, time::Duration};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, ValidationDirective},
    core::GroupVersionKind,
    runtime::{conditions::is_crd_established, wait::await_condition},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cluster::with_namespace;

const PATIENCE: Duration = Duration::from_secs(90);

/// A release of a tool as a Go module, the checksum of that, and the CRD that is wanted of it.
struct Schema {
    module: &'static str,
    sum: &'static str,
    file: &'static str,
}

const SCHEMAS: [Schema; 3] = [
    Schema {
        module: "github.com/fluxcd/source-controller@v1.7.0",
        sum: "h1:/fBgS4CSmT5Jj/fjQDF92y+pC3gst1GJjgNSzY8Ff9I=",
        file: "config/crd/bases/source.toolkit.fluxcd.io_ocirepositories.yaml",
    },
    Schema {
        module: "github.com/fluxcd/kustomize-controller@v1.9.0",
        sum: "h1:WfM+bQUGUGW2qyrrTgh2bIVSZSPmc3JC7234K8NiTWQ=",
        file: "config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml",
    },
    Schema {
        module: "github.com/argoproj/argo-cd/v3@v3.1.0",
        sum: "h1:2+gPskQKCyPC9DzRSWQ1AvmS3WiIlRR7bKz/FO3DozI=",
        file: "manifests/crds/application-crd.yaml",
    },
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Downloaded {
    dir: PathBuf,
    sum: String,
}

impl Schema {
    /// The CRD, from Go's module cache.
    fn read(&self) -> CustomResourceDefinition {
        let output = Command::new("go")
            .args(["mod", "download", "-json", self.module])
            .current_dir(std::env::temp_dir())
            .output()
            .expect("go is on the PATH");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}: {said}{}", self.module, String::from_utf8_lossy(&output.stderr));
        let downloaded: Downloaded = serde_json::from_str(&said).unwrap();
        assert_eq!(downloaded.sum, self.sum, "{}", self.module);
        serde_yaml::from_str(&std::fs::read_to_string(downloaded.dir.join(self.file)).unwrap()).unwrap()
    }
}

/// The objects for other tools.
fn samples() -> Vec<(String, Value)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/config/samples/gitops");
    let mut samples = Vec::new();
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let text = std::fs::read_to_string(&path).unwrap();
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            let objects =
                serde_yaml::Deserializer::from_str(&text).map(|document| Value::deserialize(document).unwrap());
            samples.extend(objects.map(|object| (file.clone(), object)));
        }
    }
    samples
}

/// Asks what would come of an object: nothing runs that would act on it.
async fn try_out(client: &Client, crd: &CustomResourceDefinition, object: &Value) -> kube::Result<DynamicObject> {
    let (group, version) = object["apiVersion"].as_str().unwrap().split_once('/').unwrap();
    assert!(crd.spec.versions.iter().any(|served| served.name == version && served.served), "{version} is not served");
    let gvk = GroupVersionKind::gvk(group, version, &crd.spec.names.kind);
    let resource = ApiResource::from_gvk_with_plural(&gvk, &crd.spec.names.plural);
    let namespace = object["metadata"]["namespace"].as_str().unwrap();
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let params = PatchParams {
        dry_run: true,
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::apply("test").force()
    };
    api.patch(object["metadata"]["name"].as_str().unwrap(), &params, &Patch::Apply(object)).await
}

#[tokio::test]
async fn other_tools_take_the_samples_for_them() {
    with_namespace(|client, namespace| async move {
        let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
        let params = PatchParams::apply("test").force();
        let schemas: Vec<_> = SCHEMAS.iter().map(Schema::read).collect();
        for crd in &schemas {
            crds.patch(&crd.name_any(), &params, &Patch::Apply(crd)).await.unwrap();
        }
        let samples = samples();
        assert_eq!(samples.len(), schemas.len());
        for (file, mut sample) in samples {
            let is_its_kind = |crd: &&CustomResourceDefinition| sample["kind"] == *crd.spec.names.kind;
            let crd = schemas.iter().find(is_its_kind).unwrap_or_else(|| panic!("{file}: {}", sample["kind"]));
            sample["metadata"]["namespace"] = json!(namespace);
            let tried = async {
                await_condition(crds.clone(), &crd.name_any(), is_crd_established()).await.unwrap();
                loop {
                    match try_out(&client, crd, &sample).await {
                        // Established, the kind is served a moment later.
                        Err(kube::Error::Api(status)) if status.code == 404 => {
                            tokio::time::sleep(Duration::from_millis(50)).await;
                        }
                        tried => break tried,
                    }
                }
            };
            let tried = tokio::time::timeout(PATIENCE, tried).await.expect("the kind is served in time");
            tried.unwrap_or_else(|e| panic!("{file}: {e}"));
            // The schema is one that would have said so.
            sample["spec"]["noSuchField"] = json!(true);
            assert!(try_out(&client, crd, &sample).await.is_err(), "{file}");
        }
        for crd in &schemas {
            crds.delete(&crd.name_any(), &DeleteParams::default()).await.unwrap();
        }
    })
    .await;
}
