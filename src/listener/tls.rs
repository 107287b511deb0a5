//! TLS with a certificate that may change while connections are served.

use std::{io, sync::Arc};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The certificates cannot be read.
    #[error("its certificates cannot be read: {0}")]
    Chain(rustls::pki_types::pem::Error),
    /// There is no certificate.
    #[error("it holds no certificate in PEM form")]
    Empty,
    /// The key cannot be read.
    #[error("its private key cannot be read: it has to be one in PEM form, without a passphrase")]
    Key,
    /// They do not belong together, or are of a kind that is not known.
    #[error("its certificate and private key cannot be used together: {0}")]
    Mismatch(rustls::Error),
}

/// A certificate with its key, ready to be shown to clients.
#[derive(Debug, Clone)]
pub struct Certificate(Arc<ServerConfig>);

impl Certificate {
    /// From PEM: the certificate with those that vouch for it, and its private key.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().map_err(CertificateError::Chain)?;
        if chain.is_empty() {
            return Err(CertificateError::Empty);
        }
        // What the parser says of a key is not repeated: it could quote it.
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| CertificateError::Key)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(CertificateError::Mismatch)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(CertificateError::Mismatch)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

/// The certificate that counts now. As long as there is none, clients wait.
#[derive(Debug, Clone)]
pub struct Certificates(watch::Receiver<Option<Certificate>>);

impl Certificates {
    /// Those that come out of this channel, each for the connections that begin after it.
    pub fn new(current: watch::Receiver<Option<Certificate>>) -> Self {
        Self(current)
    }

    /// Begins TLS on a connection.
    pub(super) async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut current = self.0.clone();
        let certificate = match current.wait_for(Option::is_some).await {
            Ok(certificate) => certificate.clone(),
            Err(_) => None,
        };
        let Some(Certificate(config)) = certificate else { return Err(io::Error::other("there is no certificate")) };
        TlsAcceptor::from(config).accept(stream).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::{Router, routing::get};
    use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
        task::JoinHandle,
        time::timeout,
    };
    use tokio_rustls::TlsConnector;

    use super::*;
    use crate::listener::{Limits, serve};

    /// A certificate of its own authority, and what clients have to trust for it.
    fn certificate(name: &str) -> (Certificate, CertificateDer<'static>) {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let key = made.signing_key.serialize_pem();
        (Certificate::from_pem(made.cert.pem().as_bytes(), key.as_bytes()).unwrap(), made.cert.der().clone())
    }

    struct Server {
        address: std::net::SocketAddr,
        current: watch::Sender<Option<Certificate>>,
        serving: JoinHandle<()>,
    }

    impl Server {
        async fn new() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (current, certificates) = watch::channel(None);
            let limits = Limits { headers: Duration::from_millis(500), ..Limits::default() };
            let app = Router::new().route("/", get(async || "here"));
            let certificates = Some(Certificates::new(certificates));
            let serving = tokio::spawn(serve(listener, certificates, app, limits, std::future::pending()));
            Self { address, current, serving }
        }

        /// What a client that trusts this certificate gets.
        async fn get(&self, trusted: &CertificateDer<'static>) -> io::Result<String> {
            let mut roots = RootCertStore::empty();
            roots.add(trusted.clone()).unwrap();
            let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
            let stream = TcpStream::connect(self.address).await?;
            let name = ServerName::try_from("plane.example").unwrap();
            let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
            stream.write_all(b"GET / HTTP/1.1\r\nHost: plane.example\r\nConnection: close\r\n\r\n").await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            Ok(answer)
        }
    }

    #[tokio::test]
    async fn a_renewed_certificate_is_shown_to_whoever_comes_next() {
        let server = Server::new().await;
        let ((first, trust_first), (second, trust_second)) =
            (certificate("plane.example"), certificate("plane.example"));
        server.current.send_replace(Some(first));
        assert!(server.get(&trust_first).await.unwrap().ends_with("here"));
        assert!(server.get(&trust_second).await.is_err());
        server.current.send_replace(Some(second));
        assert!(server.get(&trust_second).await.unwrap().ends_with("here"));
        assert!(server.get(&trust_first).await.is_err());
        server.serving.abort();
    }

    #[tokio::test]
    async fn clients_wait_for_the_first_certificate() {
        let server = Server::new().await;
        let (first, trusted) = certificate("plane.example");
        let (answer, _) = tokio::join!(server.get(&trusted), async { server.current.send_replace(Some(first)) });
        assert!(answer.unwrap().ends_with("here"));
    }

    #[tokio::test]
    async fn without_tls_nothing_is_answered_and_silence_is_not_waited_for() {
        let server = Server::new().await;
        server.current.send_replace(Some(certificate("plane.example").0));
        for sent in ["GET / HTTP/1.1\r\nHost: plane.example\r\n\r\n", ""] {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            stream.write_all(sent.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            // A connection that is reset has ended as well.
            timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.expect("it ends in time").ok();
            assert!(!String::from_utf8_lossy(&answer).contains("here"));
        }
    }

    #[test]
    fn what_cannot_be_used_is_said_without_the_key() {
        let (one, other) = (
            rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap(),
            rcgen::generate_simple_self_signed(["b.example".to_owned()]).unwrap(),
        );
        let (chain, key) = (one.cert.pem(), other.signing_key.serialize_pem());
        for (chain, key, said) in [
            ("", key.as_str(), "no certificate"),
            (chain.as_str(), "", "private key cannot be read"),
            (&chain, "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n", "cannot be used together"),
            (&chain, &key, "cannot be used together"),
        ] {
            let error = Certificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
            assert!(!error.contains("c2VjcmV0") && !error.contains("PRIVATE KEY"), "{error}");
        }
    }
}
