//! What others have in a cluster, by kind and namespace: asked for once, where each of a crowd of deliveries would ask for
//! each of its objects.
//!
//! It says before anything is changed what may not be had. That nothing of others is changed does not rest on it: what is
//! taken for new is applied so that it is refused where there is something by then (`apply`).

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use kube::{
    Api, ResourceExt,
    api::{DynamicObject, ListParams},
};

use super::objects::ObjectId;
use crate::api::label;

/// How long it is believed.
const MOMENT: Duration = Duration::from_secs(5);
/// Where others have more than this, each object is asked for by itself.
const FEW: u32 = 100;

/// What was found out about the objects of a kind in a namespace.
#[derive(Debug)]
struct Found {
    at: Instant,
    /// Their names; none where they are many, or may not be listed.
    names: Option<HashSet<String>>,
}

impl Found {
    fn is_recent(&self) -> bool {
        self.at.elapsed() < MOMENT
    }
}

/// Locked by whoever asks; the others wait for what he finds.
type Asked = Arc<tokio::sync::Mutex<Option<Found>>>;

/// A group, a kind and a namespace.
type Scope = [String; 3];

fn scope(id: &ObjectId) -> Scope {
    [&id.group, &id.kind, &id.namespace].map(Clone::clone)
}

/// What others have in one cluster.
#[derive(Debug, Default)]
pub struct Strangers(Mutex<HashMap<Scope, Asked>>);

impl Strangers {
    /// Whether there may be an object of this name that is none of this plane's.
    pub async fn may_have(&self, id: &ObjectId, api: &Api<DynamicObject>, plane: &str) -> Result<bool, kube::Error> {
        let asked = self.asked(scope(id));
        let mut found = asked.lock().await;
        if !found.as_ref().is_some_and(Found::is_recent) {
            let at = Instant::now();
            *found = Some(Found { names: few(api, plane).await?, at });
        }
        let names = found.as_ref().and_then(|found| found.names.as_ref());
        Ok(names.is_none_or(|names| names.contains(&id.name)))
    }

    /// There is something of this kind that was not found.
    pub fn forget(&self, id: &ObjectId) {
        self.lock().remove(&scope(id));
    }

    fn asked(&self, scope: Scope) -> Asked {
        let mut scopes = self.lock();
        let is_recent =
            |asked: &Asked| asked.try_lock().is_ok_and(|found| found.as_ref().is_some_and(Found::is_recent));
        // What somebody asks for right now stays, too.
        scopes.retain(|_, asked| Arc::strong_count(asked) > 1 || is_recent(asked));
        scopes.entry(scope).or_default().clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Scope, Asked>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The names of what others have, if these are few.
async fn few(api: &Api<DynamicObject>, plane: &str) -> Result<Option<HashSet<String>>, kube::Error> {
    let of_others = ListParams::default().labels(&format!("{}!={plane}", label::PLANE)).limit(FEW);
    match api.list_metadata(&of_others).await {
        Ok(list) if list.metadata.continue_.as_ref().is_none_or(String::is_empty) => {
            Ok(Some(list.items.iter().map(ResourceExt::name_any).collect()))
        }
        Ok(_) => Ok(None),
        // Some kinds cannot be listed so, nor by everybody. What else may be wrong, those who look at each will see.
        Err(kube::Error::Api(status)) if !matches!(status.code, 401 | 429) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::http::{Request, Response};
    use kube::{Client, api::ApiResource, client::Body, core::GroupVersionKind};
    use serde_json::{Value, json};

    use super::*;

    /// ConfigMaps as an API server lists those of others, and how often it was asked.
    fn config_maps(list: Value) -> (Api<DynamicObject>, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = asked.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            counter.fetch_add(1, Ordering::Relaxed);
            let query = request.uri().query().unwrap_or_default();
            assert!(
                query.contains("labelSelector=orbit.k8or.io%2Fplane%21%3Dorbit") && query.contains("limit=100"),
                "{query}"
            );
            let (code, body) = (if list["kind"] == "Status" { 403 } else { 200 }, list.to_string());
            async move {
                let answer = Response::builder().status(code).body(Body::from(body.into_bytes()));
                Ok::<_, std::convert::Infallible>(answer.unwrap())
            }
        });
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "ConfigMap"));
        (Api::namespaced_with(Client::new(service, "default"), "shop", &resource), asked)
    }

    fn list(next: &str) -> Value {
        json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList",
            "metadata": {"resourceVersion": "7", "continue": next},
            "items": [{
                "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
                "metadata": {"name": "theirs", "namespace": "shop"},
            }],
        })
    }

    fn config_map(name: &str) -> ObjectId {
        ObjectId { group: String::new(), kind: "ConfigMap".into(), namespace: "shop".into(), name: name.into() }
    }

    #[tokio::test]
    async fn a_crowd_asks_once() {
        let (api, asked) = config_maps(list(""));
        let strangers = Strangers::default();
        let crowd = (0..50).map(|number| config_map(&format!("web-{number}"))).chain([config_map("theirs")]);
        let crowd: Vec<_> = crowd.collect();
        let may_have = futures::future::try_join_all(crowd.iter().map(|id| strangers.may_have(id, &api, "orbit")));
        let may_have = may_have.await.unwrap();
        assert_eq!((may_have.iter().filter(|may| **may).count(), may_have.last()), (1, Some(&true)));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn where_others_have_much_or_may_not_be_listed_each_is_looked_at() {
        let forbidden = json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "message": "no", "reason": "Forbidden", "code": 403});
        for answer in [list("more"), forbidden] {
            let (api, _) = config_maps(answer);
            assert!(Strangers::default().may_have(&config_map("web"), &api, "orbit").await.unwrap());
        }
    }

    #[tokio::test]
    async fn what_was_found_long_ago_is_forgotten() {
        let (api, asked) = config_maps(list(""));
        let strangers = Strangers::default();
        strangers.may_have(&config_map("web"), &api, "orbit").await.unwrap();
        let long_ago = Instant::now().checked_sub(MOMENT).expect("the machine runs for longer");
        for asked in strangers.lock().values() {
            asked.try_lock().unwrap().as_mut().unwrap().at = long_ago;
        }
        strangers.may_have(&config_map("web"), &api, "orbit").await.unwrap();
        assert_eq!((asked.load(Ordering::Relaxed), strangers.lock().len()), (2, 1));
        strangers.forget(&config_map("another"));
        strangers.may_have(&config_map("web"), &api, "orbit").await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }
}
