//! Clusters that come, do not answer, are somebody else, and go.

use std::time::{Duration, Instant};

use k8s_openapi::api::{coordination::v1::Lease, core::v1::Secret};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
    runtime::wait::await_condition,
};
use orbit_plane::api::{
    ConditionStatus, Delivery, EnvironmentOverlay, EphemeralCluster, PULL_SECRET, condition_type, reason,
};
use serde_json::{Value, json};

use crate::{
    cluster::with_namespace,
    fleet::{Fleet, config_map, own_kubeconfig},
    kubeconfigs::{kubeconfig_with, silent_kubeconfig},
    plane::{Plane, Stores, condition, line::Line},
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
        let leases: Api<Lease> = Api::namespaced(client, &namespace);
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
        // The context that is used has that user.
        let mut exec: Value = serde_yaml::from_str(&exec).unwrap();
        exec["contexts"][0]["context"]["user"] = json!("other");
        fleet.join("exec", &serde_yaml::to_string(&exec).unwrap(), json!({})).await;
        let broken = "apiVersion: v1\nkind: Config\nclusters: []\n";
        fleet.join("broken", broken, json!({})).await;
        let insecure = own_kubeconfig().replace("    server:", "    insecure-skip-tls-verify: true\n    server:");
        fleet.join("insecure", &insecure, json!({})).await;
        for (name, why) in [("exec", "exec"), ("broken", "context"), ("insecure", "insecure-skip-tls-verify")] {
            let message = fleet.plane.until_stalled::<EphemeralCluster>(name, reason::KUBECONFIG_INVALID).await;
            assert!(message.contains(&format!("Secret {namespace}/{name}")) && message.contains(why), "{message}");
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
        fleet.kubeconfig("here", &silent_kubeconfig()).await;
        fleet.plane.until_reason::<EphemeralCluster>("here", reason::UNREACHABLE).await;
        let delivery = fleet.delivery("web", "here");
        fleet.plane.until_reason::<Delivery>(&delivery, reason::UNREACHABLE).await;
        // It is back, and is what it was.
        fleet.kubeconfig("here", &own_kubeconfig()).await;
        fleet.until_delivered("web").await;
        assert_eq!(fleet.told("web").await.last().map(String::as_str), Some("healthy dev here -"));
        // Silent for longer than it may be, it is lost; its end waits for nobody.
        fleet.kubeconfig("here", &silent_kubeconfig()).await;
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
async fn a_cluster_that_hangs_delays_no_other() {
    with_namespace(|client, namespace| async move {
        let fleet = Fleet::of(client, &namespace).await;
        let own: Value = serde_yaml::from_str(&own_kubeconfig()).unwrap();
        let server: reqwest::Url = own["clusters"][0]["cluster"]["server"].as_str().unwrap().parse().unwrap();
        let line = Line::to(server.socket_addrs(|| None).unwrap()[0]).await;
        let through_line = kubeconfig_with(&[("server", &format!("https://{}", line.address))]);
        fleet.join("far", &through_line, json!({})).await;
        fleet.plane.until_ready::<EphemeralCluster>("far").await;
        // It has said that it is there, and then nothing more: more deliveries to it begin than are worked on at a time.
        line.silence();
        let names: Vec<_> = (0..40).map(|number| format!("web-{number}")).collect();
        let to_far = json!({"clusterSelector": {"matchLabels": {"region": "far"}}});
        fleet.plane.patch::<EphemeralCluster>("far", json!({"metadata": {"labels": {"region": "far"}}})).await;
        for name in &names {
            fleet.overlay(name, &[&config_map(name, "1")], to_far.clone()).await;
        }
        let began = Instant::now();
        fleet
            .overlay(
                "near",
                &[&config_map("near", "1")],
                json!({"clusterSelector": {"matchExpressions": [
                    {"key": "region", "operator": "DoesNotExist"},
                ]}}),
            )
            .await;
        fleet.until_delivered("near").await;
        // What is asked of a cluster that hangs ends after 30 seconds.
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        line.open();
        for name in &names {
            fleet.plane.until_delivered(&format!("{name}.dev"), "far").await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_runs_in_a_cluster_ends_as_its_object_says() {
    with_namespace(|client, namespace| async move {
        let fleet = Fleet::of(client, &namespace).await;
        let enforced = json!({"clusterDeletionPolicy": "Enforce", "deletionGracePeriod": "3s"});
        fleet.join("dead", &own_kubeconfig(), enforced).await;
        let only = |region: &str| json!({"clusterSelector": {"matchLabels": {"region": region}}});
        for (cluster, region) in [("here", "left"), ("dead", "right")] {
            let labels = json!({"metadata": {"labels": {"region": region}}});
            fleet.plane.patch::<EphemeralCluster>(cluster, labels).await;
        }
        fleet.overlay("web", &[&config_map("one", "1")], only("left")).await;
        fleet.overlay("cart", &[&config_map("two", "2")], only("right")).await;
        fleet.until_delivered("web").await;
        fleet.plane.until_delivered("cart.dev", "dead").await;

        // Left to itself where that is wanted, though it answers.
        let orphan = json!({"spec": {"clusterDeletionPolicy": "Orphan"}});
        fleet.plane.patch::<EphemeralCluster>("here", orphan).await;
        fleet.plane.delete::<EphemeralCluster>("here").await;
        fleet.plane.until_gone::<EphemeralCluster>("here").await;
        fleet.plane.until_gone::<Delivery>(&fleet.delivery("web", "here")).await;
        assert_eq!(fleet.value("one").await.as_deref(), Some("1"));
        assert_eq!(fleet.told("web").await.last().map(String::as_str), Some("removed dev here -"));

        // Waited for as long as was said, and no longer.
        fleet.kubeconfig("dead", &silent_kubeconfig()).await;
        fleet.plane.until_reason::<EphemeralCluster>("dead", reason::UNREACHABLE).await;
        let began = Instant::now();
        fleet.plane.delete::<EphemeralCluster>("dead").await;
        fleet.plane.until_gone::<Delivery>(&fleet.delivery("cart", "dead")).await;
        assert!(began.elapsed() >= Duration::from_secs(2), "{:?}: its end is counted in seconds", began.elapsed());
        fleet.plane.until_gone::<EphemeralCluster>("dead").await;
        assert_eq!(fleet.told("cart").await.last().map(String::as_str), Some("lost dev dead -"));
    })
    .await;
}

#[tokio::test]
async fn a_lease_of_somebody_else_is_left_alone() {
    with_namespace(|client, namespace| async move {
        let leases: Api<Lease> = Api::namespaced(client.clone(), &namespace);
        let theirs = json!({"metadata": {"name": "here"}, "spec": {"holderIdentity": "their-controller"}});
        leases.create(&PostParams::default(), &serde_json::from_value(theirs).unwrap()).await.unwrap();
        let plane = Plane::new(client.clone(), &namespace, Stores::Embedded, &[]).await;
        let _controller = plane.start().await;
        plane.join("here", "dev", &own_kubeconfig(), json!({})).await;
        let message = plane.until_stalled::<EphemeralCluster>("here", reason::NOT_OWNED).await;
        assert!(message.contains(&format!("Lease {namespace}/here")), "{message}");
        // Nothing else is kept from it for that.
        let manifests = json!({"manifests": [config_map("one", "1")]});
        let spec = json!({"application": "web", "environment": "dev", "base": manifests});
        plane.apply::<EnvironmentOverlay>("web.dev", spec).await;
        plane.until_delivered("web.dev", "here").await;
        let secrets: Api<Secret> = Api::namespaced(client, &namespace);
        let before = secrets.get(PULL_SECRET).await.unwrap().data;
        secrets.delete("here-orbit-pull", &DeleteParams::default()).await.unwrap();
        let is_next = |it: Option<&Secret>| it.is_some_and(|it| it.data != before);
        let next = await_condition(secrets.clone(), PULL_SECRET, is_next);
        tokio::time::timeout(plane.patience, next).await.expect("pods pull with the next credential").unwrap();
        let cluster = plane.api::<EphemeralCluster>().get("here").await.unwrap();
        assert_eq!(condition(&cluster, condition_type::REACHABLE).unwrap().status, ConditionStatus::True);
        let holder = leases.get("here").await.unwrap().spec.unwrap().holder_identity;
        assert_eq!(holder.as_deref(), Some("their-controller"));
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
