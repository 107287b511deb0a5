//! The portal, and the address of its own that it may have.

use std::sync::Arc;

use anyhow::bail;
use kube::Client;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{
    bind,
    portal_settings::PortalSettings,
    tls_secret::{self, SecretName},
};
use crate::{
    listener::Certificates,
    portal::{Parts, Portal, Stores, assets::Assets, authority::Kubeconfig, oidc::Provider},
    requests::Requests,
    viewport::Viewport,
};

/// Where the portal is entered.
pub struct Door {
    listener: TcpListener,
    tls_secret: Option<SecretName>,
    url: Url,
    provider: Option<Provider>,
}

/// What the portal works on.
pub struct Surroundings {
    /// Where the API is reached without a door.
    pub public_url: Url,
    /// The plane's history.
    pub viewport: Viewport,
    /// What it compares.
    pub stores: Stores,
    /// How the API server is reached.
    pub config: kube::Config,
    /// The API server as the plane asks it.
    pub client: Client,
    /// Where its requests are recorded.
    pub requests: Requests,
}

/// Listens where the settings say; nowhere if they say nothing.
pub async fn listen(settings: &PortalSettings) -> anyhow::Result<Option<Door>> {
    let Some(address) = settings.address else {
        if *settings != PortalSettings::default() {
            bail!(
                "there is no portal without --portal-address: name one, or leave the other settings of the portal out"
            );
        }
        return Ok(None);
    };
    let tls = settings.tls_secret.is_some();
    if !tls && !address.ip().is_loopback() {
        bail!(
            "--portal-address {address}: outside loopback TLS is required; name a Secret of type kubernetes.io/tls with --portal-tls-secret, or listen on loopback and use kubectl port-forward to reach it from elsewhere"
        );
    }
    let listener = bind(address).await?;
    let local = listener.local_addr()?;
    let url = match &settings.url {
        Some(url) if tls && url.scheme() != "https" => {
            bail!("--portal-url {url}: with --portal-tls-secret it has to begin with https://")
        }
        Some(url) if !matches!(url.scheme(), "https" | "http") || url.host().is_none() => {
            bail!("--portal-url {url}: it has to begin with https:// or http:// and name a host")
        }
        Some(url) if url.path() != "/" || url.query().is_some() => {
            bail!("--portal-url {url}: the portal is at the root of its host: leave the path out")
        }
        Some(url) => url.clone(),
        None if address.ip().is_unspecified() => {
            bail!(
                "--portal-address {address} is no address that browsers could use: say where they reach it with --portal-url"
            )
        }
        None => format!("{}://{local}", if tls { "https" } else { "http" }).parse()?,
    };
    let provider = settings.oidc.provider(&url)?;
    tracing::info!(address = %local, tls, %url, "portal");
    Ok(Some(Door { listener, tls_secret: settings.tls_secret.clone(), url, provider }))
}

impl Door {
    /// The certificates that browsers are shown, if any.
    pub fn certificates(&self, client: &Client, shutdown: &CancellationToken) -> Option<Certificates> {
        let secret = self.tls_secret.clone()?;
        Some(tls_secret::certificates(client.clone(), secret, shutdown.clone(), async |_| {}))
    }
}

/// The portal, with nobody signed in yet, and what listens for it.
pub fn open(
    door: Option<Door>,
    surroundings: Surroundings,
    namespace: Option<String>,
    shutdown: CancellationToken,
) -> (Portal, Option<TcpListener>) {
    let Surroundings { public_url, viewport, stores, config, client, requests } = surroundings;
    let (listener, url, provider) = match door {
        Some(Door { listener, url, provider, .. }) => (Some(listener), url, provider),
        None => (None, public_url, None),
    };
    let portal = Portal::new(Parts {
        viewport,
        stores,
        cluster: Arc::new(Kubeconfig(config)),
        plane: client,
        namespace,
        secure: url.scheme() == "https",
        provider,
        assets: Assets::built_in(),
        requests,
        shutdown,
    });
    (portal, listener)
}
