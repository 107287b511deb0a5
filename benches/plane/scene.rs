//! A namespace, and the cluster as a user of its own that the audit log can tell from others.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Config,
    api::{DeleteParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    runtime::{conditions::is_deleted, wait::await_condition},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::plane::Plane;

/// How long a namespace may take to go: 500 applications take some 30 seconds.
const GONE_WITHIN: Duration = Duration::from_secs(300);

/// Where something is measured. [`Scene::end`] takes the namespace away.
pub struct Scene {
    /// The cluster's administrator.
    pub client: Client,
    /// A namespace of its own.
    pub namespace: String,
    /// A folder of its own.
    pub folder: tempfile::TempDir,
    user: String,
}

impl Scene {
    /// A new one, on the cluster that KUBECONFIG names.
    pub async fn new() -> Self {
        let config = Config::from_kubeconfig(&KubeConfigOptions::default()).await;
        let client = Client::try_from(config.expect("KUBECONFIG names a cluster: see `testbed env`"));
        let client = client.expect("the kubeconfig is usable");
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let namespace: Namespace =
            serde_json::from_value(json!({"metadata": {"generateName": "orbit-bench-"}})).expect("a namespace");
        let created = namespaces.create(&PostParams::default(), &namespace).await.expect("a namespace is created");
        let namespace = created.metadata.name.expect("it has a name");
        Self { client, user: format!("{namespace}-plane"), namespace, folder: tempfile::tempdir().expect("a folder") }
    }

    /// A kubeconfig that acts as a user of this scene alone, who may do everything.
    pub fn kubeconfig(&self) -> PathBuf {
        let mut config = Kubeconfig::read().expect("KUBECONFIG names a file");
        for user in &mut config.auth_infos {
            let user = user.auth_info.get_or_insert_default();
            user.impersonate = Some(self.user.clone());
            user.impersonate_groups = Some(vec!["system:masters".to_owned()]);
        }
        let path = self.folder.path().join("kubeconfig");
        std::fs::write(&path, serde_yaml::to_string(&config).expect("a kubeconfig is YAML")).expect("a file");
        path
    }

    /// What that user has asked the API server to change so far, Leases aside, as `verb resource/name`: from the audit
    /// log, which has every request when it is answered.
    pub fn api_writes(&self) -> Vec<String> {
        let kubeconfig = PathBuf::from(std::env::var_os("KUBECONFIG").expect("KUBECONFIG names a file"));
        let path = kubeconfig.parent().unwrap_or(Path::new("")).join("audit.log");
        let log = std::fs::read_to_string(&path)
            .unwrap_or_else(|e| panic!("{}: {e} (the testbed's API server writes it)", path.display()));
        let requests = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let own = requests.filter(|request| request["impersonatedUser"]["username"] == self.user);
        let reading = ["get", "list", "watch"];
        let writing = own.filter(|request| !reading.iter().any(|verb| request["verb"] == *verb));
        let writing = writing.filter(|request| request["objectRef"]["resource"] != "leases");
        let shown = writing.map(|request| {
            let of = &request["objectRef"];
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            format!("{} {}/{}", text(&request["verb"]), text(&of["resource"]), text(&of["name"]))
        });
        shown.collect()
    }

    /// Takes the namespace away, with all that is in it, before anything else is measured: the work that its end makes
    /// would be counted there.
    pub async fn end(self) {
        self.take_away().await;
    }

    /// The same, and the plane ends after it, which lets go what it holds there.
    pub async fn end_with(self, plane: Plane) {
        self.take_away().await;
        plane.stop().await;
    }

    async fn take_away(&self) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let deleted = namespaces.delete(&self.namespace, &DeleteParams::default()).await;
        let uid = deleted.expect("the namespace goes").left().and_then(|namespace| namespace.metadata.uid);
        let uid = uid.unwrap_or_default();
        let gone = await_condition(namespaces, &self.namespace, is_deleted(&uid));
        timeout(GONE_WITHIN, gone).await.expect("the namespace is gone in time").expect("it is watched");
    }
}
