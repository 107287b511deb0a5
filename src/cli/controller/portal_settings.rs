//! The settings of the portal, and of the identity provider that people sign in to it with.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context, bail};
use serde::Deserialize;
use url::Url;

use super::tls_secret::SecretName;
use crate::{
    cli::trust::Trust,
    portal::oidc::{self, Provider, redirect_uri},
    registry::readers::Secret,
};

/// The settings of the portal.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PortalSettings {
    /// Address of the portal; outside loopback it takes --portal-tls-secret [default: there is no portal]
    #[arg(id = "portal_address", long = "portal-address", env = "ORBIT_PORTAL_ADDRESS", value_name = "ADDRESS")]
    pub address: Option<SocketAddr>,
    /// Secret of type kubernetes.io/tls with the certificate of --portal-address
    #[arg(
        id = "portal_tls_secret",
        long = "portal-tls-secret",
        env = "ORBIT_PORTAL_TLS_SECRET",
        value_name = "NAMESPACE/NAME"
    )]
    pub tls_secret: Option<SecretName>,
    /// Where browsers reach the portal [default: http://ADDRESS, or https://ADDRESS with --portal-tls-secret]
    #[arg(id = "portal_url", long = "portal-url", env = "ORBIT_PORTAL_URL", value_name = "URL")]
    pub url: Option<Url>,
    #[command(flatten)]
    pub oidc: OidcSettings,
}

/// How people sign in with an identity provider. The plane then acts as the user and groups that it names.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct OidcSettings {
    /// The identity provider (OpenID Connect), as its tokens name it [default: one signs in with tokens only]
    #[arg(id = "oidc_issuer", long = "oidc-issuer", env = "ORBIT_OIDC_ISSUER", value_name = "URL")]
    pub issuer: Option<String>,
    /// Who the portal is to the identity provider
    #[arg(id = "oidc_client_id", long = "oidc-client-id", env = "ORBIT_OIDC_CLIENT_ID", value_name = "ID")]
    client_id: Option<String>,
    /// File with what the portal proves that with [default: it is a public client, which has none]
    #[arg(
        id = "oidc_client_secret_file",
        long = "oidc-client-secret-file",
        env = "ORBIT_OIDC_CLIENT_SECRET_FILE",
        value_name = "FILE"
    )]
    client_secret_file: Option<PathBuf>,
    /// What people call the identity provider [default: its host]
    #[arg(id = "oidc_name", long = "oidc-name", env = "ORBIT_OIDC_NAME", value_name = "NAME")]
    name: Option<String>,
    /// What the identity provider is asked for [default: openid,email,profile,groups]
    #[arg(
        id = "oidc_scopes",
        long = "oidc-scopes",
        env = "ORBIT_OIDC_SCOPES",
        value_name = "SCOPE",
        value_delimiter = ','
    )]
    scopes: Vec<String>,
    /// The claim that is the user's name in Kubernetes; email has to be verified [default: email]
    #[arg(id = "oidc_username_claim", long = "oidc-username-claim", env = "ORBIT_OIDC_USERNAME_CLAIM")]
    username_claim: Option<String>,
    /// What is put before the user's name; to be said for other claims than email [default: nothing]
    #[arg(id = "oidc_username_prefix", long = "oidc-username-prefix", env = "ORBIT_OIDC_USERNAME_PREFIX")]
    username_prefix: Option<String>,
    /// The claim that lists the user's groups [default: groups]
    #[arg(id = "oidc_groups_claim", long = "oidc-groups-claim", env = "ORBIT_OIDC_GROUPS_CLAIM")]
    groups_claim: Option<String>,
    /// What is put before each group [default: nothing]
    #[arg(id = "oidc_groups_prefix", long = "oidc-groups-prefix", env = "ORBIT_OIDC_GROUPS_PREFIX")]
    groups_prefix: Option<String>,
    /// Certificates (PEM) to trust besides the system's, for the identity provider
    #[arg(id = "oidc_ca_file", long = "oidc-ca-file", env = "ORBIT_OIDC_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

