//! The samples for other tools, held against the schemas that those tools' own releases bring.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, ValidationDirective},
    core::GroupVersionKind,
    runtime::{conditions::is_crd_established, wait::await_condition},
};
use serde_json::{Value, json};

use crate::{
    cluster::with_namespace,
    tools::{ARGO_CD, FLUX, Schema, samples},
};

const PATIENCE: Duration = Duration::from_secs(90);

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
        let schemas: Vec<_> = FLUX.iter().chain([&ARGO_CD]).map(Schema::read).collect();
        for crd in &schemas {
            crds.patch(&crd.name_any(), &params, &Patch::Apply(crd)).await.unwrap();
        }
        let samples = samples();
        for crd in &schemas {
            let is_used = samples.iter().any(|(_, sample)| sample["kind"] == *crd.spec.names.kind);
            assert!(is_used, "there is no sample of {}", crd.name_any());
        }
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
