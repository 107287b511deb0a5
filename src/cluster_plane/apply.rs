//! Applies a delivery's objects to its cluster.
//!
//! Everything that can be found out is found out before anything is changed: kinds that the cluster does not know,
//! objects that belong to somebody else. Then stage by stage in Helm's order, by server-side apply, which changes nothing
//! where nothing is to be changed. What was not there when that was found out is applied so that it is refused where it
//! is by then.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api,
    api::{DeleteParams, DynamicObject, ObjectMeta, Patch, PatchParams, Preconditions},
    core::GroupVersionKind,
    runtime::{conditions, wait::await_condition},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    cluster::Cluster,
    inventory::Held,
    kinds::KindError,
    objects::{DesiredObject, ObjectId},
    observed::Watched,
    order,
    ownership::{Owner, Ownership, fingerprint},
    provisions::Provision,
    prune,
    remote_error::{self, ApplyFailure, FailureKind},
    strangers::Strangers,
};
use crate::{
    api::{FIELD_MANAGER, label},
    failpoint,
};

/// How long one request may take: webhooks are asked within it, ten seconds each by default.
const REQUEST: Duration = Duration::from_secs(30);
/// How long a CustomResourceDefinition may take to be served, and an object to be gone that is made anew.
const SETTLES_WITHIN: Duration = Duration::from_secs(30);
/// A version that no object has: the first change that a store counts is none of an object's. An apply that names it is
/// refused where the object is there (Kubernetes API conventions, "Concurrency Control and Consistency"); that it makes
/// one where there is none is what API servers do, though nothing promises it.
const NONE_YET: &str = "1";
/// Requests of one delivery at a time.
pub(super) const AT_ONCE: usize = 8;

/// Objects with what the plane owns of each once it is applied.
pub type Applied = BTreeMap<ObjectId, Held>;

/// Objects that are known to be appliable as far as that can be known.
#[derive(Debug)]
pub struct Plan {
    ownership: Ownership,
    stages: Vec<order::Stage<Planned>>,
}

#[derive(Debug, Clone)]
struct Planned {
    id: ObjectId,
    gvk: GroupVersionKind,
    object: DynamicObject,
    /// None where its kind comes with this very delivery.
    api: Option<Api<DynamicObject>>,
    /// Whether there was none of it when that was looked at.
    is_new: bool,
}

impl Plan {
    /// Looks whether the objects can be applied for a delivery. Those in `known` are the delivery's for sure; objects
    /// without a namespace go to `namespace`.
    pub async fn make(
        cluster: &Cluster,
        ownership: &Ownership,
        objects: Vec<DesiredObject>,
        namespace: &str,
        known: &BTreeSet<ObjectId>,
    ) -> Result<Self, ApplyFailure> {
        let own_kinds: BTreeMap<_, _> = objects.iter().filter_map(|object| defined_kind(&object.value)).collect();
        let mut planned = Vec::with_capacity(objects.len());
        let mut unknown = Vec::new();
        for desired in objects {
            let gvk = desired.gvk();
            let (resource, namespaced) = match cluster.kind(&gvk).await {
                Ok(kind) => (Some(kind.resource), kind.namespaced),
                Err(error @ KindError::Unknown { .. }) => {
                    match own_kinds.get(&(gvk.group.clone(), gvk.kind.clone())) {
                        Some(namespaced) => (None, *namespaced),
                        // Whoever has to install one would rather know of all.
                        None => {
                            unknown.push((desired.id, error));
                            continue;
                        }
                    }
                }
                Err(error) => return Err(ApplyFailure::of_object(&error, &desired.id)),
            };
            let DesiredObject { mut id, value, .. } = desired;
            let mut object: DynamicObject =
                serde_json::from_value(value).map_err(|error| ApplyFailure::malformed(&id, &error))?;
            match namespaced {
                true if id.namespace.is_empty() => id.namespace = namespace.to_owned(),
                true => {}
                false => id.namespace.clear(),
            }
            object.metadata.namespace = (!id.namespace.is_empty()).then(|| id.namespace.clone());
            ownership.mark(&mut object);
            let is_new = !known.contains(&id);
            let api = resource.map(|resource| cluster.objects(&resource, &id));
            planned.push(Planned { id, gvk, object, api, is_new });
        }
        if !unknown.is_empty() {
            return Err(ApplyFailure::of_unknown_kinds(&unknown));
        }
        check_owners(cluster, ownership, &mut planned).await?;
        Ok(Self { ownership: ownership.clone(), stages: order::install(planned, |planned| &planned.id) })
    }