impl PortalSettings {
    /// What is not set here is taken from `other`.
    pub fn or(self, other: Self) -> Self {
        Self {
            address: self.address.or(other.address),
            tls_secret: self.tls_secret.or(other.tls_secret),
            url: self.url.or(other.url),
            oidc: self.oidc.or(other.oidc),
        }
    }
}

impl OidcSettings {
    fn or(self, other: Self) -> Self {
        Self {
            issuer: self.issuer.or(other.issuer),
            client_id: self.client_id.or(other.client_id),
            client_secret_file: self.client_secret_file.or(other.client_secret_file),
            name: self.name.or(other.name),
            scopes: if self.scopes.is_empty() { other.scopes } else { self.scopes },
            username_claim: self.username_claim.or(other.username_claim),
            username_prefix: self.username_prefix.or(other.username_prefix),
            groups_claim: self.groups_claim.or(other.groups_claim),
            groups_prefix: self.groups_prefix.or(other.groups_prefix),
            ca_file: self.ca_file.or(other.ca_file),
        }
    }

    /// The identity provider, if there is one, for a portal at this URL.
    pub fn provider(&self, portal: &Url) -> anyhow::Result<Option<Provider>> {
        let Some(issuer) = self.issuer.clone() else { return Ok(None) };
        let client_id = self.client_id.clone().context("--oidc-issuer takes --oidc-client-id, too")?;
        let username_claim = self.username_claim.clone().unwrap_or_else(|| "email".to_owned());
        if username_claim != "email" && self.username_prefix.is_none() {
            bail!(
                "--oidc-username-claim {username_claim}: say with --oidc-username-prefix what to put before it, as in idp: (or --oidc-username-prefix= for nothing): people choose such names, and one may be that of a user whom the cluster knows otherwise"
            );
        }
        let host = issuer.parse::<Url>().ok().and_then(|url| url.host_str().map(str::to_owned));
        let client_secret = match &self.client_secret_file {
            Some(path) => {
                let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
                Some(Secret::new(text.trim()))
            }
            None => None,
        };
        let usual = || ["openid", "email", "profile", "groups"].map(str::to_owned).into();
        let settings = oidc::Settings {
            name: self.name.clone().or(host).unwrap_or_else(|| issuer.clone()),
            issuer,
            client_id,
            client_secret,
            scopes: if self.scopes.is_empty() { usual() } else { self.scopes.clone() },
            username_claim,
            username_prefix: self.username_prefix.clone().unwrap_or_default(),
            groups_claim: self.groups_claim.clone().unwrap_or_else(|| "groups".to_owned()),
            groups_prefix: self.groups_prefix.clone().unwrap_or_default(),
            redirect_uri: redirect_uri(portal),
        };
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(10))
            // A connection of its own for each question: one that was kept may be closed by the provider just as a code is
            // sent over it, and a code is good once.
            .pool_max_idle_per_host(0)
            .redirect(reqwest::redirect::Policy::none());
        let client = Trust::of_file(self.ca_file.as_deref())?.client(client)?;
        Ok(Some(Provider::new(settings, client).context("--oidc-issuer")?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_people_choose_need_a_prefix() {
        // Another test of this process may have done it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let provider = |claim: Option<&str>, prefix: Option<&str>| {
            let settings = OidcSettings {
                issuer: Some("https://idp.example".into()),
                client_id: Some("orbit".into()),
                username_claim: claim.map(str::to_owned),
                username_prefix: prefix.map(str::to_owned),
                ..OidcSettings::default()
            };
            settings.provider(&"https://portal.example".parse().unwrap()).map(drop).map_err(|error| error.to_string())
        };
        for (claim, prefix) in
            [(None, None), (Some("email"), None), (Some("sub"), Some("idp:")), (Some("sub"), Some(""))]
        {
            assert_eq!(provider(claim, prefix), Ok(()), "{claim:?} {prefix:?}");
        }
        let refused = provider(Some("preferred_username"), None).unwrap_err();
        assert!(refused.contains("--oidc-username-prefix"), "{refused}");
    }
}
