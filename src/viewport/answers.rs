//! What the Viewport answers: the same over HTTP, on the command line and in the program.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::release::ClusterRef;

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Page<T> {
    /// What it lists.
    pub items: Vec<T>,
    /// What asks for the page that follows; none when this is the last.
    #[serde(rename = "continue", default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The history of an application, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lifecycle {
    /// The tenant's namespace.
    pub namespace: String,
    /// The application.
    pub application: String,
    /// The newest releases first; older ones only where an environment or a cluster runs them. Of the one version that
    /// was asked for, if one was.
    pub releases: Vec<Release>,
    /// What each environment runs now, in the order of their names.
    pub environments: Vec<Environment>,
    /// How each environment stands in each cluster it was ever deployed to, in the order of their names: the attempt
    /// that is current there, and before it the one that runs until that does. Of the one version that was asked for,
    /// if one was.
    #[serde(default)]
    pub deployments: Vec<Deployment>,
    /// What happened, the newest first.
    pub events: Page<LifecycleEvent>,
}

/// A release and what its user says of it. Times are RFC 3339 in UTC, digests `sha256:<hex>`, here as everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// The version.
    pub version: String,
    /// Digest of all that is frozen in it.
    pub digest: String,
    /// Since when it is stored.
    pub stored_at: String,
    /// Who had it stored.
    pub stored_by: String,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The user's own labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The commit it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Where it may go.
    pub environments: Vec<String>,
    /// Its images.
    pub images: Vec<Image>,
    /// Digest of its chart, once published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chart: Option<String>,
    /// Why it cannot run under Pod Security "restricted", where it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unrestricted: Option<String>,
    /// When its data was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purged_at: Option<String>,
}

/// An image of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// The container it is for.
    pub name: String,
    /// Its digest.
    pub digest: String,
    /// Bytes.
    pub size: i64,
    /// The platforms it runs on, as in `linux/amd64, linux/arm64`.
    pub platforms: String,
}

/// What an environment runs of an application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Environment {
    /// The application.
    pub application: String,
    /// The environment.
    pub environment: String,
    /// The version that was selected last; none where its overlay brings manifests of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Digest of the version's chart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chart: Option<String>,
    /// Why this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when it is selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selected_at: Option<String>,
    /// Who caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selected_by: Option<String>,
    /// What was rendered last; it may be of the version before while the selected one is being rendered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendered: Option<Rendered>,
    /// Who answers for the selected release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The user's own labels of the selected release.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// A published rendering.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rendered {
    /// The version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Digest of the artifact.
    pub artifact: String,
    /// Digest of everything the rendering depends on.
    pub inputs_digest: String,
    /// Kubernetes objects in it.
    pub objects: i64,
    /// Since when.
    pub at: String,
    /// The images its objects run.
    pub images: Vec<RenderedImage>,
}

/// An image in a rendering.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RenderedImage {
    /// The reference as rendered.
    pub reference: String,
    /// Its digest, where it is pinned by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Whether the plane stores it.
    pub tracked: bool,
}

/// One event of a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LifecycleEvent {
    /// Its position in the application's journal, from 1.
    pub seq: i64,
    /// Its identity.
    pub id: String,
    /// Its own hash.
    pub hash: String,
    /// The hash of the event before it; none for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev_hash: Option<String>,
    /// When.
    pub time: String,
    /// Who.
    pub actor: String,
    /// What: `stored`, `charted`, `selected`, … Newer programs may write others.
    pub transition: String,
    /// The version it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The environment it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Digest of the release, the chart or the artifact it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// What else there is to say, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// An attempt to run an environment of an application in a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// The application.
    pub application: String,
    /// The environment.
    pub environment: String,
    /// The cluster. One that was made anew under the same name has another UID.
    pub cluster: ClusterRef,
    /// Which attempt in this place it is, from 1.
    pub attempt: i64,
    /// The version; none where the environment's overlay brings manifests of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Digest of the rendered artifact.
    pub artifact: String,
    /// Digests of the images it runs, as far as they are pinned.
    pub images: Vec<String>,
    /// How far it got: `requested`, `applied`, `healthy`, `degraded`, `failed`, `rolledBack`, `removed` or `lost`.
    pub state: String,
    /// Since when.
    pub since: String,
    /// What else there is to say of the state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Whether it is the last attempt in this place.
    pub current: bool,
    /// Whether its objects are in the cluster, as far as the plane knows.
    pub running: bool,
    /// When it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_at: Option<String>,
    /// When the cluster last took all of its objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_at: Option<String>,
    /// When it last became healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy_at: Option<String>,
    /// When it last stopped being healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degraded_at: Option<String>,
    /// When it last failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<String>,
    /// When another took its place, or it was removed, or the cluster lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
}

/// A place where an image is now: an environment of an application whose rendering runs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// The application.
    pub application: String,
    /// The environment.
    pub environment: String,
    /// The version that is rendered there; none where its overlay brings manifests of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The image's reference as rendered.
    pub reference: String,
    /// The image's digest as rendered: that of the index where a platform's was asked for.
    pub digest: String,
    /// Digest of the rendering.
    pub artifact: String,
    /// Since when.
    pub since: String,
}

/// A release that holds an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    /// The application.
    pub application: String,
    /// The version.
    pub version: String,
    /// The container the image is for.
    pub image: String,
    /// The image's own digest: that of the index where a platform's was asked for.
    pub digest: String,
    /// Since when it is stored.
    pub stored_at: String,
    /// Who had it stored.
    pub stored_by: String,
    /// Who answers for the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The user's own labels of the release.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// An upload: who had what stored, and from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Upload {
    /// The application.
    pub application: String,
    /// The version.
    pub version: String,
    /// When it was stored.
    pub time: String,
    /// Who had it stored.
    pub user: String,
    /// The reference, or the archive's digest.
    pub source: String,
    /// Digest of the release.
    pub release: String,
    /// Who answers for the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The user's own labels of the release.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// When the object that asked for it was deleted last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<String>,
}

/// An application, and which version of it is where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Application {
    /// Its name.
    pub application: String,
    /// Its environments, in the order of their names.
    pub environments: Vec<ApplicationEnvironment>,
    /// The release that was stored last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<String>,
    /// Who answers for that release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// An environment of an application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationEnvironment {
    /// Its name.
    pub environment: String,
    /// The version that is selected; none where its overlay brings manifests of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Digest of what was rendered last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<String>,
    /// The clusters that it is in or on its way to, in the order of their names.
    pub clusters: Vec<Standing>,
}

/// How an environment stands in a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// The cluster.
    pub cluster: ClusterRef,
    /// As in [`Deployment::state`].
    pub state: String,
    /// The version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Since when.
    pub since: String,
}