    /// What there will be.
    pub fn objects(&self) -> Applied {
        let planned = self.stages.iter().flat_map(|stage| &stage.objects);
        planned.map(|it| (it.id.clone(), Held { version: it.gvk.version.clone(), fingerprint: None })).collect()
    }

    /// The part of it that is named.
    pub fn only(mut self, ids: &BTreeSet<ObjectId>) -> Self {
        for stage in &mut self.stages {
            stage.objects.retain(|planned| ids.contains(&planned.id));
        }
        self
    }

    /// Makes sure that a namespace is there before anything else is, also where it is one of the objects.
    pub async fn provide_namespace(&mut self, cluster: &Cluster, name: &str) -> Result<(), ApplyFailure> {
        let mut all = self.stages.iter_mut().flat_map(|stage| &mut stage.objects);
        match all.find(|planned| order::is_namespace(&planned.id) && planned.id.name == name) {
            Some(brought) => {
                apply(cluster, &self.ownership, brought.clone(), false).await?;
                brought.is_new = false;
                Ok(())
            }
            None => provide_namespace(cluster, name).await,
        }
    }

    /// Applies it all; what comes first is there before what comes after. With `force`, what cannot be changed is deleted
    /// and made anew.
    pub async fn apply(self, cluster: &Cluster, force: bool) -> Result<Applied, ApplyFailure> {
        self.provide_namespaces(cluster).await?;
        let mut applied = Applied::new();
        for stage in self.stages {
            let definitions = stage.objects.iter().map(|planned| &planned.id).filter(|id| order::is_definition(id));
            let definitions: Vec<_> = definitions.cloned().collect();
            let changes = stage.objects.into_iter().map(|planned| apply(cluster, &self.ownership, planned, force));
            applied.extend(stream::iter(changes).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?);
            for definition in definitions {
                await_established(cluster, &definition).await?;
            }
        }
        Ok(applied)
    }

    /// Makes the namespaces that the objects go to, unless they are there or among them. They stay when all else goes.
    async fn provide_namespaces(&self, cluster: &Cluster) -> Result<(), ApplyFailure> {
        let all = || self.stages.iter().flat_map(|stage| &stage.objects).map(|planned| &planned.id);
        let wanted: BTreeSet<_> = all().map(|id| id.namespace.as_str()).filter(|name| !name.is_empty()).collect();
        let brought: BTreeSet<_> = all().filter(|id| order::is_namespace(id)).map(|id| id.name.as_str()).collect();
        for name in wanted.difference(&brought) {
            provide_namespace(cluster, name).await?;
        }
        Ok(())
    }
}

/// Makes a namespace unless it is there.
pub async fn provide_namespace(cluster: &Cluster, name: &str) -> Result<(), ApplyFailure> {
    let id =
        ObjectId { group: String::new(), kind: "Namespace".into(), namespace: String::new(), name: name.to_owned() };
    let provision = Provision::Namespace(name.to_owned());
    if cluster.provisions().has(&provision) {
        return Ok(());
    }
    let api: Api<Namespace> = Api::all(cluster.client());
    if bounded(&id, api.get_metadata_opt(name)).await?.is_some() {
        cluster.provisions().saw(provision);
        return Ok(());
    }
    let namespace = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {label::MANAGED_BY: FIELD_MANAGER}},
    });
    bounded(&id, api.patch(name, &PatchParams::apply(FIELD_MANAGER), &Patch::Apply(&namespace))).await?;
    failpoint::after_write("apply to cluster");
    Ok(())
}

/// Nothing that is there already may be somebody else's.
async fn check_owners(cluster: &Cluster, ownership: &Ownership, planned: &mut [Planned]) -> Result<(), ApplyFailure> {
    let checks: Vec<_> = planned.iter_mut().filter(|it| it.is_new).map(|it| look_for(cluster, ownership, it)).collect();
    stream::iter(checks).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    Ok(())
}

/// Looks for an object where it may be there: the watch has seen it, or does not see all of its kind yet; or others may
/// have it.
async fn look_for(cluster: &Cluster, ownership: &Ownership, planned: &mut Planned) -> Result<(), ApplyFailure> {
    // What is of a kind that is not there cannot be there either.
    let Some(api) = &planned.api else { return Ok(()) };
    let id = &planned.id;
    let observed = cluster.observed();
    if !observed.sees_all(&Watched::of(id))
        || observed.object(id).is_some()
        || bounded(id, cluster.strangers().may_have(id, api, ownership.plane())).await?
    {
        planned.is_new = own(ownership, api, id).await?.is_none();
    }
    Ok(())
}

