//! Flux's controllers, as processes of a test's own that work in its namespace.

use std::{fs::File, process::Stdio, time::Duration};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams},
    core::GroupVersionKind,
    runtime::{conditions::is_crd_established, wait::await_condition},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::{plane::tool, tools::FLUX};

/// How long a state may take to come: generous on a busy machine, since it is waited for by watches.
const PATIENCE: Duration = Duration::from_secs(180);

pub struct Flux {
    client: Client,
    namespace: String,
    folder: TempDir,
    controllers: Vec<Child>,
}

impl Flux {
    /// Makes the cluster know Flux's kinds, and starts what works on them.
    pub async fn start(client: &Client, namespace: &str) -> Self {
        let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
        for crd in FLUX.iter().flat_map(|schema| schema.read_all()) {
            let name = crd.name_any();
            crds.patch(&name, &PatchParams::apply("test").force(), &Patch::Apply(&crd)).await.unwrap();
            let established = await_condition(crds.clone(), &name, is_crd_established());
            tokio::time::timeout(PATIENCE, established).await.expect("the cluster takes the kind").unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let mut flux =
            Self { client: client.clone(), namespace: namespace.to_owned(), folder, controllers: Vec::new() };
        let path = flux.folder.path().join("artifacts").display().to_string();
        std::fs::create_dir(&path).unwrap();
        let address = free_address();
        flux.run(
            "source-controller",
            &["--storage-path", &path, "--storage-addr", &address, "--storage-adv-addr", &address],
        );
        flux.run("kustomize-controller", &[]);
        flux.run("helm-controller", &[]);
        flux
    }

    fn run(&mut self, controller: &str, arguments: &[&str]) {
        let log = File::create(self.log(controller)).unwrap();
        let started = Command::new(tool(controller))
            .args(["--watch-all-namespaces=false", "--metrics-addr=0", "--log-encoding=console"])
            .arg(format!("--health-addr={}", free_address()))
            .args(arguments)
            .env("RUNTIME_NAMESPACE", &self.namespace)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{controller} is needed for this test (`make test-flux`): {error}"));
        self.controllers.push(started);
    }

    fn log(&self, controller: &str) -> std::path::PathBuf {
        self.folder.path().join(format!("{controller}.log"))
    }

    /// Applies an object of one of Flux's kinds.
    pub async fn apply(&self, object: &Value) {
        let name = object["metadata"]["name"].as_str().unwrap();
        let api = self.api(object);
        api.patch(name, &PatchParams::apply("test").force(), &Patch::Apply(object)).await.unwrap();
    }

    /// Has Flux look at an object at once, as `flux reconcile` does.
    pub async fn look_again(&self, object: &Value) {
        let annotations = json!({"reconcile.fluxcd.io/requestedAt": jiff::Timestamp::now().to_string()});
        let patch = json!({"metadata": {"annotations": annotations}});
        let name = object["metadata"]["name"].as_str().unwrap();
        self.api(object).patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// Waits until an object is ready, and its status as asked.
    pub async fn until(&self, object: &Value, what: &str, is_so: impl Fn(&Value) -> bool) {
        let name = object["metadata"]["name"].as_str().unwrap();
        let api = self.api(object);
        let seen = await_condition(api.clone(), name, |there: Option<&DynamicObject>| {
            there.is_some_and(|there| is_ready(there) && is_so(&there.data["status"]))
        });
        if tokio::time::timeout(PATIENCE, seen).await.is_err() {
            let there = serde_yaml::to_string(&api.get_opt(name).await.unwrap()).unwrap();
            let logs = ["source-controller", "kustomize-controller", "helm-controller"]
                .map(|controller| std::fs::read_to_string(self.log(controller)).unwrap());
            panic!("{} {name} never was {what}; it is\n{there}\n{}", object["kind"], logs.join("\n"));
        }
    }

    /// Deletes an object, and waits until Flux has taken away what came of it.
    pub async fn delete(&self, object: &Value) {
        let name = object["metadata"]["name"].as_str().unwrap();
        let api = self.api(object);
        api.delete(name, &DeleteParams::default()).await.unwrap();
        let gone = await_condition(api, name, |there: Option<&DynamicObject>| there.is_none());
        tokio::time::timeout(PATIENCE, gone).await.expect("Flux lets it go").unwrap();
    }

    fn api(&self, object: &Value) -> Api<DynamicObject> {
        let (group, version) = object["apiVersion"].as_str().unwrap().split_once('/').unwrap();
        let gvk = GroupVersionKind::gvk(group, version, object["kind"].as_str().unwrap());
        Api::namespaced_with(self.client.clone(), &self.namespace, &ApiResource::from_gvk(&gvk))
    }
}

/// Whether a status says so of the present generation.
fn is_ready(object: &DynamicObject) -> bool {
    let conditions = object.data["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|condition| {
        condition["type"] == "Ready"
            && condition["status"] == "True"
            && condition["observedGeneration"].as_i64() == object.metadata.generation
    })
}

/// An address that nothing listens on, below those that the system gives out by itself.
fn free_address() -> String {
    loop {
        let address = format!("127.0.0.1:{}", fastrand::u16(20_000..32_000));
        if std::net::TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}
