//! The plane's objects in the cluster: applied, waited for, looked at.

use std::fmt::Debug;

use k8s_openapi::api::core::v1::Event;
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
    core::NamespaceResourceScope,
    runtime::wait::await_condition,
};
use orbit_plane::api::{
    Condition, ConditionStatus, Delivery, EnvironmentOverlay, EphemeralCluster, GROUP, HelmChart, ImageUpload, VERSION,
    condition_type,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Plane;

/// Objects that say how they are.
pub trait Conditions {
    /// What is observed, none where there is no status.
    fn conditions(&self) -> &[Condition];
}

macro_rules! conditions {
    ($($kind:ty),*) => {
        $(impl Conditions for $kind {
            fn conditions(&self) -> &[Condition] {
                self.status.as_ref().map_or(&[], |status| &status.conditions)
            }
        })*
    };
}
conditions!(ImageUpload, HelmChart, EnvironmentOverlay, EphemeralCluster, Delivery);

/// The condition of this type that speaks of the object's present generation.
pub fn condition<'a, K: Conditions + Resource>(object: &'a K, of_type: &str) -> Option<&'a Condition> {
    let now = object.meta().generation;
    object.conditions().iter().find(|condition| condition.type_ == of_type && condition.observed_generation == now)
}

/// Any of the plane's kinds.
pub trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Conditions
    + Clone
    + Debug
    + DeserializeOwned
    + serde::Serialize
    + Send
    + Sync
    + 'static
{
}
impl Kind for ImageUpload {}
impl Kind for HelmChart {}
impl Kind for EnvironmentOverlay {}
impl Kind for EphemeralCluster {}
impl Kind for Delivery {}

impl Plane {
    /// The objects of a kind in this plane's namespace.
    pub fn api<K: Kind>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Applies an object as a user does; the API server's answer.
    pub async fn try_apply<K: Kind>(&self, name: &str, spec: Value) -> kube::Result<K> {
        let object = json!({
            "apiVersion": format!("{GROUP}/{VERSION}"),
            "kind": K::kind(&()),
            "metadata": {"name": name},
            "spec": spec,
        });
        let user = self.user.as_ref().unwrap_or(&self.client).clone();
        let api = Api::<K>::namespaced(user, &self.namespace);
        api.patch(name, &PatchParams::apply("test").force(), &Patch::Apply(object)).await
    }

    /// Applies an object that the API server has to take.
    pub async fn apply<K: Kind>(&self, name: &str, spec: Value) -> K {
        self.try_apply(name, spec).await.unwrap_or_else(|error| panic!("applying {} {name}: {error}", K::kind(&())))
    }

    /// Applies an ImageUpload of an image in a registry, its name the application's.
    pub async fn upload(&self, application: &str, version: &str, reference: &str, more: Value) -> ImageUpload {
        self.apply(application, reference_spec(application, version, reference, more)).await
    }

    /// Changes an object by a merge patch.
    pub async fn patch<K: Kind>(&self, name: &str, patch: Value) -> K {
        self.api::<K>().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap()
    }

    /// Waits, by a watch, until the object is as asked.
    pub async fn until<K: Kind>(&self, name: &str, what: &str, is_so: impl Fn(&K) -> bool) -> K {
        let seen = await_condition(self.api::<K>(), name, |object: Option<&K>| object.is_some_and(&is_so));
        match tokio::time::timeout(self.patience, seen).await {
            Ok(object) => object.unwrap().expect("it is there"),
            Err(_) => {
                let now = self.api::<K>().get_opt(name).await.unwrap();
                let shown = serde_yaml::to_string(&now).unwrap();
                panic!("{} {name} in {} never was {what}; it is\n{shown}", K::kind(&()), self.namespace)
            }
        }
    }

    /// Waits until the object is ready as its present spec asks.
    pub async fn until_ready<K: Kind>(&self, name: &str) -> K {
        self.until(name, "ready", |object: &K| {
            condition(object, condition_type::READY).is_some_and(|ready| ready.status == ConditionStatus::True)
        })
        .await
    }

