//! What the Viewport answers, to whoever may get ImageUploads in the namespace that is asked about.

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    digest::Digest,
    portal::{
        Portal,
        access::Right,
        extract::{Asked, Named, name},
        problem::Problem,
        sessions::Session,
        visitor::Visitor,
    },
    release::ApplicationKey,
    viewport::{
        self, Application, Deployment, Environment, Holder, Lifecycle, MAX_LIMIT, MatrixFilter, Page, PageRequest,
        Place, Upload,
    },
};

type Answer<T> = Result<Json<T>, Problem>;

/// Which page of a list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AtPage {
    /// How many at most: 1 to 200, else 50.
    pub limit: Option<u32>,
    /// `continue` of the page before.
    #[serde(rename = "continue")]
    pub after: Option<String>,
}

/// The page that is asked for.
///
/// # Errors
/// 400.
pub fn page(limit: Option<u32>, after: Option<String>) -> Result<PageRequest, Problem> {
    let PageRequest { limit: usual, .. } = PageRequest::default();
    match limit.unwrap_or(usual) {
        limit @ 1..=MAX_LIMIT => Ok(PageRequest { limit, after }),
        limit => Err(Problem::bad_request(format!("limit is {limit}: give a number from 1 to {MAX_LIMIT}"))),
    }
}

/// Which applications.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Matrix {
    /// Part of their names.
    search: Option<String>,
    /// Those that are in this environment; no other one is shown then.
    environment: Option<String>,
    /// How many at most: 1 to 200, else 50.
    limit: Option<u32>,
    /// `continue` of the page before.
    #[serde(rename = "continue")]
    after: Option<String>,
}

/// Which part of a history.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// That of one version.
    version: Option<String>,
    /// How many events at most: 1 to 200, else 50.
    limit: Option<u32>,
    /// `events.continue` of the page before.
    #[serde(rename = "continue")]
    after: Option<String>,
}

/// Which deployments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ever {
    /// Those that were, too.
    #[serde(default)]
    ever: bool,
    /// How many at most: 1 to 200, else 50.
    limit: Option<u32>,
    /// `continue` of the page before.
    #[serde(rename = "continue")]
    after: Option<String>,
}

/// Which clusters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Clusters {
    /// UID of the cluster's namespace kube-system.
    uid: Option<String>,
    /// What was there, too.
    #[serde(default)]
    ever: bool,
    /// How many at most: 1 to 200, else 50.
    limit: Option<u32>,
    /// `continue` of the page before.
    #[serde(rename = "continue")]
    after: Option<String>,
}

/// Whose uploads.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Uploads {
    /// Of one user.
    user: Option<String>,
    /// How many at most: 1 to 200, else 50.
    limit: Option<u32>,
    /// `continue` of the page before.
    #[serde(rename = "continue")]
    after: Option<String>,
}

