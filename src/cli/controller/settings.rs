//! The operator's settings: flags, environment variables or a file, in this order of precedence.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::ValueEnum;
use serde::Deserialize;
use url::Url;

use super::{portal_settings::PortalSettings, tls_secret::SecretName};
use crate::{cli::renderer, image_harbor::ingest::AllowedRegistry, listener::Network, settings::StoreSettings};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// The operator's settings.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    #[command(flatten)]
    pub stores: StoreSettings,
    /// Kubeconfig file [default: $KUBECONFIG, ~/.kube/config, the pod's service account]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig [default: its current one]
    #[arg(long)]
    pub context: Option<String>,
    /// Namespace whose objects are worked on [default: all]
    #[arg(long, env = "ORBIT_NAMESPACE", value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Address of the registry and the portal's API; outside loopback it takes --tls-secret [default: 127.0.0.1:8480]
    #[arg(long, env = "ORBIT_LISTEN", value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Address of /healthz, /readyz and /metrics [default: 127.0.0.1:8481]
    #[arg(long, env = "ORBIT_HEALTH_LISTEN", value_name = "ADDRESS")]
    health_listen: Option<SocketAddr>,
    /// Secret of type kubernetes.io/tls with the certificate of --listen; its ca.crt, if any, is told to clients
    #[arg(long, env = "ORBIT_TLS_SECRET", value_name = "NAMESPACE/NAME")]
    pub tls_secret: Option<SecretName>,
    /// Where clients reach --listen [default: http://ADDRESS, or https://ADDRESS with --tls-secret]
    #[arg(long, env = "ORBIT_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<Url>,
    /// Proxies in front of the registry or the portal, as addresses or networks: who they say in X-Forwarded-For that they
    /// ask for is who is slowed down, and in the journal
    #[arg(long, env = "ORBIT_TRUSTED_PROXIES", value_name = "NETWORK", value_delimiter = ',')]
    pub trusted_proxies: Vec<Network>,
    #[command(flatten)]
    pub portal: PortalSettings,
    /// Send clients that read blobs to the S3 bucket (never where their credentials would follow)
    #[arg(long, env = "ORBIT_S3_REDIRECT")]
    pub s3_redirect: bool,
    /// Do not apply the CRDs and the admission policy: something else does
    #[arg(long, env = "ORBIT_SKIP_INSTALL")]
    pub skip_install: bool,
    /// The program that renders [default: orbit-renderer, beside this program or on the PATH]
    #[arg(long, env = "ORBIT_RENDERER", value_name = "FILE")]
    renderer: Option<PathBuf>,
    /// How many renderers run at most [default: the number of processors, 4 at most]
    #[arg(long, env = "ORBIT_RENDERERS", value_name = "NUMBER")]
    renderers: Option<usize>,
    /// Host (and port) that clusters pull images from
    #[arg(long, env = "ORBIT_REGISTRY_HOST", value_name = "HOST")]
    pub registry_host: Option<String>,
    /// Secret with which clusters pull images
    #[arg(long, env = "ORBIT_IMAGE_PULL_SECRET", value_name = "NAME")]
    pub image_pull_secret: Option<String>,
    /// Registry that references may name, as in registry.example:5000 or *.example.com; may be repeated [default: any]
    #[arg(long, env = "ORBIT_PULL_FROM", value_name = "HOST", value_delimiter = ',')]
    pub pull_from: Vec<AllowedRegistry>,
    /// Registry to be spoken to without TLS; may be repeated. Those on loopback always are
    #[arg(long, env = "ORBIT_PLAIN_HTTP", value_name = "HOST", value_delimiter = ',')]
    pub plain_http: Vec<String>,
    /// Kubernetes version that templates see [default: the API server's]
    #[arg(long, env = "ORBIT_KUBE_VERSION", value_name = "VERSION")]
    pub kube_version: Option<String>,
    /// How many HelmCharts of an ImageUpload stay in the cluster [default: 10]
    #[arg(long, env = "ORBIT_CHART_HISTORY", value_name = "NUMBER")]
    chart_history: Option<usize>,
    /// How log lines look [default: text]
    #[arg(long, env = "ORBIT_LOG_FORMAT", value_enum)]
    log_format: Option<LogFormat>,
}

/// The settings of the command line, and for what it leaves out those of the file.
pub fn load(file: Option<&Path>, given: Settings) -> anyhow::Result<Settings> {
    let Some(path) = file else { return Ok(given) };
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let from_file = serde_yaml::from_str(&text).with_context(|| format!("{} is no settings file", path.display()))?;
    Ok(given.or(from_file))
}

impl Settings {
    /// What is not set here is taken from `other`.
    fn or(self, other: Self) -> Self {
        Self {
            stores: self.stores.or(other.stores),
            kubeconfig: self.kubeconfig.or(other.kubeconfig),
            context: self.context.or(other.context),
            namespace: self.namespace.or(other.namespace),
            listen: self.listen.or(other.listen),
            health_listen: self.health_listen.or(other.health_listen),
            tls_secret: self.tls_secret.or(other.tls_secret),
            public_url: self.public_url.or(other.public_url),
            trusted_proxies: if self.trusted_proxies.is_empty() { other.trusted_proxies } else { self.trusted_proxies },
            portal: self.portal.or(other.portal),
            s3_redirect: self.s3_redirect || other.s3_redirect,
            skip_install: self.skip_install || other.skip_install,
            renderer: self.renderer.or(other.renderer),
            renderers: self.renderers.or(other.renderers),
            registry_host: self.registry_host.or(other.registry_host),
            image_pull_secret: self.image_pull_secret.or(other.image_pull_secret),
            pull_from: if self.pull_from.is_empty() { other.pull_from } else { self.pull_from },
            plain_http: if self.plain_http.is_empty() { other.plain_http } else { self.plain_http },
            kube_version: self.kube_version.or(other.kube_version),
            chart_history: self.chart_history.or(other.chart_history),
            log_format: self.log_format.or(other.log_format),
        }
    }

    /// Where the registry listens.
    pub fn listen(&self) -> SocketAddr {
        self.listen.unwrap_or((Ipv4Addr::LOCALHOST, 8480).into())
    }

    /// Where probes are answered.
    pub fn health_listen(&self) -> SocketAddr {
        self.health_listen.unwrap_or((Ipv4Addr::LOCALHOST, 8481).into())
    }

    /// How many renderers run at most.
    pub fn renderers(&self) -> usize {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        self.renderers.unwrap_or(processors.min(4)).max(1)
    }

    /// The program that renders.
    pub fn renderer(&self) -> anyhow::Result<PathBuf> {
        renderer::program(self.renderer.as_deref())
    }

    /// How many HelmCharts of an upload stay.
    pub fn chart_history(&self) -> usize {
        self.chart_history.unwrap_or(10)
    }

    /// How log lines look.
    pub fn log_format(&self) -> LogFormat {
        self.log_format.unwrap_or(LogFormat::Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_wins_over_the_file() {
        let file: Settings =
            serde_yaml::from_str("{listen: '127.0.0.1:1', chartHistory: 3, stores: {plane: file}}").unwrap();
        let given = Settings { chart_history: Some(5), ..Settings::default() };
        let settings = given.or(file);
        assert_eq!((settings.listen().port(), settings.chart_history()), (1, 5));
        assert_eq!(settings.stores.plane(), "file");
        assert_eq!(settings.health_listen().port(), 8481);
    }

    #[test]
    fn a_file_with_a_typing_error_is_refused() {
        assert!(serde_yaml::from_str::<Settings>("{chart-history: 3}").is_err());
    }
}
