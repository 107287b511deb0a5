//! Clusters that others make are taken in by themselves, in namespaces that ask for it: each Secret with a kubeconfig that
//! Cluster API or vcluster writes becomes an `EphemeralCluster`, and takes it along when it goes.
//!
//! A namespace asks by the label `orbit.k8or.io/import-clusters=true`. Without it nothing is imported, and nothing that was
//! imported goes: a label that is taken off ends no cluster. A plane that is kept to one namespace sees no labels of
//! namespaces, and imports nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::{Stream, StreamExt, future, stream};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, Preconditions},
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt,
        watcher::{self, watcher},
    },
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{context::Context, outcome::Halt, watch::clusters};
use crate::{
    api::{EphemeralCluster, GROUP, VERSION, label},
    failpoint,
};

/// Who owns what an import says of a cluster. The rest of the object is others'.
const FIELD_MANAGER: &str = "orbit-plane-import";
/// When a namespace is looked at again where not all could be done.
const AGAIN: Duration = Duration::from_secs(10);
/// What Cluster API writes on its Secrets, and the type they have.
const CAPI_CLUSTER: &str = "cluster.x-k8s.io/cluster-name";
const CAPI_TYPE: &str = "cluster.x-k8s.io/secret";
/// What vcluster writes on its Secrets.
const VCLUSTER: (&str, &str) = ("app", "vcluster");
/// Labels of a Secret that its cluster gets.
const COPIED: &str = "orbit.k8or.io/";

/// A cluster as a Secret makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Imported {
    name: String,
    secret: String,
    key: &'static str,
    labels: BTreeMap<String, String>,
}

/// The cluster that a Secret is the kubeconfig of, by its metadata; none where it is of no cluster, or of one whose name no
/// `EphemeralCluster` can have.
fn cluster_for(secret: &ObjectMeta) -> Option<Imported> {
    let labels = secret.labels.as_ref()?;
    let secret_name = secret.name.as_deref()?;
    let of_capi = labels.get(CAPI_CLUSTER).map(String::as_str);
    let of_vcluster = labels.get(VCLUSTER.0).filter(|app| *app == VCLUSTER.1).and(secret_name.strip_prefix("vc-"));
    let (name, key) = match (of_capi, of_vcluster) {
        (Some(name), _) if secret_name.strip_suffix("-kubeconfig") == Some(name) => (name, "value"),
        (_, Some(name)) => (name, "config"),
        _ => return None,
    };
    // Letters, digits and '-' are all that a Secret's name has besides dots.
    if name.is_empty() || name.len() > 63 || name.contains('.') || secret.deletion_timestamp.is_some() {
        return None;
    }
    let copied = labels.iter().filter(|(key, _)| key.starts_with(COPIED));
    let mut labels: BTreeMap<_, _> = copied.map(|(key, value)| (key.clone(), value.clone())).collect();
    labels.insert(label::IMPORTED.to_owned(), "true".to_owned());
    Some(Imported { name: name.to_owned(), secret: secret_name.to_owned(), key, labels })
}

/// What has to be done about the clusters of a namespace.
#[derive(Debug, Default)]
struct Steps<'a> {
    apply: Vec<&'a Imported>,
    /// Imported ones whose Secret is gone.
    end: Vec<&'a ObjectMeta>,
    /// Whether one that is ending has to be gone first.
    again: bool,
}

/// Decides. What was not imported is somebody's own, and is left alone.
fn steps<'a>(wanted: &'a BTreeMap<String, Imported>, there: &'a BTreeMap<String, ObjectMeta>) -> Steps<'a> {
    let is_imported = |cluster: &ObjectMeta| {
        cluster.labels.as_ref().and_then(|labels| labels.get(label::IMPORTED)).is_some_and(|value| value == "true")
    };
    let mut steps = Steps::default();
    for cluster in wanted.values() {
        match there.get(&cluster.name) {
            Some(present) if !is_imported(present) => {}
            Some(present) if present.deletion_timestamp.is_some() => steps.again = true,
            _ => steps.apply.push(cluster),
        }
    }
    let orphans = there.iter().filter(|(name, cluster)| is_imported(cluster) && !wanted.contains_key(*name));
    steps.end = orphans.map(|(_, cluster)| cluster).filter(|cluster| cluster.deletion_timestamp.is_none()).collect();
    steps
}

