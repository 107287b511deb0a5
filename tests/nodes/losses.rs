//! Clusters that are destroyed, or made anew under their names.

use orbit_plane::api::{Delivery, EnvironmentOverlay, EphemeralCluster};

use crate::{
    cluster::with_namespace,
    remote::Remote,
    scene::{Scene, rollout},
};

#[tokio::test]
async fn a_cluster_that_dies_in_a_rollout_is_lost_and_the_others_go_on() {
    with_namespace(|client, namespace| async move {
        let mut scene = Scene::of(client, &namespace).await;
        scene.join(Remote::own("eu-3").await).await;
        scene.release("1.0.0").await;
        scene.until_healthy_everywhere("1.0.0").await;
        scene.release("1.1.0").await;
        scene.until_applied("eu-3", "1.1.0").await;
        let dead = scene.clusters.pop().expect("it joined");
        dead.testbed(&["kill"]).await;
        scene.plane.delete::<EphemeralCluster>("eu-3").await;
        scene.plane.until_gone::<Delivery>(&scene.delivery("eu-3")).await;
        let told = scene.told("eu-3").await;
        assert_eq!(told.last().map(String::as_str), Some("lost 1.1.0"), "{told:?}");
        assert_eq!(told.iter().filter(|line| line.starts_with("lost")).count(), 1, "{told:?}");

        for cluster in &scene.clusters {
            scene.until_healthy(&cluster.name, "1.1.0").await;
            scene.must_answer(cluster, "1.1.0").await;
            scene.must_have_rolled_out(cluster, &["1.0.0", "1.1.0"]).await;
        }
        let overlay = scene.plane.until_ready::<EnvironmentOverlay>("web.dev").await;
        assert_eq!(overlay.status.unwrap().clusters.unwrap().desired, 2);
        scene.end().await;
    })
    .await;
}

#[tokio::test]
async fn a_cluster_that_is_made_anew_under_its_name_is_another() {
    with_namespace(|client, namespace| async move {
        let mut scene = Scene::of(client, &namespace).await;
        scene.join(Remote::own("eu-3").await).await;
        scene.release("1.0.0").await;
        let uid = scene.until_healthy("eu-3", "1.0.0").await.spec.cluster.uid;
        let anew = scene.clusters.pop().expect("it joined").made_anew().await;
        scene.introduce(&anew).await;
        scene.clusters.push(anew);
        let is_of_another = |delivery: &Delivery| delivery.spec.cluster.uid != uid;
        scene.plane.until(&scene.delivery("eu-3"), "of another cluster", is_of_another).await;
        scene.until_healthy("eu-3", "1.0.0").await;
        scene.must_answer(&scene.clusters[2], "1.0.0").await;
        let lost = ["lost 1.0.0".to_owned()];
        assert_eq!(scene.told("eu-3").await, [&rollout("1.0.0"), lost.as_slice(), &rollout("1.0.0")].concat());
        scene.end().await;
    })
    .await;
}
