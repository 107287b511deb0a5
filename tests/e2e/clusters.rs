//! Clusters that come, do not answer, are somebody else, and go.

use orbit_plane::api::{ConditionStatus, Delivery, EnvironmentOverlay, EphemeralCluster, condition_type, reason};
use serde_json::json;

use crate::{
    cluster::with_namespace,
    fleet::{Fleet, config_map, own_kubeconfig},
    plane::condition,
};

#[tokio::test]
async fn a_cluster_says_who_it_is_and_has_a_lease() {
    with_namespace(|client, namespace| async move {
        let fleet = Fleet::of(client.clone(), &namespace).await;
        let cluster = fleet.plane.until_ready::<EphemeralCluster>("here").await;
        let status = cluster.status.as_ref().unwrap();
        let system: kube::Api<k8s_openapi::api::core::v1::Namespace> = kube::Api::all(client.clone());
        assert_eq!(status.cluster_uid, system.get("kube-system").await.unwrap().metadata.uid);
        assert!(status.kubernetes_version.as_ref().unwrap().starts_with("v1."));
        let leases: kube::Api<k8s_openapi::api::coordination::v1::Lease> = kube::Api::namespaced(client, &namespace);
        let lease = leases.get(status.lease_name.as_ref().unwrap()).await.unwrap();
        assert!(lease.spec.unwrap().renew_time.is_some());
        assert_eq!(condition(&cluster, condition_type::REACHABLE).unwrap().status, ConditionStatus::True);
    })
    .await;
}

#[tokio::test]
async fn hostile_kubeconfigs_are_refused_and_say_why() {
    with_namespace(|client, namespace| async move {
        let fleet = Fleet::of(client, &namespace).await;
        let marker = fleet.plane.folder().join("executed");
        let exec = own_kubeconfig().replace(
            "users:\n",
            &format!("users:\n- name: other\n  user: {{exec: {{apiVersion: client.authentication.k8s.io/v1, command: touch, args: [{}], interactiveMode: Never}}}}\n", marker.display()),
        );
        fleet.join("exec", &exec.replace("current-context: ", "current-context: other\n#"), json!({})).await;
        let broken = "apiVersion: v1\nkind: Config\nclusters: []\n";
        fleet.join("broken", broken, json!({})).await;
        let insecure = own_kubeconfig().replace("    server:", "    insecure-skip-tls-verify: true\n    server:");
        fleet.join("insecure", &insecure, json!({})).await;
        for name in ["exec", "broken", "insecure"] {
            let message = fleet.plane.until_stalled::<EphemeralCluster>(name, reason::KUBECONFIG_INVALID).await;
            assert!(message.contains(&format!("Secret {namespace}/{name}")), "{message}");
        }
        assert!(!marker.exists(), "nothing of a kubeconfig is run");
        // Others are not harmed.
        fleet.overlay("web", &[&config_map("one", "1")], json!({})).await;
        fleet
            .plane
            .until(&fleet.delivery("web", "here"), "healthy", |delivery: &Delivery| {
                condition(delivery, condition_type::READY).is_some_and(|c| c.status == ConditionStatus::True)
            })
            .await;
    })
    .await;
}

#[tokio::test]
async fn a_cluster_that_is_silent_holds_up_nobody_and_is_lost_in_the_end() {
    with_namespace(|client, namespace| async move {
        let fleet = Fleet::of(client, &namespace).await;
        fleet.overlay("web", &[&config_map("one", "1")], json!({})).await;
        fleet.until_delivered("web").await;
        // From now on it answers no more: nothing listens at its address.
        let server =
            own_kubeconfig().lines().find_map(|line| line.trim().strip_prefix("server: ").map(str::to_owned)).unwrap();
        let silent = own_kubeconfig().replace(&server, "https://127.0.0.1:1");
        fleet.kubeconfig("here", &silent).await;
        fleet.plane.until_reason::<EphemeralCluster>("here", reason::UNREACHABLE).await;
        let delivery = fleet.delivery("web", "here");
        fleet.plane.until_reason::<Delivery>(&delivery, reason::UNREACHABLE).await;
        // It is back, and is what it was.
        fleet.kubeconfig("here", &own_kubeconfig()).await;
        fleet.until_delivered("web").await;
        assert_eq!(fleet.told("web").await.last().map(String::as_str), Some("healthy dev here -"));
        // Silent for longer than it may be, it is lost; its end waits for nobody.
        fleet.kubeconfig("here", &silent).await;
        fleet.plane.patch::<EphemeralCluster>("here", json!({"spec": {"lostAfter": "1s"}})).await;
        fleet.plane.until_reason::<EphemeralCluster>("here", reason::LOST).await;
        fleet.plane.until_reason::<Delivery>(&delivery, reason::LOST).await;
        fleet.plane.delete::<EphemeralCluster>("here").await;
        fleet.plane.until_gone::<EphemeralCluster>("here").await;
        fleet.plane.until_gone::<Delivery>(&delivery).await;
        assert_eq!(fleet.told("web").await.last().map(String::as_str), Some("lost dev here -"));
        fleet.plane.until_ready::<EnvironmentOverlay>("web.dev").await;
        fleet.plane.verify().await;
    })
    .await;
}

#[tokio::test]
async fn a_cluster_whose_time_is_over_is_cleared() {
    with_namespace(|client, namespace| async move {
        let fleet = Fleet::of(client, &namespace).await;
        fleet.overlay("web", &[&config_map("one", "1")], json!({})).await;
        fleet.until_delivered("web").await;
        let past = json!({"spec": {"expiresAt": "2020-01-01T00:00:00Z"}});
        fleet.plane.patch::<EphemeralCluster>("here", past).await;
        fleet.plane.until_stalled::<EphemeralCluster>("here", reason::EXPIRED).await;
        fleet.plane.until_gone::<Delivery>(&fleet.delivery("web", "here")).await;
        assert_eq!(fleet.value("one").await, None);
        assert_eq!(fleet.told("web").await.last().map(String::as_str), Some("removed dev here -"));
    })
    .await;
}
