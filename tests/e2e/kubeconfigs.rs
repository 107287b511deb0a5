//! Kubeconfigs that do not lead to the cluster that is meant: what is wrong with each is told, and a good one heals it.

use base64::{Engine, prelude::BASE64_STANDARD};
use k8s_openapi::api::{
    authentication::v1::TokenRequest,
    core::v1::{ConfigMap, Namespace, Secret, ServiceAccount},
    rbac::v1::{ClusterRole, ClusterRoleBinding},
};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
    runtime::wait::await_condition,
};
use orbit_plane::api::{
    ConditionStatus, Delivery, EnvironmentOverlay, EphemeralCluster, PULL_SECRET, condition_type, reason,
};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::{Value, json};

use crate::{
    cluster::with_namespace,
    fleet::{Fleet, config_map, own_kubeconfig},
    plane::condition,
};

/// The kubeconfig of the tests with other values in the fields that are named.
pub fn kubeconfig_with(values: &[(&str, &str)]) -> String {
    let mut kubeconfig: Value = serde_yaml::from_str(&own_kubeconfig()).unwrap();
    for (field, value) in values {
        let part = if kubeconfig["clusters"][0]["cluster"].get(field).is_some() {
            &mut kubeconfig["clusters"][0]["cluster"]
        } else {
            &mut kubeconfig["users"][0]["user"]
        };
        part[*field] = json!(value);
    }
    kubeconfig.to_string()
}

/// One at whose address nothing listens.
pub fn silent_kubeconfig() -> String {
    kubeconfig_with(&[("server", "https://127.0.0.1:1")])
}

/// The kubeconfig of the tests as one of a new service account `plane`, which may do what this role allows.
async fn kubeconfig_of_account(fleet: &Fleet, role: &str) -> String {
    let namespace = &fleet.plane.namespace;
    let accounts: Api<ServiceAccount> = Api::namespaced(fleet.plane.client.clone(), namespace);
    let account = serde_json::from_value(json!({"metadata": {"name": "plane"}})).unwrap();
    accounts.create(&PostParams::default(), &account).await.unwrap();
    fleet
        .lend::<ClusterRoleBinding>(json!({
            "metadata": {"name": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": "plane", "namespace": namespace}],
        }))
        .await;
    let request: TokenRequest = serde_json::from_value(json!({"spec": {"audiences": []}})).unwrap();
    let issued = accounts.create_token_request("plane", &PostParams::default(), &request).await.unwrap();
    let mut kubeconfig: Value = serde_yaml::from_str(&own_kubeconfig()).unwrap();
    kubeconfig["users"][0]["user"] = json!({"token": issued.status.unwrap().token});
    kubeconfig.to_string()
}

/// A certificate of nobody whom the cluster knows, good until the end of a year, and its key.
fn identity_until(year: i32) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["client".to_owned()]).unwrap();
    params.not_after = date_time_ymd(year, 12, 31);
    let certificate = params.self_signed(&key).unwrap();
    (BASE64_STANDARD.encode(certificate.pem()), BASE64_STANDARD.encode(key.serialize_pem()))
}

