//! One handler per question.

use axum::{
    Json,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
};
use serde::Deserialize;

use super::problem::Problem;
use crate::{
    digest::Digest,
    release::ApplicationKey,
    viewport::{
        Clusters, Deployment, Environment, Holder, Lifecycle, MAX_LIMIT, Page, PageRequest, Place, Upload, Viewport,
    },
};

type Answer<T> = Result<Json<T>, Problem>;
type Named<T> = Result<Path<T>, PathRejection>;
type Asked = Result<Query<Parameters>, QueryRejection>;

/// What may stand after the question mark.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    limit: Option<u32>,
    #[serde(rename = "continue")]
    after: Option<String>,
    version: Option<String>,
    user: Option<String>,
    uid: Option<String>,
    #[serde(default)]
    ever: bool,
}

impl Parameters {
    fn page(&self) -> Result<PageRequest, Problem> {
        let PageRequest { limit: usual, .. } = PageRequest::default();
        match self.limit.unwrap_or(usual) {
            limit @ 1..=MAX_LIMIT => Ok(PageRequest { limit, after: self.after.clone() }),
            limit => Err(Problem::bad_request(format!("limit is {limit}: give a number from 1 to {MAX_LIMIT}"))),
        }
    }
}

fn path<T>(named: Named<T>) -> Result<T, Problem> {
    named.map(|Path(names)| names).map_err(|rejection| Problem::bad_request(rejection.body_text()))
}

fn query(asked: Asked) -> Result<Parameters, Problem> {
    asked.map(|Query(parameters)| parameters).map_err(|rejection| Problem::bad_request(rejection.body_text()))
}

fn digest(text: &str) -> Result<Digest, Problem> {
    text.parse().map_err(|error: crate::digest::InvalidDigest| Problem::bad_request(error.to_string()))
}

/// `GET …/applications/{application}/lifecycle`
pub async fn lifecycle(
    State(viewport): State<Viewport>,
    named: Named<(String, String)>,
    asked: Asked,
) -> Answer<Lifecycle> {
    let (namespace, application) = path(named)?;
    let parameters = query(asked)?;
    let key = ApplicationKey::new(namespace, application);
    match viewport.lifecycle(&key, parameters.version.as_deref(), &parameters.page()?).await? {
        Some(lifecycle) => Ok(Json(lifecycle)),
        None => Err(Problem::not_found(format!(
            "nothing is recorded of an application {} in namespace {}: is the namespace the right one?",
            key.application, key.namespace
        ))),
    }
}

/// `GET …/images/{digest}`
pub async fn image_places(
    State(viewport): State<Viewport>,
    named: Named<(String, String)>,
    asked: Asked,
) -> Answer<Page<Place>> {
    let (namespace, text) = path(named)?;
    Ok(Json(viewport.image_places(&namespace, &digest(&text)?, &query(asked)?.page()?).await?))
}

/// `GET …/images/{digest}/releases`
pub async fn image_holders(
    State(viewport): State<Viewport>,
    named: Named<(String, String)>,
    asked: Asked,
) -> Answer<Page<Holder>> {
    let (namespace, text) = path(named)?;
    Ok(Json(viewport.image_holders(&namespace, &digest(&text)?, &query(asked)?.page()?).await?))
}

/// `GET …/images/{digest}/deployments`
pub async fn image_deployments(
    State(viewport): State<Viewport>,
    named: Named<(String, String)>,
    asked: Asked,
) -> Answer<Page<Deployment>> {
    let (namespace, text) = path(named)?;
    let parameters = query(asked)?;
    let page = parameters.page()?;
    Ok(Json(viewport.image_deployments(&namespace, &digest(&text)?, parameters.ever, &page).await?))
}

/// `GET …/clusters`
pub async fn clusters(
    State(viewport): State<Viewport>,
    named: Named<String>,
    asked: Asked,
) -> Answer<Page<Deployment>> {
    let namespace = path(named)?;
    let parameters = query(asked)?;
    let clusters = Clusters { name: None, uid: parameters.uid.clone() };
    Ok(Json(viewport.cluster_deployments(&namespace, &clusters, parameters.ever, &parameters.page()?).await?))
}

/// `GET …/clusters/{clusterNamespace}/{cluster}`
pub async fn cluster(
    State(viewport): State<Viewport>,
    named: Named<(String, String, String)>,
    asked: Asked,
) -> Answer<Page<Deployment>> {
    let (namespace, cluster_namespace, cluster) = path(named)?;
    let parameters = query(asked)?;
    let clusters = Clusters { name: Some((cluster_namespace, cluster)), uid: parameters.uid.clone() };
    Ok(Json(viewport.cluster_deployments(&namespace, &clusters, parameters.ever, &parameters.page()?).await?))
}

/// `GET …/environments/{environment}`
pub async fn environment(
    State(viewport): State<Viewport>,
    named: Named<(String, String)>,
    asked: Asked,
) -> Answer<Page<Environment>> {
    let (namespace, environment) = path(named)?;
    Ok(Json(viewport.environment(&namespace, &environment, &query(asked)?.page()?).await?))
}

/// `GET …/uploads`
pub async fn uploads(State(viewport): State<Viewport>, named: Named<String>, asked: Asked) -> Answer<Page<Upload>> {
    let namespace = path(named)?;
    let parameters = query(asked)?;
    Ok(Json(viewport.uploads(&namespace, parameters.user.as_deref(), &parameters.page()?).await?))
}