    /// Waits until the object's Ready is not true, for this reason; its message.
    pub async fn until_reason<K: Kind>(&self, name: &str, reason: &str) -> String {
        let object = self.until(name, reason, |object: &K| {
            condition(object, condition_type::READY)
                .is_some_and(|ready| ready.reason == reason && ready.status == ConditionStatus::False)
        });
        condition(&object.await, condition_type::READY).map(|ready| ready.message.clone()).unwrap_or_default()
    }

    /// Waits until the object is stalled for this reason; its message.
    pub async fn until_stalled<K: Kind>(&self, name: &str, reason: &str) -> String {
        let what = format!("stalled by {reason}");
        let is_so = |object: &K| condition(object, condition_type::STALLED).is_some_and(|it| it.reason == reason);
        let object = self.until(name, &what, is_so).await;
        let ready = condition(&object, condition_type::READY).expect("Ready is always there");
        assert_eq!((ready.status, ready.reason.as_str()), (ConditionStatus::False, reason), "{ready:?}");
        condition(&object, condition_type::STALLED).map(|stalled| stalled.message.clone()).unwrap_or_default()
    }

    /// Deletes the object, and waits until it is gone.
    pub async fn delete<K: Kind>(&self, name: &str) {
        self.api::<K>().delete(name, &DeleteParams::default()).await.unwrap();
        self.until_gone::<K>(name).await;
    }

    /// Waits until there is no such object.
    pub async fn until_gone<K: Kind>(&self, name: &str) {
        let gone = await_condition(self.api::<K>(), name, |object: Option<&K>| object.is_none());
        match tokio::time::timeout(self.patience, gone).await {
            Ok(end) => drop(end.unwrap()),
            Err(_) => {
                let now = self.api::<K>().get_opt(name).await.unwrap();
                panic!("{} {name} never went; it is\n{}", K::kind(&()), serde_yaml::to_string(&now).unwrap())
            }
        }
    }

    /// Waits until there is no object of this kind.
    pub async fn until_none<K: Kind>(&self) {
        for name in self.names::<K>().await {
            self.until_gone::<K>(&name).await;
        }
    }

    /// The names of all objects of a kind, sorted.
    pub async fn names<K: Kind>(&self) -> Vec<String> {
        let list = self.api::<K>().list(&ListParams::default()).await.unwrap();
        let mut names: Vec<_> = list.items.iter().map(ResourceExt::name_any).collect();
        names.sort();
        names
    }

    /// Waits until an Event (the cluster's kind) tells of this object for this reason.
    pub async fn until_told_of(&self, name: &str, reason: &str) {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let about = ListParams::default().fields(&format!("involvedObject.name={name}"));
        let told = async {
            let mut watch = std::pin::pin!(kube::runtime::watcher(
                events.clone(),
                kube::runtime::watcher::Config::default().fields(about.field_selector.as_deref().unwrap_or_default()),
            ));
            while let Some(event) = futures::StreamExt::next(&mut watch).await {
                use kube::runtime::watcher::Event as Seen;
                if let Ok(Seen::Apply(event) | Seen::InitApply(event)) = event
                    && event.reason.as_deref() == Some(reason)
                {
                    return;
                }
            }
        };
        if tokio::time::timeout(self.patience, told).await.is_err() {
            let events = events.list(&about).await.unwrap();
            let heard: Vec<_> = events.iter().map(|event| (&event.reason, &event.message)).collect();
            panic!("no event {reason} tells of {name}, but {heard:?}");
        }
    }
}

/// The spec of an ImageUpload of an image in a registry, with further fields.
pub fn reference_spec(application: &str, version: &str, reference: &str, more: Value) -> Value {
    let mut spec = json!({
        "application": application,
        "version": version,
        "images": [{"name": "main", "source": {"reference": {"image": reference}}}],
    });
    let more = more.as_object().cloned().unwrap_or_default();
    spec.as_object_mut().expect("it was made as one").extend(more);
    spec
}
