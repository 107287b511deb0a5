//! The certificate that the plane shows its clients, out of a Secret of type kubernetes.io/tls.
//!
//! The Secret is watched: whoever renews it (cert-manager, say) need not restart anything. One that cannot be used
//! changes nothing, and until there is a first good one clients wait.

use std::{fmt, str::FromStr};

use anyhow::Context as _;
use futures::StreamExt;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, watcher},
};
use serde::Deserialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::listener::{Certificate, Certificates};

/// Where the Secret is: `NAMESPACE/NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct SecretName {
    namespace: String,
    name: String,
}

impl FromStr for SecretName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
                Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            _ => Err(format!("{text:?} names no Secret: write NAMESPACE/NAME")),
        }
    }
}

impl TryFrom<String> for SecretName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What a Secret holds.
#[derive(Debug, Clone)]
pub struct Tls {
    /// What clients are shown.
    pub certificate: Certificate,
    /// Whom clients have to trust for that, where the Secret says it.
    pub ca: Option<String>,
}

/// The certificate of the Secret, as it is from now on. `told` hears of each.
pub fn certificates<F>(
    client: Client,
    secret: SecretName,
    shutdown: CancellationToken,
    told: impl Fn(Tls) -> F + Send + 'static,
) -> Certificates
where
    F: Future<Output = ()> + Send,
{
    let (held, mut changes) = watch::channel(None::<Tls>);
    let (certificate, certificates) = watch::channel(None);
    tokio::spawn(follow(client, secret, held, shutdown));
    tokio::spawn(async move {
        while changes.changed().await.is_ok() {
            let Some(tls) = changes.borrow_and_update().clone() else { continue };
            certificate.send_replace(Some(tls.certificate.clone()));
            told(tls).await;
        }
        // Requests under way are still answered: the last certificate outlives the watch.
        certificate.closed().await;
    });
    Certificates::new(certificates)
}

/// Passes on what the Secret holds, now and whenever it changes, until the shutdown.
async fn follow(client: Client, secret: SecretName, held: watch::Sender<Option<Tls>>, shutdown: CancellationToken) {
    let api = Api::<Secret>::namespaced(client, &secret.namespace);
    let mut changes = std::pin::pin!(watcher::watch_object(api, &secret.name).default_backoff());
    while let Some(Some(change)) = shutdown.run_until_cancelled(changes.next()).await {
        match change {
            Ok(Some(object)) => match read(&object) {
                Ok(tls) => {
                    tracing::info!(%secret, "the TLS certificate is in use");
                    held.send_replace(Some(tls));
                }
                Err(error) => tracing::error!(%secret, "the TLS certificate cannot be used: {error:#}"),
            },
            Ok(None) => {
                tracing::error!(%secret, "there is no such Secret: clients wait for a TLS certificate, or get the last one")
            }
            Err(error) => tracing::warn!(%secret, %error, "the TLS certificate cannot be watched; trying again"),
        }
    }
}

fn read(secret: &Secret) -> anyhow::Result<Tls> {
    let entry = |name: &str| secret.data.as_ref().and_then(|data| data.get(name)).map(|ByteString(bytes)| bytes);
    let chain = entry("tls.crt").context("it has no entry tls.crt")?;
    let key = entry("tls.key").context("it has no entry tls.key")?;
    let certificate = Certificate::from_pem(chain, key)?;
    let ca = entry("ca.crt").map(|pem| String::from_utf8(pem.clone()).context("its entry ca.crt is no text"));
    Ok(Tls { certificate, ca: ca.transpose()?.filter(|pem| !pem.trim().is_empty()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_named_with_its_namespace() {
        assert_eq!("orbit/tls".parse::<SecretName>().unwrap().to_string(), "orbit/tls");
        for text in ["", "tls", "/tls", "orbit/", "a/b/c"] {
            assert!(text.parse::<SecretName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = read(&Secret::default()).unwrap_err();
        assert!(error.to_string().contains("tls.crt"), "{error}");
    }
}
