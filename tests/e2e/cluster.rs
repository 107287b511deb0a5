//! A connection to the cluster under test, with the plane's kinds installed, and namespaces that come and go.

use std::future::Future;

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Config,
    api::{DeleteParams, PostParams},
    config::KubeConfigOptions,
};
use orbit_plane::controllers::install;

/// A client that acts as `user`, or as the kubeconfig's own one.
pub async fn client_as(user: Option<&str>) -> Client {
    // Several tests of one process come here; whoever is first installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = Config::from_kubeconfig(&KubeConfigOptions::default())
        .await
        .expect("KUBECONFIG names a cluster: see `testbed env`");
    if let Some(user) = user {
        config.auth_info.impersonate = Some(user.to_owned());
        config.auth_info.impersonate_groups = Some(vec!["system:masters".to_owned()]);
    }
    Client::try_from(config).expect("the kubeconfig is usable")
}

/// Runs a test in a new namespace of a prepared cluster; the namespace goes afterwards, a failed test included.
pub async fn with_namespace<F: Future<Output = ()> + Send + 'static>(test: impl FnOnce(Client, String) -> F) {
    let client = client_as(None).await;
    install::install(&client).await.expect("the cluster takes the kinds");
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace: Namespace =
        serde_json::from_value(serde_json::json!({"metadata": {"generateName": "orbit-test-"}})).unwrap();
    let name = namespaces.create(&PostParams::default(), &namespace).await.unwrap().metadata.name.unwrap();
    let outcome = tokio::spawn(test(client, name.clone())).await;
    namespaces.delete(&name, &DeleteParams::default()).await.unwrap();
    if let Err(failure) = outcome {
        std::panic::resume_unwind(failure.into_panic());
    }
}