#[tokio::test]
async fn what_is_wrong_with_a_kubeconfig_is_told_and_a_good_one_heals_it() {
    with_namespace(|client, namespace| async move {
        let fleet = Fleet::of(client, &namespace).await;
        let of_user = |year| {
            let (certificate, key) = identity_until(year);
            kubeconfig_with(&[("client-certificate-data", &certificate), ("client-key-data", &key)])
        };
        let authority = identity_until(2040).0;
        let cases = [
            (
                "ended",
                of_user(2020),
                reason::KUBECONFIG_INVALID,
                "client-certificate-data expired at 2020-12-31T00:00:00Z: put a new one into the Secret",
            ),
            (
                "stranger",
                of_user(2040),
                reason::UNREACHABLE,
                "the API server does not accept the credential in the kubeconfig",
            ),
            (
                "forged",
                kubeconfig_with(&[("certificate-authority-data", &authority)]),
                reason::UNREACHABLE,
                "who answers is not the cluster that the kubeconfig describes",
            ),
            ("nowhere", silent_kubeconfig(), reason::UNREACHABLE, "the API server does not answer: "),
        ];
        for (name, kubeconfig, ..) in &cases {
            fleet.plane.join(name, "lab", kubeconfig, json!({})).await;
        }
        for (name, _, why, words) in &cases {
            let message = fleet.plane.until_reason::<EphemeralCluster>(name, why).await;
            assert!(message.contains(words), "{name}: {words:?} is not in {message:?}");
            let cluster = fleet.plane.api::<EphemeralCluster>().get(name).await.unwrap();
            let reachable = condition(&cluster, condition_type::REACHABLE).expect("it says whether it is reachable");
            assert_eq!((reachable.status, reachable.reason.as_str()), (ConditionStatus::False, *why), "{name}");
        }
        // Others are not harmed.
        fleet.overlay("web", &[&config_map("web", "1")], json!({})).await;
        fleet.until_delivered("web").await;
        for (name, ..) in &cases {
            fleet.kubeconfig(name, &own_kubeconfig()).await;
        }
        for (name, ..) in &cases {
            fleet.plane.until_ready::<EphemeralCluster>(name).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_credential_that_is_taken_back_is_told_and_the_next_goes_on() {
    with_namespace(|client, namespace| async move {
        let fleet = Fleet::of(client.clone(), &namespace).await;
        let kubeconfig = kubeconfig_of_account(&fleet, "cluster-admin").await;
        fleet.kubeconfig("here", &kubeconfig).await;
        fleet.overlay("web", &[&config_map("web", "1")], json!({})).await;
        fleet.until_delivered("web").await;

        let accounts: Api<ServiceAccount> = Api::namespaced(client, &namespace);
        accounts.delete("plane", &DeleteParams::default()).await.unwrap();
        let message = fleet.plane.until_reason::<EphemeralCluster>("here", reason::UNREACHABLE).await;
        for part in ["does not accept the credential in the kubeconfig", "Put a new one into the Secret"] {
            assert!(message.contains(part), "{part:?} is not in {message:?}");
        }
        fleet.kubeconfig("here", &own_kubeconfig()).await;
        fleet.overlay("web", &[&config_map("web", "2")], json!({})).await;
        fleet.until_delivered("web").await;
        assert_eq!(fleet.value("web").await.as_deref(), Some("2"));
    })
    .await;
}

/// What `config/samples/clusters/role.yaml` allows is enough for a delivery's whole life.
#[tokio::test]
async fn the_role_that_is_shown_is_enough() {
    with_namespace(|client, namespace| async move {
        let fleet = Fleet::of(client.clone(), &namespace).await;
        let mut role: Value = serde_yaml::from_str(include_str!("../../config/samples/clusters/role.yaml")).unwrap();
        role["metadata"]["name"] = json!(namespace);
        fleet.lend::<ClusterRole>(role).await;
        let kubeconfig = kubeconfig_of_account(&fleet, &namespace).await;
        fleet.kubeconfig("here", &kubeconfig).await;
        let target = format!("{namespace}-target");
        let workload = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 0\n  \
                        selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    \
                        spec: {containers: [{name: main, image: registry.example/web}]}\n";
        let there = json!({"targetNamespace": target});
        fleet.overlay("web", &[workload, &config_map("one", "1"), &config_map("two", "2")], there.clone()).await;
        fleet.until_delivered("web").await;
        // Changed, pruned, put right, and taken away with what pods pull with.
        fleet.overlay("web", &[workload, &config_map("one", "changed")], there).await;
        fleet.until_delivered("web").await;
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &target);
        assert!(maps.get_opt("two").await.unwrap().is_none());
        maps.delete("one", &DeleteParams::default()).await.unwrap();
        let is_back = await_condition(maps.clone(), "one", |it: Option<&ConfigMap>| it.is_some());
        tokio::time::timeout(fleet.plane.patience, is_back).await.unwrap().unwrap();
        let secrets: Api<Secret> = Api::namespaced(client.clone(), &target);
        assert!(secrets.get_opt(PULL_SECRET).await.unwrap().is_some());
        fleet.plane.delete::<EnvironmentOverlay>("web.dev").await;
        fleet.plane.until_gone::<Delivery>(&fleet.delivery("web", "here")).await;
        assert!(maps.get_opt("one").await.unwrap().is_none());
        assert!(secrets.get_opt(PULL_SECRET).await.unwrap().is_none());
        Api::<Namespace>::all(client).delete(&target, &DeleteParams::default()).await.unwrap();
    })
    .await;
}
