//! The roles of the chart are enough for all the plane does, and give it nothing else.

use std::{panic::AssertUnwindSafe, path::Path, process::Command, time::Duration};

use futures::FutureExt;
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    authorization::v1::SubjectAccessReview,
    core::v1::{ConfigMap, Secret, ServiceAccount},
    events::v1::Event,
};
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    config::Kubeconfig,
    runtime::wait::await_condition,
};
use orbit_plane::api::{ConditionStatus, EnvironmentOverlay, HelmChart, ImageUpload, condition_type};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    cluster::with_namespace,
    helm::{lint_package, template},
    objects::{apply, delete},
    plane::Plane,
    registry::Registry,
};

const PATIENCE: Duration = Duration::from_secs(120);

/// The chart's ServiceAccount and roles, applied; those outside the namespace are to be deleted afterwards.
async fn grant(client: &Client, release: &str, namespace: &str, set: &[&str]) -> (String, Vec<Value>) {
    let kinds = ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"];
    let mut objects = template(release, namespace, set).unwrap();
    objects.retain(|object| kinds.iter().any(|kind| object["kind"] == *kind));
    for object in &objects {
        apply(client, object, false).await.unwrap();
    }
    let account = objects.iter().find(|object| object["kind"] == "ServiceAccount").expect("a ServiceAccount");
    let account = account["metadata"]["name"].as_str().unwrap().to_owned();
    objects.retain(|object| object["metadata"]["namespace"] != namespace);
    (account, objects)
}

/// A kubeconfig that holds a token of the account and no other credential; the token.
async fn kubeconfig(client: &Client, namespace: &str, account: &str, path: &Path) -> String {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let request = TokenRequest {
        spec: Some(TokenRequestSpec { expiration_seconds: Some(3600), ..Default::default() }),
        ..Default::default()
    };
    let issued = accounts.create_token_request(account, &PostParams::default(), &request).await.unwrap();
    let token = issued.status.unwrap().token.unwrap();
    let admin = Kubeconfig::read().unwrap();
    let cluster = admin.clusters[0].cluster.as_ref().unwrap();
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "plane",
        "contexts": [{"name": "plane", "context": {"cluster": "plane", "user": "plane"}}],
        "clusters": [{"name": "plane", "cluster": {
            "server": cluster.server,
            "certificate-authority-data": cluster.certificate_authority_data,
        }}],
        "users": [{"name": "plane", "user": {"token": token}}],
    });
    std::fs::write(path, config.to_string()).unwrap();
    token
}

/// Whether the account may do this.
async fn may(client: &Client, user: &str, verb: &str, resource: &str, namespace: &str) -> bool {
    let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
    let review: SubjectAccessReview = serde_json::from_value(json!({"spec": {
        "user": user,
        "resourceAttributes": {"verb": verb, "group": group, "resource": resource, "namespace": namespace},
    }}))
    .unwrap();
    let api: Api<SubjectAccessReview> = Api::all(client.clone());
    api.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed
}

/// Waits until an object is as it should be.
async fn until<K>(api: &Api<K>, name: &str, what: &str, holds: impl Fn(&Value) -> bool + Send + Sync + Unpin)
where
    K: Resource + Clone + std::fmt::Debug + DeserializeOwned + serde::Serialize + Send + 'static,
{
    let condition = |object: Option<&K>| object.is_some_and(|object| holds(&serde_json::to_value(object).unwrap()));
    let awaited = await_condition(api.clone(), name, condition);
    if tokio::time::timeout(PATIENCE, awaited).await.is_err() {
        let now = api.get_opt(name).await.unwrap().map(|object| serde_json::to_value(object).unwrap());
        panic!("{name} does not become {what}: {now:#?}");
    }
}

/// Waits until an object is gone.
async fn until_gone<K>(api: &Api<K>, name: &str)
where
    K: Resource + Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
{
    let awaited = await_condition(api.clone(), name, |object: Option<&K>| object.is_none());
    tokio::time::timeout(PATIENCE, awaited).await.unwrap_or_else(|_| panic!("{name} stays")).unwrap();
}

fn ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    let mut ready = conditions.filter(|condition| condition["type"] == condition_type::READY);
    ready.any(|condition| {
        condition["status"] == json!(ConditionStatus::True)
            && condition["observedGeneration"] == object["metadata"]["generation"]
    })
}

