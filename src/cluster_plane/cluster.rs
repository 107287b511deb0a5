//! One cluster as the plane is connected to it: a client, the kinds it knows, what is watched there.

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Config,
    api::{ApiResource, DynamicObject},
    client::ClientBuilder,
    core::GroupVersionKind,
};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, Semaphore, SemaphorePermit, mpsc};

use super::{
    bounds::Bounds,
    inventory::Inventory,
    kinds::{Kind, KindError, Kinds},
    objects::ObjectId,
    observed::{Observed, Watched},
    ownership::DeliveryKey,
    provisions::Provisions,
    remote_error::{self, ApplyFailure, FailureKind},
    strangers::Strangers,
    watch::Watches,
};
use crate::{digest::Digest, release::ClusterRef};

/// How long a connection may take, and an answer to who the cluster is.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(5);
/// Longer than a watch lasts by the API server's own will.
const READ: Duration = Duration::from_secs(330);
/// How long a pull Secret is believed to be as it was given where nothing is delivered meanwhile: pods that start after
/// somebody has deleted it wait no longer.
const SETTLED: Duration = Duration::from_secs(300);
/// Deliveries that are applied to one cluster at a time: one that is slow holds up its own only.
const AT_ONCE: usize = 8;

/// A cluster that answered.
pub struct Cluster {
    reference: ClusterRef,
    version: String,
    kubeconfig: Digest,
    client: Client,
    kinds: Kinds,
    observed: Arc<Observed>,
    watches: Mutex<Watches>,
    turns: Semaphore,
    credentials: RwLock<()>,
    provisions: Provisions,
    pulled_with: Provisions,
    strangers: Strangers,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("reference", &self.reference).finish_non_exhaustive()
    }
}

/// Who a cluster is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// UID of its namespace kube-system.
    pub uid: String,
    /// Version of its API server.
    pub version: String,
}

/// Asks a cluster who it is.
pub async fn identify(client: &Client) -> Result<Identity, Unreachable> {
    let asked = async {
        let namespace = Api::<Namespace>::all(client.clone()).get_metadata("kube-system").await?;
        let version = client.apiserver_version().await?.git_version;
        Ok::<_, kube::Error>(Identity { uid: namespace.metadata.uid.unwrap_or_default(), version })
    };
    match tokio::time::timeout(ANSWER, asked).await {
        Ok(Ok(identity)) => Ok(identity),
        Ok(Err(error)) => {
            let ApplyFailure { kind, message } = remote_error::explain_connection(&error);
            match kind {
                FailureKind::Unauthorized | FailureKind::Forbidden => Err(Unreachable::Refused(message)),
                _ => Err(Unreachable::Silent(message)),
            }
        }
        Err(_) => Err(Unreachable::Silent(format!("its API server gave no answer within {} s", ANSWER.as_secs()))),
    }
}

/// Why a cluster cannot be worked with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// It answers, but does not let the plane in.
    #[error("{0}")]
    Refused(String),
    /// It does not answer, or not as it should.
    #[error("{0}")]
    Silent(String),
}

/// A client for what a kubeconfig names, which bears with whoever answers there.
pub fn client(mut config: Config) -> Result<Client, kube::Error> {
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(READ);
    Ok(ClientBuilder::try_from(config)?.with_layer(&Bounds::default()).build())
}

impl Cluster {
    /// A cluster that answered as `identity`. What changes there is told through `wake`.
    pub fn new(
        reference: ClusterRef,
        version: String,
        kubeconfig: Digest,
        client: Client,
        wake: mpsc::UnboundedSender<DeliveryKey>,
    ) -> Self {
        let observed = Arc::new(Observed::new(reference.to_string(), wake));
        Self {
            reference,
            version,
            kubeconfig,
            client,
            kinds: Kinds::default(),
            observed,
            watches: Mutex::default(),
            turns: Semaphore::new(AT_ONCE),
            credentials: RwLock::default(),
            provisions: Provisions::default(),
            pulled_with: Provisions::believed_for(SETTLED),
            strangers: Strangers::default(),
        }
    }

    /// Which one it is.
    pub fn reference(&self) -> &ClusterRef {
        &self.reference
    }

    /// Version of its API server, when it was connected.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Digest of the kubeconfig that it is reached with.
    pub fn kubeconfig(&self) -> &Digest {
        &self.kubeconfig
    }

