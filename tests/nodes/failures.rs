//! What does not run says why, is given up in time, and makes way for what did.

use orbit_plane::api::{Delivery, condition_type, reason};
use serde_json::json;

use crate::{
    cluster::with_namespace,
    image,
    plane::{condition, image::Image},
    scene::{Scene, rollout},
};

#[tokio::test]
async fn a_version_that_does_not_start_is_rolled_back() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client, &namespace).await;
        scene.release("1.0.0").await;
        scene.overlay(json!({"delivery": {"onFailure": "Rollback", "timeout": "15s"}})).await;
        scene.until_healthy_everywhere("1.0.0").await;
        scene.release_image("1.1.0", &Image::of("no program")).await;
        must_roll_back(&scene, "1.1.0", "1.0.0", &["Pod web-", "container main"]).await;
        for cluster in &scene.clusters {
            let told = scene.told(&cluster.name).await;
            assert_eq!(told[..told.len() - 7], rollout("1.0.0"), "it was given up once: {told:?}");
        }
        // The next version is another chance.
        scene.release("1.2.0").await;
        scene.until_healthy_everywhere("1.2.0").await;
        scene.end().await;
    })
    .await;
}

#[tokio::test]
async fn a_version_that_ends_as_soon_as_it_starts_is_rolled_back_though_no_probe_asks_it() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client, &namespace).await;
        scene.release("1.0.0").await;
        // Kubernetes itself takes it for available at each of its starts.
        let values = json!({"minReadySeconds": 0});
        scene.overlay(json!({"values": values, "delivery": {"onFailure": "Rollback", "timeout": "30s"}})).await;
        scene.until_healthy_everywhere("1.0.0").await;
        let image = image::of_version("1.1.0").await;
        // It looks for a server in its own container, finds none, and ends.
        scene.release_workload("1.1.0", &image, json!({"command": ["/app", "healthy"]})).await;
        must_roll_back(&scene, "1.1.0", "1.0.0", &["not healthy within 30 s"]).await;
        scene.end().await;
    })
    .await;
}

#[tokio::test]
async fn what_keeps_pods_from_running_is_told_with_pod_container_and_reason() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client, &namespace).await;
        scene.release("1.0.0").await;
        scene.until_healthy_everywhere("1.0.0").await;
        // It looks for a server in its own container, finds none, and ends.
        let image = image::of_version("1.1.0").await;
        scene.release_workload("1.1.0", &image, json!({"command": ["/app", "healthy"]})).await;
        must_tell(&scene, &["Pod web-", "container main", "CrashLoopBackOff"]).await;
        // It runs, and nobody answers where it is asked.
        let image = image::of_version("1.2.0").await;
        let ports = json!([{"name": "http", "containerPort": 8080}, {"name": "silent", "containerPort": 9}]);
        let probe = json!({"tcpSocket": {"port": "silent"}, "periodSeconds": 1});
        let workload = json!({"ports": ports, "probes": {"readiness": probe}});
        scene.release_workload("1.2.0", &image, workload).await;
        must_tell(&scene, &["Pod web-", "container main", "ReadinessProbeFailed", "connection refused"]).await;
        scene.release("1.3.0").await;
        scene.until_healthy_everywhere("1.3.0").await;
        scene.end().await;
    })
    .await;
}

/// Waits until each delivery says all of this of its health.
async fn must_tell(scene: &Scene, words: &[&str]) {
    for cluster in &scene.clusters {
        let tells = |delivery: &Delivery| {
            condition(delivery, condition_type::HEALTHY)
                .is_some_and(|healthy| words.iter().all(|part| healthy.message.contains(part)))
        };
        scene.plane.until(&scene.delivery(&cluster.name), &format!("with {words:?}"), tells).await;
    }
}

/// Waits until a version is given up everywhere, its deliveries saying this of it, and sees to it that the one before runs
/// healthily again, as the history says too.
async fn must_roll_back(scene: &Scene, failed: &str, before: &str, said: &[&str]) {
    let verdict = [format!("{failed} did not become healthy"), format!("version {before} runs again")];
    for cluster in &scene.clusters {
        let name = scene.delivery(&cluster.name);
        let message = scene.plane.until_stalled::<Delivery>(&name, reason::ROLLED_BACK).await;
        for part in verdict.iter().map(String::as_str).chain(said.iter().copied()) {
            assert!(message.contains(part), "{part:?} is not in {message:?}");
        }
    }
    for cluster in &scene.clusters {
        let name = scene.delivery(&cluster.name);
        // What runs is fine, what was asked for does not run.
        scene
            .plane
            .until(&name, "healthy again", |delivery: &Delivery| {
                condition(delivery, condition_type::HEALTHY).is_some_and(|it| it.reason == reason::SUCCEEDED)
            })
            .await;
        scene.must_answer(cluster, before).await;
        let given_up = ["requested", "applied", "failed", "rolledBack"].map(|state| format!("{state} {failed}"));
        let expected = [given_up.as_slice(), &rollout(before)].concat();
        let told = scene.told(&cluster.name).await;
        assert!(told.ends_with(&expected), "{told:?} does not end with {expected:?}");
    }
}

#[tokio::test]
async fn an_image_that_cannot_be_pulled_is_named_and_waited_for_no_longer_than_may_be() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client, &namespace).await;
        scene.release("1.0.0").await;
        scene.until_healthy_everywhere("1.0.0").await;
        let name = format!("{}/{namespace}/web", scene.plane.registry());
        let absent = json!({"images": [{"name": name, "newTag": "absent"}]});
        scene.overlay(json!({"kustomize": absent, "delivery": {"timeout": "10s"}})).await;
        for cluster in &scene.clusters {
            let delivery = scene.delivery(&cluster.name);
            let message = scene.plane.until_stalled::<Delivery>(&delivery, "ImagePullBackOff").await;
            for part in
                ["not healthy within 10 s", "Pod web-", "container main", &format!("{name}:absent"), "not found"]
            {
                assert!(message.contains(part), "{part:?} is not in {message:?}");
            }
            // Those that run go on until others take their place.
            scene.must_answer(cluster, "1.0.0").await;
        }
        scene.overlay(json!({"kustomize": null})).await;
        for cluster in &scene.clusters {
            scene.until_healthy(&cluster.name, "1.0.0").await;
            let failed = ["requested", "applied", "failed"].map(|state| format!("{state} 1.0.0"));
            let expected = [rollout("1.0.0").as_slice(), &failed, &rollout("1.0.0")].concat();
            assert_eq!(scene.told(&cluster.name).await, expected);
        }
        scene.end().await;
    })
    .await;
}
