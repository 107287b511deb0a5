//! Clusters that others make are taken in by themselves, in namespaces that ask for it: each Secret with a kubeconfig that
//! Cluster API or vcluster writes becomes an `EphemeralCluster`.
//!
//! One whose Secret is gone stays for as long as any other that cannot be reached: who made the Secret may be about to make
//! it anew, and what runs in the cluster does not know of it. Once it counts as lost (`spec.lostAfter`), it ends.
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
    Api, Resource, ResourceExt,
    api::{ListParams, ObjectMeta, Patch, PatchParams},
    core::{DeserializeGuard, PartialObjectMeta},
    runtime::{
        WatchStreamExt,
        watcher::{self, watcher},
    },
};
use serde_json::{Value, json};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;

use super::{context::Context, ephemeral_cluster::EphemeralClusterExt, outcome::Halt, watch::told::Told};
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
    /// Imported ones whose Secret is gone, and which count as lost.
    end: Vec<&'a EphemeralCluster>,
    /// Whether one that is ending has to be gone first.
    again: bool,
}

/// Decides. What was not imported is somebody's own, and is left alone.
fn steps<'a>(
    wanted: &'a BTreeMap<String, Imported>,
    there: &'a BTreeMap<String, DeserializeGuard<EphemeralCluster>>,
) -> Steps<'a> {
    let mut steps = Steps::default();
    for cluster in wanted.values() {
        match there.get(&cluster.name) {
            Some(present) if !is_imported(present) => {}
            Some(present) if present.meta().deletion_timestamp.is_some() => steps.again = true,
            Some(present) if is_as_wanted(present, cluster) => {}
            _ => steps.apply.push(cluster),
        }
    }
    let orphans = there.iter().filter(|(name, cluster)| is_imported(*cluster) && !wanted.contains_key(*name));
    // Whether one that cannot be read is lost is not known.
    let lost = orphans.filter_map(|(_, cluster)| cluster.0.as_ref().ok()).filter(|cluster| cluster.is_lost());
    steps.end = lost.filter(|cluster| cluster.metadata.deletion_timestamp.is_none()).collect();
    steps
}

/// Whether an imported cluster says what its Secret says, and no label that the Secret may have had before.
fn is_as_wanted(present: &DeserializeGuard<EphemeralCluster>, wanted: &Imported) -> bool {
    let copied: BTreeMap<_, _> = present
        .labels()
        .iter()
        .filter(|(key, _)| wanted.labels.contains_key(*key) || key.starts_with(COPIED))
        .collect();
    let reads = present.0.as_ref().is_ok_and(|present| {
        let reference = &present.spec.connection.kube_config.secret_ref;
        reference.name == wanted.secret && reference.key.as_deref() == Some(wanted.key)
    });
    reads && copied == wanted.labels.iter().collect()
}

/// Whether a cluster's object was imported, and is not somebody's own.
pub fn is_imported(cluster: &impl ResourceExt) -> bool {
    cluster.labels().get(label::IMPORTED).is_some_and(|value| value == "true")
}

/// Secrets that come, change and go.
type Secrets = UnboundedReceiverStream<Told<PartialObjectMeta<Secret>>>;

