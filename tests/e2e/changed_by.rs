//! Who changed a spec is the API server's word, whatever a client claims.

use std::time::Duration;

use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
};
use orbit_plane::api::{ImageUpload, annotation};
use serde_json::json;

use crate::cluster::{client_as, with_namespace};

fn upload(version: &str, annotations: serde_json::Value) -> serde_json::Value {
    json!({
        "apiVersion": "orbit.k8or.io/v1alpha1",
        "kind": "ImageUpload",
        "metadata": {"name": "web", "annotations": annotations},
        "spec": {
            "application": "web",
            "version": version,
            "images": [{"name": "main", "source": {"reference": {"image": "registry.example/web:1"}}}],
        },
    })
}

async fn apply(client: &Client, namespace: &str, object: serde_json::Value) -> String {
    let api: Api<ImageUpload> = Api::namespaced(client.clone(), namespace);
    let applied = api.patch("web", &PatchParams::apply("test").force(), &Patch::Apply(object)).await.unwrap();
    applied.annotations().get(annotation::CHANGED_BY).cloned().unwrap_or_default()
}

/// A new policy is in force a moment after it was applied: waits for its first stamp.
async fn await_policy(client: &Client, namespace: &str) {
    let in_force = async {
        let probe = PatchParams::apply("probe").dry_run();
        let api: Api<ImageUpload> = Api::namespaced(client.clone(), namespace);
        loop {
            let stamped = api.patch("web", &probe, &Patch::Apply(upload("0.0.1", json!({})))).await.unwrap();
            if stamped.annotations().contains_key(annotation::CHANGED_BY) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), in_force).await.expect("the policy comes into force");
}

#[tokio::test]
async fn a_change_of_the_spec_is_stamped_and_cannot_be_forged() {
    with_namespace(|client, namespace| async move {
        await_policy(&client, &namespace).await;
        let maria = client_as(Some("maria@shop.example")).await;
        let jonas = client_as(Some("jonas@shop.example")).await;
        assert_eq!(apply(&maria, &namespace, upload("1.0.0", json!({}))).await, "maria@shop.example");
        let forged = upload("1.1.0", json!({annotation::CHANGED_BY: "maria@shop.example"}));
        assert_eq!(apply(&jonas, &namespace, forged).await, "jonas@shop.example");
        // Other changes leave the stamp, those of the stamp itself included.
        let relabelled = upload("1.1.0", json!({"team": "checkout", annotation::CHANGED_BY: "maria@shop.example"}));
        assert_eq!(apply(&maria, &namespace, relabelled).await, "jonas@shop.example");
    })
    .await;
}

#[tokio::test]
async fn what_is_of_a_wrong_type_is_refused_by_the_schema_in_its_own_words() {
    with_namespace(|client, namespace| async move {
        await_policy(&client, &namespace).await;
        let mut wrong = upload("1.0.0", json!({}));
        wrong["spec"]["images"][0]["source"]["reference"] = json!("registry.example/web:1");
        let path = format!("/apis/orbit.k8or.io/v1alpha1/namespaces/{namespace}/imageuploads");
        let request = axum::http::Request::post(path).header("content-type", "application/json");
        let request = request.body(wrong.to_string().into_bytes()).unwrap();
        let refused = client.request::<serde_json::Value>(request).await.unwrap_err();
        let kube::Error::Api(status) = refused else { panic!("{refused}") };
        assert_eq!(status.code, 422, "{status:?}");
        assert!(status.message.contains("spec.images[0].source.reference"), "{}", status.message);
        assert!(!status.message.contains("policy"), "{}", status.message);
    })
    .await;
}
