//! The API server itself enforces the schema, and its messages say what to do.

use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use orbit_plane::api::{EnvironmentOverlay, EphemeralCluster, ImageUpload};
use serde_json::{Value, json};

use crate::cluster::with_namespace;

fn upload(change: impl FnOnce(&mut Value)) -> Value {
    let mut upload = json!({
        "apiVersion": "orbit.k8or.io/v1alpha1",
        "kind": "ImageUpload",
        "metadata": {"name": "web"},
        "spec": {
            "application": "web",
            "version": "1.4.0",
            "images": [{"name": "main", "source": {"reference": {"image": "registry.example/web:1.4.0"}}}],
        },
    });
    change(&mut upload["spec"]);
    upload
}

/// What the API server says when this is applied.
async fn refusal(api: &Api<ImageUpload>, object: &Value) -> String {
    let params = PatchParams::apply("test").dry_run();
    match api.patch("web", &params, &Patch::Apply(object)).await {
        Err(kube::Error::Api(status)) => status.message.clone(),
        other => panic!("expected a refusal of {object}, got {other:?}"),
    }
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_a_sentence() {
    with_namespace(|client, namespace| async move {
        let api: Api<ImageUpload> = Api::namespaced(client, &namespace);
        for (object, said) in [
            (upload(|s| s["version"] = json!("v1.4")), "spec.version"),
            (upload(|s| s["version"] = json!("1.4.0+build")), "spec.version"),
            (upload(|s| s["application"] = json!("../web")), "spec.application"),
            (upload(|s| s["images"] = json!([])), "spec.images"),
            (upload(|s| s["images"][0]["name"] = json!("other")), "exactly one image named main"),
            (upload(|s| s["images"][0]["source"] = json!({})), "exactly one of reference and archive"),
            (upload(|s| s["environments"] = json!(["a-name-that-is-too-long"])), "spec.environments"),
            (
                upload(|s| {
                    s["config"] = json!({"A": "x".repeat(32_000), "B": "x".repeat(32_000), "C": "x".repeat(2_000)})
                }),
                "64 KiB",
            ),
            (upload(|s| s["workload"] = json!({"probes": {"liveness": {}}})), "exactly one of httpGet"),
        ] {
            let message = refusal(&api, &object).await;
            assert!(message.contains(said), "expected {said:?} in: {message}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_cluster_cannot_be_is_refused_with_a_sentence() {
    with_namespace(|client, namespace| async move {
        let api: Api<EphemeralCluster> = Api::namespaced(client, &namespace);
        let taken = async |more: Value| {
            let mut spec = json!({"connection": {"kubeConfig": {"secretRef": {"name": "eu-1"}}}});
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let object = json!({
                "apiVersion": "orbit.k8or.io/v1alpha1", "kind": "EphemeralCluster", "metadata": {"name": "eu-1"},
                "spec": spec,
            });
            api.patch("eu-1", &PatchParams::apply("test").dry_run(), &Patch::Apply(object)).await
        };
        taken(json!({"lostAfter": "1s", "variables": {"REGION": "eu"}})).await.unwrap();
        for (more, said) in [
            (json!({"lostAfter": "0s"}), "cannot be lost at once"),
            (json!({"variables": {"region": "eu"}}), "a variable is named with A to Z"),
        ] {
            match taken(more).await {
                Err(kube::Error::Api(status)) => assert!(status.message.contains(said), "{status}"),
                other => panic!("expected a refusal, got {other:?}"),
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_stored_version_is_frozen() {
    with_namespace(|client, namespace| async move {
        let api: Api<ImageUpload> = Api::namespaced(client, &namespace);
        let apply = PatchParams::apply("test").force();
        api.patch("web", &apply, &Patch::Apply(upload(|_| ()))).await.unwrap();
        // Until it is stored a mistake may be corrected.
        api.patch("web", &apply, &Patch::Apply(upload(|s| s["config"] = json!({"A": "1"})))).await.unwrap();
        let digest = format!("sha256:{}", "a".repeat(64));
        let stored = json!({"status": {"release": {"version": "1.4.0", "digest": digest}}});
        api.patch_status("web", &PatchParams::default(), &Patch::Merge(stored)).await.unwrap();
        for frozen in [
            upload(|s| s["config"] = json!({"A": "2"})),
            upload(|s| s["workload"] = json!({"replicas": 2})),
            upload(|s| s["images"][0]["source"]["reference"]["image"] = json!("registry.example/web:other")),
        ] {
            let message = refusal(&api, &frozen).await;
            assert!(message.contains("give spec.version a new value"), "{message}");
        }
        for allowed in [
            upload(|s| {
                s["config"] = json!({"A": "1"});
                s["environments"] = json!(["prod"]);
            }),
            upload(|s| s["version"] = json!("1.5.0")),
        ] {
            api.patch("web", &apply.clone().dry_run(), &Patch::Apply(allowed)).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn an_overlay_is_named_after_application_and_environment() {
    with_namespace(|client, namespace| async move {
        let api: Api<EnvironmentOverlay> = Api::namespaced(client, &namespace);
        let overlay = |name: &str| -> EnvironmentOverlay {
            serde_json::from_value(json!({
                "apiVersion": "orbit.k8or.io/v1alpha1",
                "kind": "EnvironmentOverlay",
                "metadata": {"name": name},
                "spec": {"application": "web", "environment": "prod"},
            }))
            .unwrap()
        };
        let refused = api.create(&PostParams::default(), &overlay("web-prod")).await.unwrap_err();
        assert!(refused.to_string().contains("<application>.<environment>"), "{refused}");
        api.create(&PostParams::default(), &overlay("web.prod")).await.unwrap();
    })
    .await;
}