/// The metadata of an object that is there; that it is not the delivery's is a failure.
async fn own(
    ownership: &Ownership,
    api: &Api<DynamicObject>,
    id: &ObjectId,
) -> Result<Option<ObjectMeta>, ApplyFailure> {
    let Some(there) = bounded(id, api.get_metadata_opt(&id.name)).await? else { return Ok(None) };
    match ownership.of(&there.metadata) {
        Owner::Ours => Ok(Some(there.metadata)),
        Owner::OtherDelivery(other) => Err(ApplyFailure::claimed(id, &other)),
        Owner::Foreign(managers) => Err(ApplyFailure::foreign(id, &managers)),
    }
}

async fn apply(
    cluster: &Cluster,
    ownership: &Ownership,
    planned: Planned,
    force: bool,
) -> Result<(ObjectId, Held), ApplyFailure> {
    let Planned { id, gvk, object, api, is_new } = planned;
    let api = match api {
        Some(api) => api,
        None => cluster
            .objects(&cluster.kind(&gvk).await.map_err(|error| ApplyFailure::of_object(&error, &id))?.resource, &id),
    };
    let result = match is_new {
        true => make(cluster.strangers(), ownership, &api, &id, &object).await,
        false => patch(&api, &id, &object).await,
    };
    let result = match result {
        Err(failure) if failure.kind == FailureKind::ImmutableField && force && !prune::holds_data(&id) => {
            remove(ownership, &api, &id).await?;
            make(cluster.strangers(), ownership, &api, &id, &object).await
        }
        result => result,
    };
    let there = result?;
    cluster.observed().applied(id.clone(), &gvk, &there);
    Ok((id, Held { version: gvk.version, fingerprint: fingerprint(&there.metadata) }))
}

/// Applies an object that is not there as far as is known. One that is there after all is changed only if it is ours: what
/// a plane that was killed has left.
async fn make(
    strangers: &Strangers,
    ownership: &Ownership,
    api: &Api<DynamicObject>,
    id: &ObjectId,
    object: &DynamicObject,
) -> Result<DynamicObject, ApplyFailure> {
    let mut object = object.clone();
    object.metadata.resource_version = Some(NONE_YET.to_owned());
    match patch(api, id, &object).await {
        Err(failure) if failure.kind == FailureKind::ObjectChanged => {
            strangers.forget(id);
            // One that has gone meanwhile is still to be made, and not to be taken over.
            if let Some(ours) = own(ownership, api, id).await? {
                object.metadata.resource_version = None;
                object.metadata.uid = ours.uid;
            }
            patch(api, id, &object).await
        }
        result => result,
    }
}

async fn patch(api: &Api<DynamicObject>, id: &ObjectId, object: &DynamicObject) -> Result<DynamicObject, ApplyFailure> {
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let applied = bounded(id, api.patch(&id.name, &params, &Patch::Apply(object))).await?;
    failpoint::after_write("apply to cluster");
    Ok(applied)
}

/// Deletes an object of ours and waits until it is gone.
async fn remove(ownership: &Ownership, api: &Api<DynamicObject>, id: &ObjectId) -> Result<(), ApplyFailure> {
    let Some(there) = own(ownership, api, id).await? else { return Ok(()) };
    let uid = there.uid.unwrap_or_default();
    delete(api, id, Some(uid.clone())).await?;
    let gone = await_condition(api.clone(), &id.name, conditions::is_deleted(&uid));
    match timeout(SETTLES_WITHIN, gone).await {
        Ok(Ok(_)) => Ok(()),
        _ => Err(ApplyFailure::not_gone(id)),
    }
}

async fn await_established(cluster: &Cluster, id: &ObjectId) -> Result<(), ApplyFailure> {
    let api: Api<CustomResourceDefinition> = Api::all(cluster.client());
    let established = await_condition(api, &id.name, conditions::is_crd_established());
    match timeout(SETTLES_WITHIN, established).await {
        Ok(Ok(_)) => Ok(()),
        _ => Err(ApplyFailure::not_established(id)),
    }
}

/// Deletes this very object; that it is gone, or is another one by now, is no failure.
pub(super) async fn delete(api: &Api<DynamicObject>, id: &ObjectId, uid: Option<String>) -> Result<(), ApplyFailure> {
    let params = DeleteParams::background().preconditions(Preconditions { uid, resource_version: None });
    let deleted = async {
        match api.delete(&id.name, &params).await {
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(false),
            deleted => deleted.map(|_| true),
        }
    };
    if bounded(id, deleted).await? {
        failpoint::after_write("delete from cluster");
    }
    Ok(())
}