/// What was said, if anything was.
pub fn said(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// That somebody may read what the Viewport has of a namespace.
///
/// # Errors
/// 403.
pub async fn may_read(portal: &Portal, session: &Session, namespace: &str) -> Result<(), Problem> {
    portal.access().require(session, &[Right::GetUploads], name("a namespace", namespace)?).await
}

fn digest(text: &str) -> Result<Digest, Problem> {
    text.parse().map_err(|error: crate::digest::InvalidDigest| Problem::bad_request(error.to_string()))
}

/// `GET …/applications`
pub async fn matrix(
    State(portal): State<Portal>,
    Visitor(session): Visitor,
    Named(namespace): Named<String>,
    Asked(asked): Asked<Matrix>,
) -> Answer<Page<Application>> {
    may_read(&portal, &session, &namespace).await?;
    let filter = MatrixFilter { search: said(asked.search), environment: said(asked.environment) };
    Ok(Json(portal.viewport().matrix(&namespace, &filter, &page(asked.limit, asked.after)?).await?))
}

/// `GET …/applications/{application}/lifecycle`
pub async fn lifecycle(
    State(portal): State<Portal>,
    Visitor(session): Visitor,
    Named((namespace, application)): Named<(String, String)>,
    Asked(asked): Asked<History>,
) -> Answer<Lifecycle> {
    may_read(&portal, &session, &namespace).await?;
    let key = ApplicationKey::new(namespace, application);
    let found = portal.viewport().lifecycle(&key, asked.version.as_deref(), &page(asked.limit, asked.after)?).await?;
    found.map(Json).ok_or_else(|| {
        Problem::not_found(format!(
            "nothing is recorded of an application {} in namespace {}",
            key.application, key.namespace
        ))
    })
}

/// `GET …/images/{digest}`
pub async fn image_places(
    State(portal): State<Portal>,
    Visitor(session): Visitor,
    Named((namespace, text)): Named<(String, String)>,
    Asked(asked): Asked<AtPage>,
) -> Answer<Page<Place>> {
    may_read(&portal, &session, &namespace).await?;
    let page = page(asked.limit, asked.after)?;
    Ok(Json(portal.viewport().image_places(&namespace, &digest(&text)?, &page).await?))
}

/// `GET …/images/{digest}/releases`
pub async fn image_holders(
    State(portal): State<Portal>,
    Visitor(session): Visitor,
    Named((namespace, text)): Named<(String, String)>,
    Asked(asked): Asked<AtPage>,
) -> Answer<Page<Holder>> {
    may_read(&portal, &session, &namespace).await?;
    let page = page(asked.limit, asked.after)?;
    Ok(Json(portal.viewport().image_holders(&namespace, &digest(&text)?, &page).await?))
}

/// `GET …/images/{digest}/deployments`
pub async fn image_deployments(
    State(portal): State<Portal>,
    Visitor(session): Visitor,
    Named((namespace, text)): Named<(String, String)>,
    Asked(asked): Asked<Ever>,
) -> Answer<Page<Deployment>> {
    may_read(&portal, &session, &namespace).await?;
    let page = page(asked.limit, asked.after)?;
    Ok(Json(portal.viewport().image_deployments(&namespace, &digest(&text)?, asked.ever, &page).await?))
}

/// `GET …/clusters`
pub async fn clusters(
    State(portal): State<Portal>,
    Visitor(session): Visitor,
    Named(namespace): Named<String>,
    Asked(asked): Asked<Clusters>,
) -> Answer<Page<Deployment>> {
    may_read(&portal, &session, &namespace).await?;
    let clusters = viewport::Clusters { name: None, uid: asked.uid };
    let page = page(asked.limit, asked.after)?;
    Ok(Json(portal.viewport().cluster_deployments(&namespace, &clusters, asked.ever, &page).await?))
}

/// `GET …/clusters/{clusterNamespace}/{cluster}`
pub async fn cluster(
    State(portal): State<Portal>,
    Visitor(session): Visitor,
    Named((namespace, cluster_namespace, cluster)): Named<(String, String, String)>,
    Asked(asked): Asked<Clusters>,
) -> Answer<Page<Deployment>> {
    may_read(&portal, &session, &namespace).await?;
    let clusters = viewport::Clusters { name: Some((cluster_namespace, cluster)), uid: asked.uid };
    let page = page(asked.limit, asked.after)?;
    Ok(Json(portal.viewport().cluster_deployments(&namespace, &clusters, asked.ever, &page).await?))
}

/// `GET …/environments/{environment}`
pub async fn environment(
    State(portal): State<Portal>,
    Visitor(session): Visitor,
    Named((namespace, environment)): Named<(String, String)>,
    Asked(asked): Asked<AtPage>,
) -> Answer<Page<Environment>> {
    may_read(&portal, &session, &namespace).await?;
    Ok(Json(portal.viewport().environment(&namespace, &environment, &page(asked.limit, asked.after)?).await?))
}

/// `GET …/uploads`
pub async fn uploads(
    State(portal): State<Portal>,
    Visitor(session): Visitor,
    Named(namespace): Named<String>,
    Asked(asked): Asked<Uploads>,
) -> Answer<Page<Upload>> {
    may_read(&portal, &session, &namespace).await?;
    let page = page(asked.limit, asked.after)?;
    Ok(Json(portal.viewport().uploads(&namespace, asked.user.as_deref(), &page).await?))
}
