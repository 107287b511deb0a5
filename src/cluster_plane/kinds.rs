//! The kinds that a cluster knows, asked for once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::{
    Client,
    api::ApiResource,
    core::{GroupVersion, GroupVersionKind},
    discovery::{self, Scope},
};
use tokio::time::timeout;

/// How long a cluster may take to say what it serves of a group: behind one may be a server that hangs.
const ANSWER: Duration = Duration::from_secs(30);

/// A kind as the cluster serves it.
#[derive(Debug, Clone)]
pub struct Kind {
    /// Where its objects are.
    pub resource: ApiResource,
    /// Whether its objects are in namespaces.
    pub namespaced: bool,
}

/// Why a kind cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KindError {
    /// The cluster does not serve it in this version.
    #[error("{}", unknown(.kind, .api_version, .versions))]
    Unknown {
        /// The kind.
        kind: String,
        /// The version that was asked for.
        api_version: String,
        /// Versions in which the cluster serves the kind.
        versions: Vec<String>,
    },
    /// The cluster could not be asked.
    #[error(transparent)]
    Cluster(#[from] kube::Error),
    /// It gave no answer.
    #[error("the cluster does not say within {} s what it serves of {api_version}: is the server behind that group out of order?", ANSWER.as_secs())]
    Silent {
        /// The version that was asked for.
        api_version: String,
    },
}

impl KindError {
    /// The kind that is unknown, in a few words: one of several.
    pub fn unknown_kind(&self) -> Option<String> {
        let Self::Unknown { kind, api_version, versions } = self else { return None };
        Some(match &versions[..] {
            [] => format!("{kind} ({api_version})"),
            versions => format!("{kind} ({api_version}; it has {})", versions.join(", ")),
        })
    }
}

fn unknown(kind: &str, api_version: &str, versions: &[String]) -> String {
    match versions {
        [] => format!(
            "the cluster does not know the kind {kind} ({api_version}): install its CustomResourceDefinition there, or add it to the overlay"
        ),
        versions => format!(
            "the cluster does not serve {kind} as {api_version}; it has {}: change apiVersion in the manifests",
            versions.join(", ")
        ),
    }
}

/// The kinds of one cluster that were asked for. What it does not know is asked for again: CRDs come and go.
#[derive(Debug, Default)]
pub struct Kinds {
    known: Mutex<HashMap<GroupVersionKind, Kind>>,
    /// Held while a group is asked for: many deliveries want the same few kinds at once, which is one request. Whoever
    /// wants another group does not wait for it.
    asking: Mutex<HashMap<GroupVersion, Arc<tokio::sync::Mutex<()>>>>,
}

impl Kinds {
    /// A kind has to be asked for again, in all its versions: the cluster does not serve it as it did.
    pub fn forget(&self, group: &str, kind: &str) {
        lock(&self.known).retain(|known, _| known.group != group || known.kind != kind);
    }

    /// A kind, as the cluster serves it.
    pub async fn of(&self, client: &Client, wanted: &GroupVersionKind) -> Result<Kind, KindError> {
        let known = || lock(&self.known).get(wanted).cloned();
        if let Some(kind) = known() {
            return Ok(kind);
        }
        let group_version = GroupVersion::gv(&wanted.group, &wanted.version);
        let turn = lock(&self.asking).entry(group_version.clone()).or_default().clone();
        let _turn = turn.lock().await;
        if let Some(kind) = known() {
            return Ok(kind);
        }
        let silent = |_| KindError::Silent { api_version: group_version.api_version() };
        match timeout(ANSWER, discovery::pinned_group(client, &group_version)).await.map_err(silent)? {
            Ok(group) => {
                let mut known = lock(&self.known);
                for (resource, capabilities) in group.versioned_resources(&group_version.version) {
                    let namespaced = capabilities.scope == Scope::Namespaced;
                    let served = GroupVersionKind::gvk(&wanted.group, &wanted.version, &resource.kind);
                    known.insert(served, Kind { resource, namespaced });
                }
            }
            Err(kube::Error::Discovery(_)) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(kind) = known() {
            return Ok(kind);
        }
        let versions = timeout(ANSWER, versions(client, &wanted.group, &wanted.kind)).await.map_err(silent)??;
        Err(KindError::Unknown { kind: wanted.kind.clone(), api_version: group_version.api_version(), versions })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The versions of a group in which the cluster serves a kind.
async fn versions(client: &Client, group: &str, kind: &str) -> Result<Vec<String>, kube::Error> {
    let group = match discovery::group(client, group).await {
        Ok(group) => group,
        Err(kube::Error::Discovery(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let serves = |version: &&str| group.versioned_resources(version).iter().any(|(resource, _)| resource.kind == kind);
    let versions = group.versions().filter(serves);
    Ok(versions.map(|version| GroupVersion::gv(group.name(), version).api_version()).collect())
}
