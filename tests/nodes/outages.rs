//! API servers and planes that die in the middle of a rollout, and come back.

use kube::{ResourceExt, api::DeleteParams};

use crate::{cluster::with_namespace, scene::Scene};

#[tokio::test]
async fn a_rollout_goes_on_when_the_api_server_is_back() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client, &namespace).await;
        scene.release("1.0.0").await;
        scene.until_healthy_everywhere("1.0.0").await;
        scene.release("1.1.0").await;
        let [dies, other] = scene.clusters.as_slice() else { panic!("there are two clusters") };
        scene.until_requested(&dies.name, "1.1.0").await;
        dies.testbed(&["kill", "kube-apiserver"]).await;
        // One cluster's trouble is not the other's.
        scene.until_healthy(&other.name, "1.1.0").await;
        dies.testbed(&["start", "kube-apiserver"]).await;
        scene.must_roll_out_everywhere(&["1.0.0", "1.1.0"]).await;
        scene.end().await;
    })
    .await;
}

#[tokio::test]
async fn a_rollout_goes_on_when_the_plane_is_back() {
    with_namespace(|client, namespace| async move {
        let mut scene = Scene::of(client, &namespace).await;
        scene.release("1.0.0").await;
        scene.until_healthy_everywhere("1.0.0").await;
        scene.release("1.1.0").await;
        scene.until_requested("eu-1", "1.1.0").await;
        scene.kill().await;
        scene.start().await;
        scene.must_roll_out_everywhere(&["1.0.0", "1.1.0"]).await;
        // The same where it has been asked to end.
        scene.release("1.2.0").await;
        scene.until_applied("eu-1", "1.2.0").await;
        scene.stop().await;
        scene.start().await;
        scene.must_roll_out_everywhere(&["1.0.0", "1.1.0", "1.2.0"]).await;
        scene.end().await;
    })
    .await;
}

#[tokio::test]
async fn pods_start_again_without_the_plane() {
    with_namespace(|client, namespace| async move {
        let mut scene = Scene::of(client, &namespace).await;
        scene.release("1.0.0").await;
        scene.until_healthy_everywhere("1.0.0").await;
        scene.kill().await;
        for cluster in &scene.clusters {
            let before = cluster.ready_pods(&namespace).await;
            for pod in &before {
                cluster.pods(&namespace).delete(&pod.name_any(), &DeleteParams::default()).await.unwrap();
            }
            // The image is on the node: no registry is asked.
            cluster.until_another_is_ready(&namespace, &before).await;
            scene.must_answer(cluster, "1.0.0").await;
        }
        scene.start().await;
        scene.until_healthy_everywhere("1.0.0").await;
        for cluster in &scene.clusters {
            scene.must_have_rolled_out(cluster, &["1.0.0"]).await;
        }
        scene.end().await;
    })
    .await;
}