/// A request, for as long as one may take.
pub(super) async fn bounded<T>(
    id: &ObjectId,
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, ApplyFailure> {
    match timeout(REQUEST, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(remote_error::explain(&error, id)),
        Err(_) => Err(ApplyFailure::too_slow(id, REQUEST)),
    }
}

/// The kind that a CustomResourceDefinition defines, by group and name, and whether its objects are in namespaces.
fn defined_kind(object: &Value) -> Option<((String, String), bool)> {
    let text = |pointer: &str| object.pointer(pointer)?.as_str();
    if text("/kind") != Some("CustomResourceDefinition") || !text("/apiVersion")?.starts_with("apiextensions.k8s.io/") {
        return None;
    }
    let kind = (text("/spec/group")?.to_owned(), text("/spec/names/kind")?.to_owned());
    Some((kind, text("/spec/scope") == Some("Namespaced")))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::http::{Request, Response};
    use http_body_util::BodyExt;
    use kube::{Client, api::ApiResource, client::Body};

    use super::*;
    use crate::cluster_plane::DeliveryKey;

    /// Makes a ConfigMap where an API server gives these answers, one after the other; what came of it, and what the server
    /// was asked: the method, and of what was to be applied UID and resource version.
    async fn making(answers: Vec<(u16, Value)>) -> (Result<DynamicObject, ApplyFailure>, Vec<String>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answers, seen) = (Arc::new(Mutex::new(answers.into_iter())), asked.clone());
        let service = tower::service_fn(move |request: Request<Body>| {
            let (answers, seen) = (answers.clone(), seen.clone());
            async move {
                let method = request.method().clone();
                let body = request.into_body().collect().await.unwrap().to_bytes();
                let meta = serde_json::from_slice::<Value>(&body).unwrap_or_default()["metadata"].clone();
                let text =
                    |field: &str| meta[field].as_str().map(|text| format!(" {field}={text}")).unwrap_or_default();
                seen.lock().unwrap().push(format!("{method}{}{}", text("uid"), text("resourceVersion")));
                let (code, answer) = answers.lock().unwrap().next().expect("it is asked no more often");
                let answer = Body::from(answer.to_string().into_bytes());
                Ok::<_, std::convert::Infallible>(Response::builder().status(code).body(answer).unwrap())
            }
        });
        let key = DeliveryKey { namespace: "shop".into(), name: "web.prod.fleet.eu-1".into() };
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "ConfigMap"));
        let id =
            ObjectId { group: String::new(), kind: "ConfigMap".into(), namespace: "shop".into(), name: "web".into() };
        let api = Api::namespaced_with(Client::new(service, "default"), "shop", &resource);
        let (strangers, ownership) = (Strangers::default(), Ownership::new("orbit", key));
        let made = make(&strangers, &ownership, &api, &id, &DynamicObject::new("web", &resource)).await;
        let asked = asked.lock().unwrap().clone();
        (made, asked)
    }

    fn status(code: u16, reason: &str) -> (u16, Value) {
        let status = json!({
            "apiVersion": "v1", "kind": "Status", "status": "Failure", "message": reason, "reason": reason, "code": code,
        });
        (code, status)
    }

    fn there(labels: Value) -> (u16, Value) {
        let metadata = json!({"name": "web", "namespace": "shop", "uid": "u", "labels": labels});
        (200, json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}))
    }

    fn ours() -> (u16, Value) {
        let key = DeliveryKey { namespace: "shop".into(), name: "web.prod.fleet.eu-1".into() };
        there(json!({label::PLANE: "orbit", label::DELIVERY: key.label()}))
    }

    const FIRST: &str = "PATCH resourceVersion=1";

    #[tokio::test]
    async fn what_is_new_is_made() {
        let (made, asked) = making(vec![ours()]).await;
        assert!(made.is_ok());
        assert_eq!(asked, [FIRST]);
    }

    #[tokio::test]
    async fn what_is_there_after_all_is_changed_only_if_it_is_ours() {
        let (made, asked) = making(vec![status(409, "Conflict"), ours(), ours()]).await;
        assert!(made.is_ok());
        assert_eq!(asked, [FIRST, "GET", "PATCH uid=u"]);
        let (made, asked) = making(vec![status(409, "Conflict"), there(json!({}))]).await;
        assert_eq!(made.unwrap_err().kind, FailureKind::NotOwned);
        assert_eq!(asked, [FIRST, "GET"]);
    }

    #[tokio::test]
    async fn what_has_gone_meanwhile_is_made_and_not_taken_over() {
        let (made, asked) =
            making(vec![status(409, "Conflict"), status(404, "NotFound"), status(409, "Conflict")]).await;
        assert_eq!(made.unwrap_err().kind, FailureKind::ObjectChanged);
        assert_eq!(asked, [FIRST, "GET", FIRST]);
    }
}