/// Imports clusters until `shutdown`.
pub async fn import(context: &Context, secrets: Secrets, shutdown: CancellationToken) {
    if context.installation.namespace.is_some() {
        return;
    }
    let mut woken = wakes(context, secrets).take_until(shutdown.cancelled_owned()).boxed();
    let (mut asking, mut again) = (Asking::default(), BTreeSet::new());
    loop {
        let namespaces = tokio::select! {
            wake = woken.next() => match wake {
                Some(Wake::Namespaces(event)) => asking.hear(*event),
                Some(Wake::Namespace(namespace)) => BTreeSet::from([namespace]),
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
    /// That of a Secret that changed, or of an imported cluster that counts as lost.
    Namespace(String),
}

fn wakes(context: &Context, secrets: Secrets) -> impl Stream<Item = Wake> + Send + use<> {
    let namespaces: Api<PartialObjectMeta<Namespace>> = Api::all(context.client.clone());
    let config = watcher::Config::default().labels(&format!("{}=true", label::IMPORT_CLUSTERS));
    let asking = watcher(namespaces, config).default_backoff();
    let asking = asking.filter_map(|event| future::ready(event.ok().map(|event| Wake::Namespaces(Box::new(event)))));
    let secrets = secrets.filter_map(|told| {
        let secret = Some(told.object).filter(|secret| is_of_a_cluster(secret.labels()));
        future::ready(secret.and_then(|secret| secret.namespace()).map(Wake::Namespace))
    });
    let clusters: Api<DeserializeGuard<EphemeralCluster>> = Api::all(context.client.clone());
    let config = watcher::Config::default().labels(&format!("{}=true", label::IMPORTED));
    let lost = watcher(clusters, config).default_backoff().touched_objects().filter_map(|cluster| {
        let cluster = cluster.ok().and_then(|cluster| cluster.0.ok()).filter(EphemeralClusterExt::is_lost);
        future::ready(cluster.and_then(|cluster| cluster.namespace()).map(Wake::Namespace))
    });
    stream::select(asking, stream::select(secrets, lost))
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
    let api = context.api::<DeserializeGuard<EphemeralCluster>>(namespace);
    let there = api.list(&ListParams::default()).await?.items;
    let there = there.into_iter().map(|cluster| (cluster.name_any(), cluster)).collect();
    let steps = steps(&wanted, &there);
    for cluster in steps.apply {
        let params = PatchParams::apply(FIELD_MANAGER).force();
        api.patch(&cluster.name, &params, &Patch::Apply(manifest(cluster))).await?;
        failpoint::after_write("import cluster");
    }
    for cluster in steps.end {
        context.delete(cluster).await?;
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
    use crate::api::reason;

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
    fn a_cluster_that_is_as_its_secret_says_is_left_as_it_is() {
        let wanted = cluster_for(&capi("eu-1")).unwrap();
        let is_left = |change: fn(&mut Value)| {
            let mut object = manifest(&wanted);
            change(&mut object);
            is_as_wanted(&serde_json::from_value(object).unwrap(), &wanted)
        };
        assert!(is_left(|_| {}) && is_left(|it| it["metadata"]["labels"]["team"] = json!("shop")));
        assert!(!is_left(|it| it["metadata"]["labels"]["orbit.k8or.io/environment"] = json!("dev")));
        assert!(!is_left(|it| it["metadata"]["labels"]["orbit.k8or.io/region"] = json!("eu")), "the Secret's is gone");
        assert!(!is_left(|it| it["spec"]["connection"]["kubeConfig"]["secretRef"]["name"] = json!("other")));
    }

    fn cluster(name: &str, is_imported: bool, is_ending: bool, is_lost: bool) -> DeserializeGuard<EphemeralCluster> {
        let reachable = json!([{
            "type": "Reachable", "status": if is_lost { "False" } else { "True" }, "message": "",
            "reason": if is_lost { reason::LOST } else { reason::SUCCEEDED },
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }]);
        let labels = if is_imported { json!({label::IMPORTED: "true"}) } else { json!({}) };
        let ends = is_ending.then_some("2026-01-01T00:00:00Z");
        let mut object = manifest(&cluster_for(&capi(name)).unwrap());
        object["metadata"] = json!({"name": name, "labels": labels, "deletionTimestamp": ends});
        object["status"] = json!({"conditions": reachable});
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn only_what_was_imported_ends_and_only_once_it_is_lost_without_its_secret() {
        let wanted: BTreeMap<_, _> = ["new", "stays", "silent", "own", "ending"]
            .map(|name| (name.to_owned(), cluster_for(&capi(name)).unwrap()))
            .into();
        let there: BTreeMap<_, _> = [
            ("stays", true, false, false),
            ("silent", true, false, true),
            ("own", false, false, false),
            ("ending", true, true, true),
            ("orphan", true, false, true),
            ("orphan-for-a-moment", true, false, false),
            ("orphan-ending", true, true, true),
            ("own-too", false, false, true),
        ]
        .map(|(name, is_imported, is_ending, is_lost)| {
            (name.to_owned(), cluster(name, is_imported, is_ending, is_lost))
        })
        .into();
        let steps = steps(&wanted, &there);
        let applied: Vec<_> = steps.apply.iter().map(|cluster| cluster.name.as_str()).collect();
        assert_eq!(applied, ["new", "silent", "stays"]);
        let ended: Vec<_> = steps.end.iter().map(|cluster| cluster.name_any()).collect();
        assert_eq!(ended, ["orphan"]);
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
