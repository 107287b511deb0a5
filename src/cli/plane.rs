//! Where the plane's HTTP API is, and asking it as the user of the kubeconfig.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use reqwest::{StatusCode, header};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::time::timeout;
use url::Url;

use super::{kubeconfig, trust::Trust};
use crate::{cause::carried, registry::readers::Secret, transit::is_private};

/// How long a cluster may take to say whom to trust at an address that is given.
const TRUST_WITHIN: Duration = Duration::from_secs(5);
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
    /// Kubernetes token that says who asks [default: the kubeconfig's; one with a client certificate has none]
    #[arg(long, env = "ORBIT_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,
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
pub struct Plane {
    client: reqwest::Client,
    server: Url,
    token: Secret,
    /// The namespace that is meant.
    pub namespace: String,
}

/// What a problem says (RFC 9457).
#[derive(Deserialize)]
struct Problem {
    detail: String,
}

impl PlaneArgs {
    /// The plane these arguments speak of. The API server is asked only for what they leave out, and whom to trust.
    pub async fn find(self) -> anyhow::Result<Plane> {
        let is_given = self.server.is_some() && self.namespace.is_some() && self.token.is_some();
        let config = kubeconfig::config(self.kubeconfig.as_deref(), self.context.as_deref()).await;
        let config = match is_given {
            // What is left is whom to trust: a cluster that says so may be there, and need not.
            true => config.ok().filter(|_| self.ca_file.is_none()),
            false => Some(config?),
        };
        let token = match (self.token, &config) {
            (Some(token), _) => Some(Secret::new(token.trim())),
            (None, Some(config)) => kubeconfig::token(config).await?,
            (None, None) => None,
        };
        let token = token.context(
            "the kubeconfig has no token to show to the plane (a client certificate does not leave the API server): pass --token, or set ORBIT_TOKEN, such as with kubectl create token NAME",
        )?;
        let cluster = match config.map(Client::try_from).transpose() {
            Err(_) if is_given => None,
            cluster => cluster.context("no connection to the API server")?,
        };
        let namespace = match (self.namespace, &cluster) {
            (Some(namespace), _) => namespace,
            (None, Some(cluster)) => cluster.default_namespace().to_owned(),
            (None, None) => bail!("no namespace is given"),
        };
        let mut trust = Trust::of_file(self.ca_file.as_deref())?;
        let server = match (self.server, cluster) {
            (Some(server), None) => server,
            (Some(server), Some(cluster)) => {
                // Under another address it is the same plane. Who asks a plane by its address need not wait for a cluster.
                let _ = timeout(TRUST_WITHIN, trust_published(cluster, &mut trust)).await;
                server
            }
            (None, Some(cluster)) => {
                let (server, ca) = published(cluster).await?;
                if let Some(pem) = ca {
                    trust.add(pem, format!("ConfigMap {NAMESPACE}/{NAME}"));
                }
                server
            }
            (None, None) => bail!("no server is given"),
        };
        if !is_private(&server) {
            bail!(
                "{server} would be sent the token unencrypted: use https://, or forward the plane's port to this machine"
            );
        }
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(60))
            .redirect(reqwest::redirect::Policy::none());
        Ok(Plane { client: trust.client(client)?, server, token, namespace })
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

/// Trusts the certificates that the plane has published in its cluster, too. Where they cannot be read nothing changes:
/// who is only allowed to upload need not be allowed to look there, and the system may know the plane's certificate.
pub async fn trust_published(cluster: Client, trust: &mut Trust) {
    let found = Api::<ConfigMap>::namespaced(cluster, NAMESPACE).get_opt(NAME).await;
    let ca = found.ok().flatten().and_then(|found| found.data?.remove("ca"));
    if let Some(pem) = ca.filter(|pem| !pem.trim().is_empty()) {
        trust.add(pem, format!("ConfigMap {NAMESPACE}/{NAME}"));
    }
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
        let response = self.client.get(url).bearer_auth(self.token.expose()).send().await.map_err(|error| {
            let cause = error.without_url();
            let advice = advice(carried(&cause));
            anyhow::Error::new(cause).context(format!("{} {advice}", self.server))
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

/// What is wrong with a server that gave no answer, and what to do, by the failure of TLS that it was, if any.
fn advice(tls: Option<&rustls::Error>) -> &'static str {
    use rustls::{CertificateError, Error::InvalidCertificate};
    match tls {
        Some(InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => "has a certificate for another name: pass --server with a name or address that is in it",
        Some(InvalidCertificate(_)) => {
            "has a certificate that is not trusted here: pass --ca-file with that of its authority, in PEM, if you know it"
        }
        _ => {
            "cannot be reached; if it is an address of the plane's own machine, forward its port (kubectl port-forward) and pass --server http://127.0.0.1:PORT"
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::http::{Request, Response};
    use kube::client::Body;
    use serde_json::{Value, json};

    use super::*;

    /// A client whose API server answers all with this.
    fn cluster(status: u16, answer: Value) -> Client {
        let service = tower::service_fn(move |request: Request<Body>| {
            assert_eq!(request.uri().path(), "/api/v1/namespaces/kube-public/configmaps/orbit-plane");
            let body = Body::from(answer.to_string().into_bytes());
            async move { Ok::<_, Infallible>(Response::builder().status(status).body(body).unwrap()) }
        });
        Client::new(service, "default")
    }

    /// Whether a client can be made that trusts what is published there.
    async fn trusting(status: u16, answer: Value) -> Result<(), String> {
        // Another test of this process may have done it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut trust = Trust::default();
        trust_published(cluster(status, answer), &mut trust).await;
        trust.client(reqwest::Client::builder()).map(drop).map_err(|error| format!("{error:#}"))
    }

    #[tokio::test]
    async fn certificates_are_trusted_where_they_are_published_and_missed_by_nobody_where_they_are_not() {
        let published = |data: Value| json!({"metadata": {"name": NAME}, "data": data});
        let pem = rcgen::generate_simple_self_signed(["plane.example".to_owned()]).unwrap().cert.pem();
        assert_eq!(trusting(200, published(json!({"url": "https://plane.example", "ca": pem}))).await, Ok(()));
        assert_eq!(trusting(200, published(json!({"url": "https://plane.example"}))).await, Ok(()));
        let refusal = |code: u16, reason: &str| json!({"kind": "Status", "status": "Failure", "code": code, "message": "no", "reason": reason});
        assert_eq!(trusting(403, refusal(403, "Forbidden")).await, Ok(()));
        assert_eq!(trusting(404, refusal(404, "NotFound")).await, Ok(()));
        // What is published and of no use is said, with its place.
        let error = trusting(200, published(json!({"ca": "-----BEGIN CERTIFICATE-----\nxx\n"}))).await.unwrap_err();
        assert!(error.contains("ConfigMap kube-public/orbit-plane"), "{error}");
    }

    #[test]
    fn tokens_are_not_sent_in_the_clear() {
        for (server, kept) in [
            ("https://plane.example", true),
            ("http://127.0.0.1:8480", true),
            ("http://[::1]:8480", true),
            ("http://localhost:8480", true),
            ("http://plane.example", false),
            ("http://127.0.0.1.plane.example", false),
            ("http://10.0.0.7", false),
        ] {
            assert_eq!(is_private(&server.parse().unwrap()), kept, "{server}");
        }
    }

    /// What is said of a server at this address that has a certificate of its own for this name.
    async fn said_of(address: &str, name: &str, trusted: bool) -> String {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
        let listener = tokio::net::TcpListener::bind((address, 0)).await.unwrap();
        let server = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                drop(acceptor.accept(stream).await);
            }
        });
        let mut trust = Trust::default();
        if trusted {
            trust.add(made.cert.pem(), "a test");
        }
        let client = trust.client(reqwest::Client::builder()).unwrap();
        let plane = Plane { client, server, token: Secret::new("t"), namespace: "shop".into() };
        let error = plane.get::<Value>(&["applications"], &[]).await.unwrap_err();
        serving.abort();
        error.to_string()
    }

    #[tokio::test]
    async fn a_server_that_is_not_trusted_is_told_from_one_that_does_not_answer() {
        assert!(said_of("127.0.0.1", "127.0.0.1", false).await.contains("--ca-file"));
        assert!(said_of("127.0.0.1", "plane.example", true).await.contains("certificate for another name"));
        // Trusted, and gone after that.
        assert!(said_of("127.0.0.1", "127.0.0.1", true).await.contains("cannot be reached"));
    }
}
