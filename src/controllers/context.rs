//! What every reconciler works with, and the few ways in which they change the cluster.

use std::{
    collections::HashMap,
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use kube::{
    Api, Client, Resource, ResourceExt,
    api::{
        ApiResource, DeleteParams, DynamicObject, ListParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions,
    },
    core::{DeserializeGuard, NamespaceResourceScope, Status},
    runtime::events::{Event, EventType, Reporter},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use url::Url;

use super::{
    backoff::Backoff, caches::Caches, corrections::Corrections, events::Events, intake::Intakes, metrics::Metrics,
    outcome::Halt, patience::Patience, places::Places, refusals::Refusals, spec_changes::Recorded, written::Written,
};
use crate::{
    api::{FIELD_MANAGER, annotation, reason},
    chart_store::{ChartStore, SpecText},
    cluster_plane::Fleet,
    failpoint,
    image_harbor::{self, ImageHarbor, ingest::Limits},
    overlay::renderer::Renderer,
    release::ApplicationKey,
};

/// The actor of a fact that no change of a spec caused.
pub const PLANE: &str = "orbit-plane";
/// The actor of a fact whose cause nobody stamped: deletions, and clusters without the admission policy.
const UNKNOWN: &str = "unknown";

/// What the installation, not a user, decides.
#[derive(Debug, Clone)]
pub struct Installation {
    /// The namespace whose objects are worked on; none: all.
    pub namespace: Option<String>,
    /// Where clients reach the registry, as in `http://127.0.0.1:8480`.
    pub public_url: Url,
    /// Host (and port) that clusters pull images from; empty when none is set.
    pub registry_host: String,
    /// Secret with which they do, if any.
    pub image_pull_secret: Option<String>,
    /// The Kubernetes version that templates see, without `v`.
    pub kube_version: String,
    /// Whether the API server stamps who changed a spec, so that the stamp can be believed.
    pub stamps_specs: bool,
    /// How many HelmCharts of an ImageUpload stay in the cluster. The Chart Store keeps all.
    pub chart_history: usize,
    /// What an image may make the plane read.
    pub limits: Limits,
}

/// What came of making an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It was made.
    Now,
    /// There was one of its name already.
    Before,
}

/// What every reconciler works with.
pub struct Context {
    /// The cluster.
    pub client: Client,
    /// The bytes.
    pub harbor: Arc<dyn ImageHarbor>,
    /// Releases, charts and the journal.
    pub chart_store: ChartStore,
    /// Helm and Kustomize.
    pub renderer: Arc<Renderer>,
    /// What the installation decides.
    pub installation: Installation,
    /// Who may take an image in.
    pub intakes: Intakes,
    /// What could not be rendered.
    pub refusals: Refusals,
    /// The clusters.
    pub fleet: Fleet,
    /// What the watches have seen.
    pub caches: Caches,
    /// Who may work with which cluster.
    pub places: Places,
    /// Corrections of drift in a row.
    pub corrections: Corrections,
    /// Which statuses were written last.
    pub written: Written,
    /// Waits that are not told of yet.
    pub patience: Patience,
    /// Specs that are in the journal.
    pub recorded: Recorded,
    /// Failures in a row.
    pub backoff: Backoff,
    /// Counters.
    pub metrics: Metrics,
    events: Events,
    applications: ApplicationGates,
}

impl Context {
    /// A context of the controller process that `instance` names (its host, as a rule).
    pub fn new(
        client: Client,
        harbor: Arc<dyn ImageHarbor>,
        chart_store: ChartStore,
        renderer: Arc<Renderer>,
        installation: Installation,
        instance: Option<String>,
    ) -> Self {
        let reporter = Reporter { controller: FIELD_MANAGER.to_owned(), instance };
        let events = Events::new(client.clone(), reporter);
        Self {
            client,
            harbor,
            chart_store,
            renderer,
            intakes: Intakes::default(),
            refusals: Refusals::default(),
            fleet: Fleet::default(),
            caches: Caches::new(installation.namespace.as_deref()),
            installation,
            places: Places::default(),
            corrections: Corrections::default(),
            written: Written::default(),
            patience: Patience::default(),
            recorded: Recorded::default(),
            backoff: Backoff::default(),
            metrics: Metrics::default(),
            events,
            applications: ApplicationGates::default(),
        }
    }

    /// An object is gone, and with it whatever was kept of it in memory.
    pub fn forget(&self, uid: &str) {
        self.refusals.forget(uid);
        self.corrections.forget(uid);
        self.written.forget(uid);
        self.patience.forget(uid);
        self.recorded.forget(uid);
        self.backoff.forget(uid);
        self.places.forget(uid);
    }

    /// Objects of a kind in a namespace.
    pub fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// The objects of a kind in a namespace; those that cannot be read as it are left out.
    pub async fn list<K>(&self, namespace: &str, params: &ListParams) -> Result<Vec<K>, Halt>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
    {
        let found = self.api::<DeserializeGuard<K>>(namespace).list(params).await?;
        Ok(found.items.into_iter().filter_map(|object| object.0.ok()).collect())
    }

    /// Applies an object of which the plane owns exactly what is given.
    pub async fn apply<K>(&self, namespace: &str, name: &str, object: &(impl Serialize + Debug)) -> Result<K, Halt>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
    {
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let applied = self.api::<K>(namespace).patch(name, &params, &Patch::Apply(object)).await?;
        failpoint::after_write("apply object");
        Ok(applied)
    }

    /// Makes an object, unless there is one of its name.
    pub async fn create<K>(&self, object: &K) -> Result<Made, Halt>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Serialize + DeserializeOwned + Debug,
    {
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        match self.api::<K>(&object.namespace().unwrap_or_default()).create(&params, object).await {
            Ok(_) => {
                failpoint::after_write("create object");
                Ok(Made::Now)
            }
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(Made::Before),
            Err(error) => Err(error.into()),
        }
    }

    /// Sets a part of this very object (RFC 6901, as in `/spec`), and nothing else of it. Not of one that took its place.
    pub async fn set<K>(&self, meta: &ObjectMeta, part: &str, value: &impl Serialize) -> Result<(), Halt>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
    {
        let api = self.api::<K>(meta.namespace.as_deref().unwrap_or_default());
        let patch = Patch::Json::<()>(setting(meta.uid.as_deref(), part, &json!(value)));
        let name = meta.name.as_deref().unwrap_or_default();
        match api.patch_metadata(name, &by_the_plane(), &patch).await {
            Ok(_) => {
                failpoint::after_write("set part");
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.is_not_found() || is_another(&status) => {
                let kind = K::kind(&());
                Err(Halt::retry(reason::PROGRESSING, format!("{kind} {name} has gone or is another one by now")))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Applies a status: of this very object, not of a later one of the same name.
    pub async fn apply_status<K>(&self, object: &K, status: &impl Serialize) -> Result<(), kube::Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
    {
        let api = self.api::<K>(&object.namespace().unwrap_or_default());
        self.written.wrote(&set_status(&api, object.meta(), &json!(status)).await?);
        Ok(())
    }

    /// Deletes this very object; that it is gone is no error.
    pub async fn delete<K>(&self, object: &K) -> Result<(), Halt>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        self.delete_by_name::<K>(object.meta()).await
    }

    /// The same of an object of which only the metadata can be read.
    pub async fn delete_by_name<K>(&self, meta: &ObjectMeta) -> Result<(), Halt>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let preconditions = Preconditions { uid: meta.uid.clone(), resource_version: None };
        let params = DeleteParams::default().preconditions(preconditions);
        let resource = ApiResource::erase::<K>(&());
        let namespace = meta.namespace.as_deref().unwrap_or_default();
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &resource);
        match api.delete(meta.name.as_deref().unwrap_or_default(), &params).await {
            Ok(_) => {
                failpoint::after_write("delete object");
                Ok(())
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Tells of an object. Nothing depends on an event, so that it cannot be written is only logged.
    pub async fn publish(&self, object: &impl Resource<DynamicType = ()>, type_: EventType, reason: &str, note: &str) {
        // Nothing can be made in a namespace that is being deleted.
        if object.meta().namespace.as_deref().is_some_and(|namespace| self.caches.is_ending(namespace)) {
            return;
        }
        // The Events API takes notes of up to 1 kB.
        let note = note.char_indices().take_while(|(at, _)| *at < 1000).map(|(_, character)| character).collect();
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(note),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        match self.events.publish(&event, &object.object_ref(&())).await {
            Ok(()) => failpoint::after_write("event"),
            Err(error) => tracing::warn!(%error, reason, "an event could not be published"),
        }
    }

    /// Who last changed the object's spec, in the API server's words.
    pub fn actor(&self, object: &impl ResourceExt) -> String {
        let stamp = object.annotations().get(annotation::CHANGED_BY).filter(|_| self.installation.stamps_specs);
        stamp.cloned().unwrap_or_else(|| UNKNOWN.to_owned())
    }

    /// Who deleted an object is stamped nowhere.
    pub fn deleter(&self) -> String {
        UNKNOWN.to_owned()
    }

    /// A spec as the journal keeps it; one that is too long for an event is stored in the Harbor and linked first.
    pub async fn spec_text(&self, key: &ApplicationKey, spec: &impl Serialize) -> Result<SpecText, Halt> {
        let (spec, long_text) = SpecText::of(spec);
        if let Some(text) = long_text {
            let digest = image_harbor::store_bytes(self.harbor.as_ref(), text).await?;
            self.chart_store.link(key, &[digest]).await?;
        }
        Ok(spec)
    }

    /// Waits until nobody else gives an application blobs or takes them from it.
    ///
    /// A release's links come before its journal entry. Whoever takes links away looks at the journal for what still
    /// needs them, and must not look in between.
    pub async fn alone_with(&self, key: &ApplicationKey) -> tokio::sync::OwnedMutexGuard<()> {
        self.applications.gate(key).lock_owned().await
    }
}

/// Sets the status of this very object. One of the same name that took its place is left alone: a killed plane's last
/// request may arrive after the next one's first, and would tell the new object that all is done.
///
/// The API server compares a UID neither on apply nor on update of a status, so that the patch itself has to.
pub async fn set_status<K>(api: &Api<K>, meta: &ObjectMeta, status: &Value) -> Result<K, kube::Error>
where
    K: Clone + DeserializeOwned + Debug,
{
    let patch = Patch::Json::<()>(setting(meta.uid.as_deref(), "/status", status));
    let written = api.patch_status(meta.name.as_deref().unwrap_or_default(), &by_the_plane(), &patch).await?;
    failpoint::after_write("apply status");
    Ok(written)
}

/// Whether a JSON Patch did not find the object that it expects: it is another one by now. What is wrong with an object has
/// causes.
fn is_another(status: &Status) -> bool {
    status.is_invalid() && status.details.as_ref().is_none_or(|details| details.causes.is_empty())
}

fn by_the_plane() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

/// A JSON Patch (RFC 6902) that sets a part of the object with this UID, and fails on any other.
fn setting(uid: Option<&str>, part: &str, value: &Value) -> json_patch::Patch {
    let operations = json!([
        {"op": "test", "path": "/metadata/uid", "value": uid},
        {"op": "add", "path": part, "value": value},
    ]);
    serde_json::from_value(operations).expect("these are operations of a JSON Patch")
}

/// One gate per application that somebody works on.
#[derive(Debug, Default)]
struct ApplicationGates(Mutex<HashMap<ApplicationKey, Weak<tokio::sync::Mutex<()>>>>);

impl ApplicationGates {
    fn gate(&self, key: &ApplicationKey) -> Arc<tokio::sync::Mutex<()>> {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.get(key).and_then(Weak::upgrade) {
            return gate;
        }
        gates.retain(|_, gate| gate.strong_count() > 0);
        let gate = Arc::default();
        gates.insert(key.clone(), Arc::downgrade(&gate));
        gate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_for_one_object_only() {
        let patch = setting(Some("u"), "/status", &json!({"conditions": []}));
        let mut object = json!({"metadata": {"uid": "u"}});
        json_patch::patch(&mut object, &patch).unwrap();
        assert_eq!(object["status"], json!({"conditions": []}));
        let mut successor = json!({"metadata": {"uid": "v"}});
        assert!(json_patch::patch(&mut successor, &patch).is_err());
        assert_eq!(successor.get("status"), None);
        let mut object = json!({"metadata": {"uid": "u"}, "spec": {"a": 1, "b": {"c": 2, "d": 3}}});
        json_patch::patch(&mut object, &setting(Some("u"), "/spec/b", &json!(4))).unwrap();
        assert_eq!(object["spec"], json!({"a": 1, "b": 4}), "the part as a whole, and nothing beside it");
        json_patch::patch(&mut object, &setting(Some("u"), "/spec", &json!({"e": 5}))).unwrap();
        assert_eq!(object["spec"], json!({"e": 5}));
    }

    #[test]
    fn another_object_is_told_from_one_that_is_invalid() {
        let refused = |details: Value| -> Status {
            let status = json!({"status": "Failure", "code": 422, "reason": "Invalid", "details": details});
            serde_json::from_value(status).unwrap()
        };
        assert!(is_another(&refused(json!(null))) && is_another(&refused(json!({"causes": []}))));
        assert!(!is_another(&refused(json!({"causes": [{"field": "spec.timeout", "message": "too long"}]}))));
        let missing: Status = serde_json::from_value(json!({"status": "Failure", "code": 404})).unwrap();
        assert!(!is_another(&missing));
    }
}
