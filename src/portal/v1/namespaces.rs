//! Where one may see anything.

use axum::{Json, extract::State};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, ResourceExt, api::ListParams};
use schemars::JsonSchema;
use serde::Serialize;

use crate::portal::{Portal, access::Right, problem::Problem, turns::Turn, visitor::Visitor};

/// Questions to the API server at a time.
const AT_ONCE: usize = 16;

/// Namespaces.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Namespaces {
    /// In the order of their names.
    items: Vec<NamespaceName>,
}

impl Namespaces {
    fn of(names: Vec<String>) -> Self {
        Self { items: names.into_iter().map(|name| NamespaceName { name }).collect() }
    }
}

/// A namespace.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NamespaceName {
    /// Its name.
    name: String,
}

/// `GET /namespaces`
pub async fn list(
    State(portal): State<Portal>,
    Visitor(session): Visitor,
    _turn: Turn,
) -> Result<Json<Namespaces>, Problem> {
    if let Some(known) = portal.namespaces().get(&session.fingerprint) {
        return Ok(Json(Namespaces::of(known)));
    }
    let candidates = match portal.namespace() {
        Some(namespace) => vec![namespace.to_owned()],
        None => {
            let api = Api::<Namespace>::all(portal.plane().clone());
            // It is the plane that asks: what the API server says to that is nothing about the user.
            let listed = api.list_metadata(&ListParams::default()).await.map_err(|error| {
                tracing::warn!("the namespaces could not be listed: {error}");
                Problem::unavailable("the plane could not list the namespaces: try again in a moment")
            })?;
            listed.iter().map(ResourceExt::name_any).collect()
        }
    };
    let everywhere = portal.access().allows(&session, Right::ListUploads, "").await?;
    let (access, session) = (portal.access(), &session);
    let asked = stream::iter(candidates).map(|namespace| async move {
        let allowed = everywhere || access.allows(session, Right::ListUploads, &namespace).await?;
        Ok::<_, Problem>(allowed.then_some(namespace))
    });
    let answers: Vec<Option<String>> = asked.buffer_unordered(AT_ONCE).try_collect().await?;
    let mut allowed: Vec<String> = answers.into_iter().flatten().collect();
    allowed.sort();
    portal.namespaces().keep(session.fingerprint, allowed.clone());
    Ok(Json(Namespaces::of(allowed)))
}