    /// A way to ask it.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// A kind, as it serves it.
    pub async fn kind(&self, wanted: &GroupVersionKind) -> Result<Kind, KindError> {
        let watched = Watched::Kind { group: wanted.group.clone(), kind: wanted.kind.clone() };
        let has_ended = self.watches().take_ended(&watched, &self.observed);
        if has_ended {
            self.kinds.forget(&wanted.group, &wanted.kind);
        }
        self.kinds.of(&self.client, wanted).await
    }

    /// A kind in this version, or in another one in which its objects are still there; none where it serves it no more.
    pub async fn kind_in_any_version(&self, wanted: &GroupVersionKind) -> Result<Option<Kind>, KindError> {
        let versions = match self.kind(wanted).await {
            Err(KindError::Unknown { versions, .. }) => versions,
            found => return found.map(Some),
        };
        let Some(api_version) = versions.first() else { return Ok(None) };
        let version = api_version.rsplit_once('/').map_or(api_version.as_str(), |(_, version)| version);
        self.kind(&GroupVersionKind::gvk(&wanted.group, version, &wanted.kind)).await.map(Some)
    }

    /// The objects of a kind where `id` is.
    pub fn objects(&self, resource: &ApiResource, id: &ObjectId) -> Api<DynamicObject> {
        match id.namespace.as_str() {
            "" => Api::all_with(self.client.clone(), resource),
            namespace => Api::namespaced_with(self.client.clone(), namespace, resource),
        }
    }

    /// What is known of its objects.
    pub fn observed(&self) -> &Observed {
        &self.observed
    }

    /// Watches for a delivery the kinds of its objects and the pods of their namespaces, and waits until all of them have
    /// been seen. What it needed before and nobody needs any more is not watched from now on.
    pub async fn watch(&self, plane: &str, delivery: &DeliveryKey, inventory: &Inventory) -> Result<(), KindError> {
        let namespaces = inventory.objects().keys().filter(|id| !id.namespace.is_empty());
        let pods: HashSet<_> = namespaces.map(|id| id.namespace.clone()).collect();
        let mut needs: HashSet<_> = inventory.objects().keys().map(Watched::of).collect();
        needs.extend(pods.iter().cloned().map(Watched::Pods));
        // Before any of it begins, so that nobody ends it because another one needs it no more.
        self.watches().need(delivery, needs, &self.observed);
        let mut awaited = HashSet::new();
        for (id, held) in inventory.objects() {
            let watched = Watched::of(id);
            if awaited.contains(&watched) {
                continue;
            }
            match self.kind(&GroupVersionKind::gvk(&id.group, &held.version, &id.kind)).await {
                Ok(kind) => self.watches().kind(&self.client, plane, &kind, &self.observed),
                // It went with its CustomResourceDefinition, which is seen as each of its objects missing.
                Err(KindError::Unknown { .. }) => continue,
                Err(error) => return Err(error),
            }
            awaited.insert(watched);
        }
        for namespace in pods {
            self.watches().pods(&self.client, &namespace, &self.observed);
            awaited.insert(Watched::Pods(namespace));
        }
        self.observed.until_listed(&awaited).await;
        Ok(())
    }

    /// A delivery has ended: what is watched for it alone is not watched any more.
    pub fn forget(&self, delivery: &DeliveryKey) {
        self.watches().need(delivery, HashSet::new(), &self.observed);
    }

    fn watches(&self) -> std::sync::MutexGuard<'_, Watches> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it was seen to have a moment ago.
    pub fn provisions(&self) -> &Provisions {
        &self.provisions
    }

    /// Which pull Secrets its namespaces were seen to have, for longer: where nothing else changes either.
    pub fn pulled_with(&self) -> &Provisions {
        &self.pulled_with
    }

    /// Something that it was seen to have is taken away.
    pub fn forget_provisions(&self) {
        self.provisions.forget();
        self.pulled_with.forget();
    }

    /// What others have there.
    pub(super) fn strangers(&self) -> &Strangers {
        &self.strangers
    }

    /// A turn at changing it.
    pub async fn turn(&self) -> SemaphorePermit<'_> {
        self.turns.acquire().await.expect("the semaphore is never closed")
    }

    /// Held while pull Secrets are brought there: many may do that at once, but nobody while one takes one away, whose
    /// look for who else needs it would be of a moment before.
    pub async fn bringing_credentials(&self) -> RwLockReadGuard<'_, ()> {
        self.credentials.read().await
    }

    /// Held from the look for who else needs a pull Secret until it is taken away.
    pub async fn taking_credentials(&self) -> RwLockWriteGuard<'_, ()> {
        self.credentials.write().await
    }
}
