//! A connection to the cluster under test, with the plane's kinds installed, and namespaces that come and go.

use std::{fmt::Debug, future::Future};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Config, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    config::KubeConfigOptions,
    core::NamespaceResourceScope,
};
use orbit_plane::{
    api::{Delivery, EnvironmentOverlay, EphemeralCluster, ImageUpload},
    controllers::install,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

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
    with_labelled_namespace(json!({}), test).await;
}

/// The same, in a namespace with these labels.
pub async fn with_labelled_namespace<F: Future<Output = ()> + Send + 'static>(
    labels: Value,
    test: impl FnOnce(Client, String) -> F,
) {
    let client = client_as(None).await;
    install::install(&client).await.expect("the cluster takes the kinds");
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace: Namespace =
        serde_json::from_value(json!({"metadata": {"generateName": "orbit-test-", "labels": labels}})).unwrap();
    let name = namespaces.create(&PostParams::default(), &namespace).await.unwrap().metadata.name.unwrap();
    let outcome = tokio::spawn(test(client.clone(), name.clone())).await;
    namespaces.delete(&name, &DeleteParams::default()).await.unwrap();
    // The plane of the test is gone, and with it whoever would let its objects go.
    release::<ImageUpload>(&client, &name).await;
    release::<EnvironmentOverlay>(&client, &name).await;
    release::<Delivery>(&client, &name).await;
    release::<EphemeralCluster>(&client, &name).await;
    if let Err(failure) = outcome {
        std::panic::resume_unwind(failure.into_panic());
    }
}

/// Takes the finalizers off what is left of a kind.
async fn release<K>(client: &Client, namespace: &str)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    for object in api.list_metadata(&ListParams::default()).await.unwrap() {
        let none = json!({"metadata": {"finalizers": null}});
        match api.patch_metadata(&object.name_any(), &PatchParams::default(), &Patch::Merge(&none)).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            released => drop(released.unwrap()),
        }
    }
}
