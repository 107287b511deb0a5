//! What clusters read the plane's registry with: whose it is, what it opens, and when it ends.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
    runtime::wait::await_condition,
};
use orbit_plane::api::{EphemeralCluster, annotation, reason};
use reqwest::StatusCode;
use serde_json::json;

use crate::{
    cluster::with_namespace,
    fleet::{Fleet, own_kubeconfig},
    kubeconfigs::silent_kubeconfig,
};

/// The credential of the cluster `here`, beside its object.
const ISSUED: &str = "here-orbit-pull";

/// What the registry answers to whoever wants a token with these credentials.
async fn log_in(fleet: &Fleet, user: &str, password: &str) -> StatusCode {
    let url = format!("http://{}/v2/token", fleet.plane.registry());
    let scope = format!("repository:{}/web:pull", fleet.plane.namespace);
    let request = reqwest::Client::new().get(url).query(&[("service", ""), ("scope", &scope)]);
    request.basic_auth(user, Some(password)).send().await.unwrap().status()
}

/// Waits until the registry answers so. It remembers for ten seconds what it has found out about credentials.
async fn until_answered(fleet: &Fleet, user: &str, password: &str, with: StatusCode) {
    let answered = async {
        while log_in(fleet, user, password).await != with {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::time::timeout(fleet.plane.patience, answered).await.unwrap_or_else(|_| panic!("it never answers {with}"));
}

fn text(secret: &Secret, key: &str) -> String {
    String::from_utf8(secret.data.as_ref().unwrap()[key].0.clone()).unwrap()
}

/// The credential in its Secret once it is another one than this.
async fn until_another(fleet: &Fleet, secrets: &Api<Secret>, than: &str) -> String {
    let differs = |it: Option<&Secret>| it.is_some_and(|it| text(it, "password") != than);
    let another = await_condition(secrets.clone(), ISSUED, differs);
    let another = tokio::time::timeout(fleet.plane.patience, another).await.expect("another one is issued").unwrap();
    text(&another.unwrap(), "password")
}

#[tokio::test]
async fn a_password_is_replaced_in_time_and_ends_with_its_cluster() {
    with_namespace(|client, namespace| async move {
        let fleet = Fleet::of(client.clone(), &namespace).await;
        let secrets: Api<Secret> = Api::namespaced(client, &namespace);
        let issued = secrets.get(ISSUED).await.unwrap();
        let (user, first) = (text(&issued, "username"), text(&issued, "password"));
        assert_eq!(user, format!("orbit-cluster.{namespace}.here"));
        let until = async |password: &str, with| until_answered(&fleet, &user, password, with).await;
        until("guessed", StatusCode::UNAUTHORIZED).await;

        // A day is over. Whoever pulls just now has a while; the registry has not met the first password yet, and cannot
        // remember it.
        let a_day_ago = json!({"metadata": {"annotations": {annotation::ISSUED_AT: "2020-01-01T00:00:00Z"}}});
        secrets.patch(ISSUED, &PatchParams::default(), &Patch::Merge(a_day_ago)).await.unwrap();
        let second = until_another(&fleet, &secrets, &first).await;
        until(&second, StatusCode::OK).await;
        assert_eq!(log_in(&fleet, &user, &first).await, StatusCode::OK);

        // Under its name there is another cluster, which the old one's passwords are none of.
        let another = json!({"metadata": {"annotations": {
            annotation::CLUSTER_UID: "another", annotation::ISSUED_AT: issued.annotations()[annotation::ISSUED_AT],
        }}});
        secrets.patch(ISSUED, &PatchParams::default(), &Patch::Merge(another)).await.unwrap();
        let third = until_another(&fleet, &secrets, &second).await;
        until(&third, StatusCode::OK).await;
        until(&second, StatusCode::UNAUTHORIZED).await;
        until(&first, StatusCode::UNAUTHORIZED).await;

        // Nobody knows who has what was a cluster's that is lost; it is the cluster's again when that is back.
        fleet.plane.patch::<EphemeralCluster>("here", json!({"spec": {"lostAfter": "1s"}})).await;
        fleet.kubeconfig("here", &silent_kubeconfig()).await;
        fleet.plane.until_reason::<EphemeralCluster>("here", reason::LOST).await;
        until(&third, StatusCode::UNAUTHORIZED).await;
        fleet.kubeconfig("here", &own_kubeconfig()).await;
        until(&third, StatusCode::OK).await;

        let past = json!({"spec": {"expiresAt": "2020-01-01T00:00:00Z"}});
        fleet.plane.patch::<EphemeralCluster>("here", past).await;
        until(&third, StatusCode::UNAUTHORIZED).await;
    })
    .await;
}