/// Imports clusters until `shutdown`.
pub async fn import(context: &Context, shutdown: CancellationToken) {
    if context.installation.namespace.is_some() {
        return;
    }
    let mut woken = wakes(context).take_until(shutdown.cancelled_owned()).boxed();
    let (mut asking, mut again) = (Asking::default(), BTreeSet::new());
    loop {
        let namespaces = tokio::select! {
            wake = woken.next() => match wake {
                Some(Wake::Namespaces(event)) => asking.hear(*event),
                Some(Wake::Secret(namespace)) => BTreeSet::from([namespace]),
                None => return,
            },
            () = tokio::time::sleep(AGAIN), if !again.is_empty() => std::mem::take(&mut again),
        };
        for namespace in namespaces.into_iter().filter(|namespace| asking.known.contains(namespace)) {
            match settle(context, &namespace).await {
                Ok(true) => {}
                Ok(false) => drop(again.insert(namespace)),
                Err(halt) => {
                    tracing::warn!(namespace, %halt, "clusters are not imported yet");
                    again.insert(namespace);
                }
            }
        }
    }
}

/// What there is to look at.
enum Wake {
    Namespaces(Box<watcher::Event<PartialObjectMeta<Namespace>>>),
    /// The namespace of a Secret.
    Secret(String),
}

fn wakes(context: &Context) -> impl Stream<Item = Wake> + Send + use<> {
    let namespaces: Api<PartialObjectMeta<Namespace>> = Api::all(context.client.clone());
    let config = watcher::Config::default().labels(&format!("{}=true", label::IMPORT_CLUSTERS));
    let asking = watcher(namespaces, config).default_backoff();
    let asking = asking.filter_map(|event| future::ready(event.ok().map(|event| Wake::Namespaces(Box::new(event)))));
    let secrets = clusters::secrets(context).filter_map(|secret| {
        let secret = secret.ok().filter(|secret| is_of_a_cluster(secret.labels()));
        future::ready(secret.and_then(|secret| secret.namespace()).map(Wake::Secret))
    });
    stream::select(asking, secrets)
}

fn is_of_a_cluster(labels: &BTreeMap<String, String>) -> bool {
    labels.contains_key(CAPI_CLUSTER) || labels.get(VCLUSTER.0).is_some_and(|app| app == VCLUSTER.1)
}

/// The namespaces that ask for imports.
#[derive(Debug, Default)]
struct Asking {
    known: BTreeSet<String>,
    /// Those of a list that has not ended.
    listed: BTreeSet<String>,
}

impl Asking {
    /// Takes a change; which namespaces are to be looked at.
    fn hear(&mut self, event: watcher::Event<PartialObjectMeta<Namespace>>) -> BTreeSet<String> {
        match event {
            watcher::Event::Init => self.listed.clear(),
            watcher::Event::InitApply(namespace) => drop(self.listed.insert(namespace.name_any())),
            watcher::Event::InitDone => {
                self.known = std::mem::take(&mut self.listed);
                return self.known.clone();
            }
            watcher::Event::Apply(namespace) => {
                self.known.insert(namespace.name_any());
                return BTreeSet::from([namespace.name_any()]);
            }
            watcher::Event::Delete(namespace) => drop(self.known.remove(&namespace.name_any())),
        }
        BTreeSet::new()
    }
}

