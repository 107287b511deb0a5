//! What clusters pull with: replaced when it is taken away, and worth nothing from then on.

use std::time::Duration;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{Api, ResourceExt, api::DeleteParams, runtime::wait::await_condition};
use orbit_plane::api::PULL_SECRET;
use reqwest::StatusCode;

use crate::{cluster::with_namespace, scene::Scene};

#[tokio::test]
async fn a_deleted_credential_is_refused_and_another_takes_its_place() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client.clone(), &namespace).await;
        scene.release("1.0.0").await;
        scene.until_healthy_everywhere("1.0.0").await;
        let cluster = &scene.clusters[0];
        let name = format!("{}-orbit-pull", cluster.name);
        let issued: Api<Secret> = Api::namespaced(client, &namespace);
        let old = issued.get(&name).await.unwrap();
        assert_eq!(log_in(&scene, &old).await, StatusCode::OK);

        issued.delete(&name, &DeleteParams::default()).await.unwrap();
        let uid = old.uid();
        let another = await_condition(issued, &name, move |it: Option<&Secret>| it.is_some_and(|it| it.uid() != uid));
        let another = tokio::time::timeout(scene.plane.patience, another).await.expect("another is issued").unwrap();
        let another = another.expect("it is there");
        assert_eq!(log_in(&scene, &another).await, StatusCode::OK);
        // For ten seconds the registry goes by what it saw; nothing tells when they are over.
        let refused = async {
            while log_in(&scene, &old).await != StatusCode::UNAUTHORIZED {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(scene.plane.patience, refused).await.expect("the old one is refused");

        let delivered: Api<Secret> = Api::namespaced(cluster.client.clone(), &namespace);
        let config = value(&another, ".dockerconfigjson").clone();
        let follows = await_condition(delivered, PULL_SECRET, move |it: Option<&Secret>| {
            it.is_some_and(|it| *value(it, ".dockerconfigjson") == config)
        });
        tokio::time::timeout(scene.plane.patience, follows).await.expect("the cluster is given it").unwrap();

        // Images are pulled with it, and what runs has not noticed.
        scene.release("1.1.0").await;
        scene.until_healthy_everywhere("1.1.0").await;
        for cluster in &scene.clusters {
            scene.must_answer(cluster, "1.1.0").await;
            scene.must_have_rolled_out(cluster, &["1.0.0", "1.1.0"]).await;
        }
        scene.end().await;
    })
    .await;
}

/// What the registry says to whoever wants to pull with the credential in a Secret.
async fn log_in(scene: &Scene, secret: &Secret) -> StatusCode {
    let text = |key| String::from_utf8(value(secret, key).0.clone()).unwrap();
    let authority = std::fs::read(scene.plane.folder().join("certificates/ca.crt")).unwrap();
    let authority = reqwest::Certificate::from_pem(&authority).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([authority]).build().unwrap();
    let (host, namespace) = (scene.plane.registry(), &scene.plane.namespace);
    let url = format!("https://{host}/v2/token?service=&scope=repository:{namespace}/web:pull");
    client.get(url).basic_auth(text("username"), Some(text("password"))).send().await.unwrap().status()
}

fn value<'a>(secret: &'a Secret, key: &str) -> &'a ByteString {
    &secret.data.as_ref().expect("it has data")[key]
}
