//! From an object to a cluster that answers.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;

use super::key;
use crate::{
    api::{EphemeralCluster, reason},
    cluster_plane::{Cluster, Identity, Standing, Unreachable, client, identify, kubeconfig},
    controllers::{context::Context, outcome::Halt},
    digest::Digest,
    release::ClusterRef,
};

/// Why a cluster cannot be worked with.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The kubeconfig is missing, refused, or cannot work.
    #[error("{message}")]
    Kubeconfig {
        /// One word.
        reason: &'static str,
        /// What is wrong, where, and what to do.
        message: String,
    },
    /// The cluster does not let the plane in, or does not answer.
    #[error("{cause}")]
    Unreachable {
        /// Why.
        cause: Unreachable,
        /// Where it was looked for, `host:port`; for those who may see its object.
        server: Option<String>,
    },
    /// The plane's own cluster could not be asked for the kubeconfig.
    #[error("{}", .0.message)]
    Halt(#[from] Halt),
}

impl Failure {
    /// One word.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Kubeconfig { reason, .. } => reason,
            Self::Unreachable { .. } => reason::UNREACHABLE,
            Self::Halt(_) => reason::INTERNAL,
        }
    }

    /// Why, and where.
    pub fn with_server(&self) -> String {
        match self {
            Self::Unreachable { cause: Unreachable::Silent(why), server: Some(server) } => format!("{server}: {why}"),
            _ => self.to_string(),
        }
    }
}

impl From<Unreachable> for Failure {
    fn from(cause: Unreachable) -> Self {
        Self::Unreachable { cause, server: None }
    }
}

/// Whether the cluster of an object that is ending answers, as the fleet has it. Its kubeconfig may have gone together
/// with the object; as long as it was connected until then, it is asked as before.
pub async fn last_standing(context: &Context, object: &EphemeralCluster) -> Result<Standing, Halt> {
    match connect(context, object).await {
        Ok(cluster) => Ok(Standing::Here(cluster)),
        // That the plane's own API server is out of order says nothing of the cluster.
        Err(Failure::Halt(halt)) => Err(halt),
        Err(failure) => {
            let connected = context.fleet.last(&key(object)).filter(|_| matches!(failure, Failure::Kubeconfig { .. }));
            if let Some(cluster) = connected
                && ask(&cluster.client()).await.is_ok_and(|identity| identity.uid == cluster.reference().uid)
            {
                return Ok(Standing::Here(cluster));
            }
            Ok(Standing::Away(failure.to_string()))
        }
    }
}

/// The cluster that the object names, asked just now who it is. One that is still the same stays connected.
pub async fn connect(context: &Context, object: &EphemeralCluster) -> Result<Arc<Cluster>, Failure> {
    let bytes = kubeconfig(context, object).await?;
    connect_by(context, object, &bytes).await.map_err(|failure| match failure {
        Failure::Unreachable { cause, .. } => Failure::Unreachable { cause, server: server(&bytes) },
        failure => failure,
    })
}

/// Where the cluster is.
fn server(kubeconfig: &[u8]) -> Option<String> {
    let url = kubeconfig::read(kubeconfig, Timestamp::now()).ok()?.cluster_url;
    Some(format!("{}:{}", url.host()?, url.port_u16().unwrap_or(443)))
}

async fn connect_by(context: &Context, object: &EphemeralCluster, bytes: &[u8]) -> Result<Arc<Cluster>, Failure> {
    let digest = Digest::of(bytes);
    let connected = match context.fleet.last(&key(object)) {
        Some(cluster) if *cluster.kubeconfig() == digest => Some(cluster),
        _ => None,
    };
    let invalid = |error: kubeconfig::KubeconfigError| refused(object, reason::KUBECONFIG_INVALID, error.to_string());
    if let Some(cluster) = connected {
        let identity = match ask(&cluster.client()).await {
            // A credential that has ended meanwhile says so itself; the server says no more than that it refuses it.
            Err(Unreachable::Refused(why)) => {
                kubeconfig::read(bytes, Timestamp::now()).map_err(invalid)?;
                return Err(Unreachable::Refused(why).into());
            }
            identity => identity?,
        };
        if identity.uid == cluster.reference().uid && identity.version == cluster.version() {
            return Ok(cluster);
        }
        return Ok(Arc::new(made(context, object, identity, digest, cluster.client())));
    }
    let config = kubeconfig::read(bytes, Timestamp::now()).map_err(invalid)?;
    let client = client(config).map_err(|error| refused(object, reason::KUBECONFIG_INVALID, error.to_string()))?;
    let identity = ask(&client).await?;
    Ok(Arc::new(made(context, object, identity, digest, client)))
}

fn made(
    context: &Context,
    object: &EphemeralCluster,
    identity: Identity,
    kubeconfig: Digest,
    client: kube::Client,
) -> Cluster {
    let (namespace, name) = key(object);
    let reference = ClusterRef { namespace, name, uid: identity.uid };
    Cluster::new(reference, identity.version, kubeconfig, client, context.fleet.wake())
}

/// Who it is. One silence is no absence: packets get lost, and API servers restart.
async fn ask(client: &kube::Client) -> Result<Identity, Unreachable> {
    match identify(client).await {
        Err(Unreachable::Silent(_)) => identify(client).await,
        answer => answer,
    }
}

/// The kubeconfig, as the Secret holds it.
async fn kubeconfig(context: &Context, object: &EphemeralCluster) -> Result<Vec<u8>, Failure> {
    let reference = &object.spec.connection.kube_config.secret_ref;
    let namespace = object.namespace().unwrap_or_default();
    let secret = context.api::<Secret>(&namespace).get_opt(&reference.name).await.map_err(Halt::from)?;
    let Some(mut data) = secret.map(|secret| secret.data.unwrap_or_default()) else {
        let problem = "it does not exist: create it, with the cluster's kubeconfig under the key value".to_owned();
        return Err(refused(object, reason::KUBECONFIG_NOT_FOUND, problem));
    };
    let missing = |error: kubeconfig::KeyError| refused(object, reason::KUBECONFIG_NOT_FOUND, error.to_string());
    let name = kubeconfig::secret_key(data.keys().map(String::as_str), reference.key.as_deref()).map_err(missing)?;
    let name = name.to_owned();
    Ok(data.remove(&name).unwrap_or_default().0)
}

fn refused(object: &EphemeralCluster, reason: &'static str, problem: String) -> Failure {
    let secret = &object.spec.connection.kube_config.secret_ref.name;
    let namespace = object.namespace().unwrap_or_default();
    Failure::Kubeconfig { reason, message: format!("the kubeconfig in Secret {namespace}/{secret}: {problem}") }
}