fn upload(registry: &str, version: &str) -> Value {
    let source = json!({"reference": {
        "image": format!("{registry}/shop/web:{version}"),
        "pullSecretRef": {"name": "regcred"},
    }});
    json!({
        "apiVersion": "orbit.k8or.io/v1alpha1",
        "kind": "ImageUpload",
        "metadata": {"name": "web"},
        "spec": {
            "application": "web",
            "version": version,
            "images": [{"name": "main", "source": source}],
            "environments": ["dev", "prod"],
            "retentionPolicy": "Delete",
        },
    })
}

/// From a registry with a pull secret to two environments, a second release that pushes the first one's chart out of the
/// history, and the end of all.
async fn whole_life(client: Client, namespace: &str, registry: &str, data: &Path) {
    let uploads: Api<ImageUpload> = Api::namespaced(client.clone(), namespace);
    let charts: Api<HelmChart> = Api::namespaced(client.clone(), namespace);
    let overlays: Api<EnvironmentOverlay> = Api::namespaced(client.clone(), namespace);
    let apply = PatchParams::apply("test").force();
    for version in ["1.0.0", "1.1.0"] {
        uploads.patch("web", &apply, &Patch::Apply(upload(registry, version))).await.unwrap();
        until(&uploads, "web", "Ready", |o| ready(o) && o["status"]["release"]["version"] == version).await;
        until(&charts, &format!("web.{version}"), "Ready", ready).await;
        for overlay in ["web.dev", "web.prod"] {
            let selected = |o: &Value| ready(o) && o["status"]["selected"]["version"] == version;
            until(&overlays, overlay, "Ready", selected).await;
        }
    }
    until_gone(&charts, "web.1.0.0").await;
    can_be_taken_out(namespace, data);
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    let told = events.list(&ListParams::default()).await.unwrap();
    assert!(told.iter().any(|e| e.regarding.as_ref().is_some_and(|of| of.kind.as_deref() == Some("ImageUpload"))));

    overlays.delete("web.dev", &DeleteParams::default()).await.unwrap();
    until_gone(&overlays, "web.dev").await;
    uploads.delete("web", &DeleteParams::default()).await.unwrap();
    until_gone(&uploads, "web").await;
}

/// `orbit export`: also the chart whose HelmChart is gone.
fn can_be_taken_out(namespace: &str, data: &Path) {
    // Helm looks at the name.
    let file = data.join("exported.tgz");
    let export = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_orbit"))
            .args(["export", arguments[0], "web", arguments[1], "--namespace", namespace])
            .arg("--data-dir")
            .arg(data)
            .arg("--output")
            .arg(&file)
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(export(&["overlay", "prod"]), (true, String::new()));
    assert!(std::fs::read_to_string(&file).unwrap().contains("kind: Deployment"));
    assert_eq!(export(&["chart", "1.0.0"]), (true, String::new()));
    lint_package(&file).unwrap();
    let (done, said) = export(&["overlay", "staging"]);
    assert!(!done && said.contains("nothing is rendered"), "{said}");
}

#[tokio::test]
async fn the_service_account_may_do_all_the_plane_does_and_nothing_else() {
    let _alone = ONE_PLANE.lock().await;
    with_namespace(|client, namespace| async move {
        let arguments = ["--skip-install", "--chart-history", "1"];
        let may_not = [
            ("get", "pods", namespace.as_str()),
            ("create", "imageuploads.orbit.k8or.io", &namespace),
            ("update", "imageuploads.orbit.k8or.io", &namespace),
        ];
        try_account(&client, &namespace, &[], &arguments, &may_not).await;
    })
    .await;
}

#[tokio::test]
async fn a_plane_that_is_kept_to_one_namespace_needs_no_rights_elsewhere() {
    let _alone = ONE_PLANE.lock().await;
    with_namespace(|client, namespace| async move {
        let set = [format!("namespace={namespace}")];
        let arguments = ["--skip-install", "--chart-history", "1", "--namespace", &namespace];
        let may_not = [
            ("get", "secrets", "default"),
            ("list", "imageuploads.orbit.k8or.io", "default"),
            ("list", "imageuploads.orbit.k8or.io", ""),
            ("patch", "configmaps", "kube-public"),
            // It imports no clusters.
            ("create", "ephemeralclusters.orbit.k8or.io", namespace.as_str()),
            ("delete", "ephemeralclusters.orbit.k8or.io", namespace.as_str()),
        ];
        try_account(&client, &namespace, &[&set[0]], &arguments, &may_not).await;
    })
    .await;
}