/// Makes the imported clusters of a namespace those that its Secrets are of; whether all is done.
async fn settle(context: &Context, namespace: &str) -> Result<bool, Halt> {
    let secrets = context.api::<Secret>(namespace);
    let selections = [
        ListParams::default().labels(CAPI_CLUSTER).fields(&format!("type={CAPI_TYPE}")),
        ListParams::default().labels(&format!("{}={}", VCLUSTER.0, VCLUSTER.1)),
    ];
    let mut wanted = BTreeMap::new();
    for selection in selections {
        for secret in secrets.list_metadata(&selection).await?.items {
            if let Some(cluster) = cluster_for(&secret.metadata) {
                wanted.entry(cluster.name.clone()).or_insert(cluster);
            }
        }
    }
    let api = context.api::<EphemeralCluster>(namespace);
    let there = api.list_metadata(&ListParams::default()).await?.items;
    let there = there.into_iter().map(|cluster| (cluster.name_any(), cluster.metadata)).collect();
    let steps = steps(&wanted, &there);
    for cluster in steps.apply {
        let params = PatchParams::apply(FIELD_MANAGER).force();
        api.patch(&cluster.name, &params, &Patch::Apply(manifest(cluster))).await?;
        failpoint::after_write("import cluster");
    }
    for cluster in steps.end {
        let preconditions = Preconditions { uid: cluster.uid.clone(), resource_version: None };
        let params = DeleteParams::default().preconditions(preconditions);
        match api.delete(cluster.name.as_deref().unwrap_or_default(), &params).await {
            Ok(_) => failpoint::after_write("end imported cluster"),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(!steps.again)
}

fn manifest(cluster: &Imported) -> Value {
    json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "EphemeralCluster",
        "metadata": {"name": cluster.name, "labels": cluster.labels},
        "spec": {"connection": {"kubeConfig": {"secretRef": {"name": cluster.secret, "key": cluster.key}}}},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(name: &str, labels: Value) -> ObjectMeta {
        serde_json::from_value(json!({"name": name, "namespace": "fleet", "labels": labels})).unwrap()
    }

    fn capi(cluster: &str) -> ObjectMeta {
        let labels = json!({CAPI_CLUSTER: cluster, "orbit.k8or.io/environment": "prod", "team": "shop"});
        secret(&format!("{cluster}-kubeconfig"), labels)
    }

    #[test]
    fn a_kubeconfig_of_cluster_api_or_vcluster_makes_a_cluster() {
        let cluster = cluster_for(&capi("eu-1")).unwrap();
        assert_eq!((&*cluster.name, &*cluster.secret, cluster.key), ("eu-1", "eu-1-kubeconfig", "value"));
        let labels = BTreeMap::from([
            ("orbit.k8or.io/environment".to_owned(), "prod".to_owned()),
            (label::IMPORTED.to_owned(), "true".to_owned()),
        ]);
        assert_eq!(cluster.labels, labels);
        let cluster = cluster_for(&secret("vc-dev", json!({"app": "vcluster"}))).unwrap();
        assert_eq!((&*cluster.name, &*cluster.secret, cluster.key), ("dev", "vc-dev", "config"));
    }

    #[test]
    fn other_secrets_make_none() {
        for other in [
            secret("eu-1-ca", json!({CAPI_CLUSTER: "eu-1"})),
            secret("eu-1-user-kubeconfig", json!({CAPI_CLUSTER: "eu-1"})),
            secret("eu-1-kubeconfig", json!({})),
            secret("vc-dev", json!({"app": "web"})),
            secret("dev", json!({"app": "vcluster"})),
            secret("vc-", json!({"app": "vcluster"})),
            capi("eu.1"),
            capi(&"x".repeat(64)),
            ObjectMeta::default(),
        ] {
            assert_eq!(cluster_for(&other), None, "{other:?}");
        }
        let mut going = capi("eu-1");
        going.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        assert_eq!(cluster_for(&going), None);
    }

    #[test]
    fn only_what_was_imported_goes_with_its_secret() {
        let wanted: BTreeMap<_, _> =
            ["new", "stays", "own", "ending"].map(|name| (name.to_owned(), cluster_for(&capi(name)).unwrap())).into();
        let cluster = |labels: Value, ending: bool| -> ObjectMeta {
            let ends = ending.then_some("2026-01-01T00:00:00Z");
            serde_json::from_value(json!({"labels": labels, "deletionTimestamp": ends})).unwrap()
        };
        let imported = || json!({label::IMPORTED: "true"});
        let there = BTreeMap::from([
            ("stays".to_owned(), cluster(imported(), false)),
            ("own".to_owned(), cluster(json!({}), false)),
            ("ending".to_owned(), cluster(imported(), true)),
            ("orphan".to_owned(), cluster(imported(), false)),
            ("orphan-ending".to_owned(), cluster(imported(), true)),
            ("own-too".to_owned(), cluster(json!({}), false)),
        ]);
        let steps = steps(&wanted, &there);
        let applied: Vec<_> = steps.apply.iter().map(|cluster| cluster.name.as_str()).collect();
        assert_eq!(applied, ["new", "stays"]);
        assert_eq!(steps.end, [&there["orphan"]]);
        assert!(steps.again);
    }

    #[test]
    fn a_namespace_that_asks_no_more_is_left_alone() {
        let namespace = |name: &str| -> PartialObjectMeta<Namespace> {
            serde_json::from_value(json!({"metadata": {"name": name}})).unwrap()
        };
        let mut asking = Asking::default();
        asking.hear(watcher::Event::Init);
        assert!(asking.hear(watcher::Event::InitApply(namespace("fleet"))).is_empty());
        assert_eq!(asking.hear(watcher::Event::InitDone), BTreeSet::from(["fleet".to_owned()]));
        assert_eq!(asking.hear(watcher::Event::Apply(namespace("other"))), BTreeSet::from(["other".to_owned()]));
        assert!(asking.hear(watcher::Event::Delete(namespace("fleet"))).is_empty());
        assert_eq!(asking.known, BTreeSet::from(["other".to_owned()]));
    }
}
