//! Where the plane's HTTP API is, and asking it.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use reqwest::{StatusCode, header};
use serde::{Deserialize, de::DeserializeOwned};
use url::Url;

use super::kubeconfig;

/// Namespace of the ConfigMap that names the plane's address: everyone may read it.
const NAMESPACE: &str = "kube-public";
/// Its name.
const NAME: &str = "orbit-plane";

/// How to find the plane and the namespace.
#[derive(Debug, clap::Args)]
pub struct PlaneArgs {
    /// Where the plane is [default: what ConfigMap kube-public/orbit-plane says]
    #[arg(long, env = "ORBIT_SERVER", value_name = "URL")]
    server: Option<Url>,
    /// Certificates (PEM) to trust besides the system's
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Namespace [default: the kubeconfig's current one]
    #[arg(long, short)]
    namespace: Option<String>,
    /// Kubeconfig file [default: $KUBECONFIG, ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig [default: its current one]
    #[arg(long)]
    context: Option<String>,
}

/// A plane that was found.
#[derive(Debug)]
pub struct Plane {
    client: reqwest::Client,
    server: Url,
    /// The namespace that is meant.
    pub namespace: String,
}

/// What a problem says (RFC 9457).
#[derive(Deserialize)]
struct Problem {
    detail: String,
}

impl PlaneArgs {
    /// The plane these arguments speak of. The API server is asked only for what they leave out.
    pub async fn find(self) -> anyhow::Result<Plane> {
        let cluster = match (&self.server, &self.namespace) {
            (Some(_), Some(_)) => None,
            _ => Some(kubeconfig::connect(self.kubeconfig.as_deref(), self.context.as_deref()).await?.0),
        };
        let namespace = match (self.namespace, &cluster) {
            (Some(namespace), _) => namespace,
            (None, Some(cluster)) => cluster.default_namespace().to_owned(),
            (None, None) => bail!("no namespace is given"),
        };
        let mut certificates = Vec::new();
        if let Some(path) = &self.ca_file {
            let pem = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
            certificates.push((pem, path.display().to_string()));
        }
        let server = match (self.server, cluster) {
            (Some(server), None) => server,
            (Some(server), Some(cluster)) => {
                // Under another address it is the same plane. One whose cluster says nothing of it may do without.
                let ca = published(cluster).await.ok().and_then(|(_, ca)| ca);
                certificates.extend(ca.map(|pem| (pem.into_bytes(), format!("ConfigMap {NAMESPACE}/{NAME}"))));
                server
            }
            (None, Some(cluster)) => {
                let (server, ca) = published(cluster).await?;
                certificates.extend(ca.map(|pem| (pem.into_bytes(), format!("ConfigMap {NAMESPACE}/{NAME}"))));
                server
            }
            (None, None) => bail!("no server is given"),
        };
        let mut client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(60))
            .redirect(reqwest::redirect::Policy::none());
        for (pem, source) in certificates {
            let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                .with_context(|| format!("{source} holds no usable certificates"))?;
            client = client.tls_certs_merge(certificates);
        }
        Ok(Plane { client: client.build().context("no HTTP client could be made")?, server, namespace })
    }
}

/// The address that the plane has published in its cluster, and the certificates to trust there.
async fn published(cluster: Client) -> anyhow::Result<(Url, Option<String>)> {
    let found = Api::<ConfigMap>::namespaced(cluster, NAMESPACE).get_opt(NAME).await;
    let found = found.with_context(|| format!("ConfigMap {NAMESPACE}/{NAME} cannot be read: pass --server"))?;
    let Some(mut data) = found.and_then(|found| found.data) else {
        bail!(
            "this cluster does not say where its plane is (there is no ConfigMap {NAMESPACE}/{NAME}): pass --server, or set ORBIT_SERVER"
        );
    };
    let url = data.remove("url").with_context(|| format!("ConfigMap {NAMESPACE}/{NAME} has no url: pass --server"))?;
    let url = url.parse().with_context(|| format!("ConfigMap {NAMESPACE}/{NAME} has a url that is none: {url}"))?;
    Ok((url, data.remove("ca")))
}

/// The certificates to trust at this cluster's plane, where it has published some. That it cannot be asked is no error:
/// the system's may do.
pub async fn published_ca(cluster: Client) -> Option<String> {
    let found = Api::<ConfigMap>::namespaced(cluster, NAMESPACE).get_opt(NAME).await.ok()??;
    found.data?.remove("ca")
}

impl Plane {
    /// What is under a path of the API, given as segments below the namespace; parameters without a value are left out.
    pub async fn get<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        parameters: &[(&str, Option<String>)],
    ) -> anyhow::Result<T> {
        let mut url = self.server.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow::anyhow!("{} cannot be a server's address", self.server))?
            .pop_if_empty()
            .extend(crate::portal::ROOT.trim_matches('/').split('/'))
            .extend(["namespaces", &self.namespace])
            .extend(segments);
        for (name, value) in parameters {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        let response = self.client.get(url).send().await.map_err(|error| {
            let cause = error.without_url();
            anyhow::Error::new(cause).context(format!(
                "{} cannot be reached; if it is an address of the plane's own machine, forward its port (kubectl port-forward) and pass --server http://127.0.0.1:PORT",
                self.server
            ))
        })?;
        let status = response.status();
        if status == StatusCode::OK {
            return response.json().await.context("the answer cannot be read: is this orbit older than the plane?");
        }
        let is_problem =
            response.headers().get(header::CONTENT_TYPE).is_some_and(|of| of == "application/problem+json");
        match response.json::<Problem>().await {
            Ok(problem) if is_problem => bail!("{}", problem.detail),
            _ => bail!("{} answers {status}: is it an Orbit Plane?", self.server),
        }
    }
}