/// Two planes that work on the same objects would undo each other's work.
static ONE_PLANE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Gives the chart's account the chart's rights, lets a plane live with them, and takes them away.
async fn try_account(
    client: &Client,
    namespace: &str,
    set: &[&str],
    arguments: &[&str],
    may_not: &[(&str, &str, &str)],
) {
    let release = format!("plane-{}", namespace.rsplit('-').next().unwrap());
    let user = format!("system:serviceaccount:{namespace}:{release}-orbit-plane");
    assert!(!may(client, &user, "patch", "imageuploads.orbit.k8or.io", namespace).await, "RBAC is not enforced");
    let (account, elsewhere) = grant(client, &release, namespace, set).await;
    assert_eq!(user, format!("system:serviceaccount:{namespace}:{account}"));
    let outcome = AssertUnwindSafe(async {
        live(client, namespace, &account, arguments).await;
        for (verb, resource, at) in NEVER.iter().chain(may_not) {
            assert!(!may(client, &user, verb, resource, at).await, "it may {verb} {resource} in {at:?}");
        }
    });
    let outcome = outcome.catch_unwind().await;
    for object in &elsewhere {
        delete(client, object).await;
    }
    if let Err(failure) = outcome {
        std::panic::resume_unwind(failure);
    }
}

/// What no plane may, in any namespace.
const NEVER: [(&str, &str, &str); 12] = [
    ("delete", "secrets", "default"),
    ("create", "imageuploads.orbit.k8or.io", "default"),
    ("delete", "imageuploads.orbit.k8or.io", "default"),
    ("delete", "environmentoverlays.orbit.k8or.io", "default"),
    ("create", "deployments.apps", "default"),
    ("get", "configmaps", "default"),
    ("list", "configmaps", "kube-public"),
    ("get", "namespaces", ""),
    ("create", "customresourcedefinitions.apiextensions.k8s.io", ""),
    ("patch", "mutatingadmissionpolicies.admissionregistration.k8s.io", ""),
    ("bind", "clusterroles.rbac.authorization.k8s.io", ""),
    ("impersonate", "users", ""),
];

async fn live(client: &Client, namespace: &str, account: &str, arguments: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("kubeconfig");
    let token = kubeconfig(client, namespace, account, &config).await;
    let registry = Registry::start();
    registry.fill(folder.path(), &["shop/web:1.0.0", "shop/web:1.1.0"]);
    let credentials = json!({"auths": {&registry.host: {"username": "u", "password": "p"}}}).to_string();
    let secret: Secret = serde_json::from_value(json!({
        "metadata": {"name": "regcred"},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": credentials},
    }))
    .unwrap();
    Api::<Secret>::namespaced(client.clone(), namespace).create(&PostParams::default(), &secret).await.unwrap();
    // Made anew, so that it takes the right to create it.
    let public: Api<ConfigMap> = Api::namespaced(client.clone(), "kube-public");
    if public.get_opt("orbit-plane").await.unwrap().is_some() {
        public.delete("orbit-plane", &DeleteParams::default()).await.unwrap();
    }

    let plane = Plane::start(folder.path(), &config, arguments).await;
    if !arguments.contains(&"--namespace") {
        until(&public, "orbit-plane", "there", |o| o["data"]["url"].is_string()).await;
    }
    whole_life(client.clone(), namespace, &registry.host, &folder.path().join("data")).await;
    // It is allowed to ask who somebody is (401) and what they may read (403); itself it may read nothing.
    let tags = format!("{}/v2/{namespace}/web/tags/list", plane.registry);
    for (token, status) in [(token.as_str(), 403), ("nobody's", 401)] {
        let answer = reqwest::Client::new().get(&tags).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
    }
    let written = plane.written();
    plane.stop().await;
    // As RBAC says it. Namespaces that are ending forbid things too, for another reason.
    assert!(!written.contains("is forbidden: User"), "{written}");
}
