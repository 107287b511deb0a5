//! A release comes to clusters, runs there, and is followed by the next.

use crate::{cluster::with_namespace, scene::Scene};

#[tokio::test]
async fn a_release_runs_in_both_clusters_and_the_next_takes_its_place() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client, &namespace).await;
        for version in ["1.0.0", "1.1.0"] {
            scene.release(version).await;
            for cluster in &scene.clusters {
                scene.until_healthy(&cluster.name, version).await;
                scene.must_answer(cluster, version).await;
            }
        }
        for cluster in &scene.clusters {
            scene.must_have_rolled_out(cluster, &["1.0.0", "1.1.0"]).await;
        }
        scene.end().await;
    })
    .await;
}
