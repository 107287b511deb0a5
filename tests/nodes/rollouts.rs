//! A release comes to clusters, runs there, and is followed by the next.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    ResourceExt,
    api::{ListParams, Patch, PatchParams},
    runtime::wait::{Condition, await_condition, conditions::is_deleted},
};
use orbit_plane::api::EnvironmentOverlay;
use serde_json::json;
use tokio::time::timeout;

use crate::{cluster::with_namespace, remote::Remote, scene::Scene};

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

#[tokio::test]
async fn what_others_scale_is_put_right_and_pods_go_with_what_is_wanted_no_more() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client, &namespace).await;
        scene.release("1.0.0").await;
        scene.until_healthy_everywhere("1.0.0").await;
        for cluster in &scene.clusters {
            let deployments = cluster.deployments(&namespace);
            let params = PatchParams { field_manager: Some("somebody".into()), ..PatchParams::default() };
            deployments.patch("web", &params, &Patch::Merge(json!({"spec": {"replicas": 3}}))).await.unwrap();
            // Those that were too many are gone, and not only unwanted.
            let is_one = |it: Option<&Deployment>| {
                let status = it.filter(|it| it.spec.as_ref().is_some_and(|spec| spec.replicas == Some(1)));
                status.and_then(|it| it.status.as_ref()).is_some_and(|status| status.replicas == Some(1))
            };
            let put_right = await_condition(deployments, "web", is_one);
            timeout(scene.plane.patience, put_right).await.expect("it is put right").unwrap();
            scene.until_healthy(&cluster.name, "1.0.0").await;
            scene.must_answer(cluster, "1.0.0").await;
        }

        // Beside the chart a workload of its own manifests, which then goes.
        let image = format!("{}/{namespace}/web:1.0.0", scene.plane.registry());
        let workload = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "extra"},
            "spec": {
                "selector": {"matchLabels": {"app": "extra"}},
                "template": {
                    "metadata": {"labels": {"app": "extra"}},
                    "spec": {
                        "imagePullSecrets": [{"name": "orbit-pull"}],
                        "containers": [{"name": "main", "image": image, "command": ["/app"]}],
                    },
                },
            },
        });
        let stays = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "extra"}, "data": {"a": "1"}});
        let both = json!([workload.to_string(), stays.to_string()]);
        for manifests in [both, json!([stays.to_string()])] {
            let spec = json!({"application": "extra", "environment": "dev", "base": {"manifests": manifests}});
            let mut running = Vec::new();
            for cluster in &scene.clusters {
                running.push(extra_pods(cluster, &namespace).await);
            }
            scene.plane.apply::<EnvironmentOverlay>("extra.dev", spec).await;
            for (cluster, before) in scene.clusters.iter().zip(running) {
                scene.plane.until_delivered("extra.dev", &cluster.name).await;
                for pod in before {
                    until(&scene, cluster, &pod, is_deleted(&pod.uid().unwrap())).await;
                }
            }
        }
        for cluster in &scene.clusters {
            assert!(extra_pods(cluster, &namespace).await.is_empty());
            assert!(cluster.deployments(&namespace).get_opt("extra").await.unwrap().is_none());
            scene.must_answer(cluster, "1.0.0").await;
        }
        scene.end().await;
    })
    .await;
}

async fn extra_pods(cluster: &Remote, namespace: &str) -> Vec<Pod> {
    let of_extra = ListParams::default().labels("app=extra");
    cluster.pods(namespace).list(&of_extra).await.unwrap().items
}

async fn until(scene: &Scene, cluster: &Remote, pod: &Pod, is_so: impl Condition<Pod>) {
    let name = pod.name_any();
    let so = await_condition(cluster.pods(&scene.plane.namespace), &name, is_so);
    timeout(scene.plane.patience, so).await.expect("it goes").unwrap();
}
