//! A kubeconfig from a Secret: read with suspicion.
//!
//! Whoever may write the Secret is not thereby one whom the plane runs commands or reads files for. So the file is not
//! given to a loader that could (Flux had code execution there, GHSA-vvmq-fwmg-2gjc): what a connection needs is picked
//! out of it by name, and what would reach outside it is refused, not skipped, since the connection would be another
//! one without it. Only the current context is looked at, with its cluster and its user; other entries are never read.
//!
//! `kube::Config::from_custom_kubeconfig` is not used either: it takes a proxy from the plane's environment.
//!
//! Private and loopback addresses are where API servers are, so they are allowed. Link-local addresses are where cloud
//! machines find their credentials, so they are not; what a name resolves to is left to TLS, which those do not speak.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use kube::config::AuthInfo;
use rustls::{
    RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    sign::CertifiedKey,
};
use secrecy::SecretString;
use serde_json::{Map, Value};
use url::{Host, Url};

use super::{certificate, yaml};

/// The size of a Secret.
const MAX_SIZE: usize = 1 << 20;
/// Where the kubeconfig is in a Secret that does not say: as Cluster API writes it, as vcluster does, and as people do.
const KEYS: [&str; 3] = ["value", "config", "kubeconfig"];
const SERVICE_ACCOUNT: &str = "use the token of a service account (users[].user.token) or a client certificate";

/// Why a kubeconfig is not used. Names places in it, never a token, key or certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KubeconfigError {
    /// It is larger than a Secret can be.
    #[error("the kubeconfig is of {0} bytes; more than {MAX_SIZE} are not read")]
    TooLarge(usize),
    /// It is no YAML.
    #[error("the kubeconfig cannot be read: {0}")]
    Malformed(#[from] yaml::YamlError),
    /// It is no kubeconfig at all.
    #[error("this is no kubeconfig: {0}")]
    Shape(&'static str),
    /// Something is missing.
    #[error("the kubeconfig lacks {field}: {instead}")]
    Missing {
        /// Where.
        field: String,
        /// What to do.
        instead: String,
    },
    /// It asks for what the plane does not do.
    #[error("the kubeconfig is refused: {field} {why}; {instead}")]
    Refused {
        /// Where.
        field: String,
        /// What is wrong with it.
        why: &'static str,
        /// What to use in its place.
        instead: &'static str,
    },
    /// A value is not what it should be.
    #[error("the kubeconfig cannot work: {field} {problem}")]
    Invalid {
        /// Where.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// The Secret has no kubeconfig where it is looked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not under the key that was named.
    #[error("the Secret has no key {wanted:?}: it has {there}")]
    Named {
        /// The key.
        wanted: String,
        /// The keys that are there.
        there: String,
    },
    /// Not under any of the usual keys.
    #[error("the Secret has no key value, config or kubeconfig: name the one to use in secretRef.key; it has {there}")]
    Usual {
        /// The keys that are there.
        there: String,
    },
}

/// The key of a Secret that holds the kubeconfig.
///
/// # Errors
/// When there is none; the keys that are there are named.
pub fn secret_key<'a>(keys: impl IntoIterator<Item = &'a str>, wanted: Option<&str>) -> Result<&'a str, KeyError> {
    let keys: Vec<_> = keys.into_iter().collect();
    let find = |wanted: &str| keys.iter().find(|key| **key == wanted).copied();
    let there = || if keys.is_empty() { "none".to_owned() } else { keys.join(", ") };
    match wanted {
        Some(wanted) => find(wanted).ok_or_else(|| KeyError::Named { wanted: wanted.to_owned(), there: there() }),
        None => KEYS.into_iter().find_map(find).ok_or_else(|| KeyError::Usual { there: there() }),
    }
}

/// How the kubeconfig says to connect, at this time: what a client is made of.
///
/// # Errors
/// What is hostile, and what cannot work.
pub fn read(bytes: &[u8], now: Timestamp) -> Result<kube::Config, KubeconfigError> {
    if bytes.len() > MAX_SIZE {
        return Err(KubeconfigError::TooLarge(bytes.len()));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| KubeconfigError::Shape("it is no UTF-8 text"))?;
    let documents = yaml::documents(text)?;
    let [document] = &documents[..] else {
        return Err(KubeconfigError::Shape(if documents.is_empty() {
            "it is empty"
        } else {
            "it is of several documents: leave the one that is meant"
        }));
    };
    let root = document.value.as_object().ok_or(KubeconfigError::Shape("it is no mapping"))?;
    let root = Node { path: String::new(), fields: root };
    if root.text("kind")?.is_some_and(|kind| kind != "Config") {
        return Err(KubeconfigError::Shape("its kind is not Config"));
    }
    let current = root.required("current-context", "name the context that the plane is to use")?;
    let context = root.named("contexts", "context", current, "current-context")?;
    let cluster = context.required("cluster", "name the cluster of this context")?;
    let cluster = root.named("clusters", "cluster", cluster, &context.at("cluster"))?;
    let user = context.required("user", "name the user of this context")?;
    let user = root.named("users", "user", user, &context.at("user"))?;

    let mut config = server(&cluster)?;
    if let Some(namespace) = context.text("namespace")? {
        config.default_namespace = namespace.to_owned();
    }
    config.auth_info = credential(&user, now)?;
    Ok(config)
}

/// Where to connect to, and by what to know that it is there.
fn server(cluster: &Node<'_>) -> Result<kube::Config, KubeconfigError> {
    let inline = "put the certificate itself, base64, into certificate-authority-data";
    cluster.refuse("certificate-authority", "names a file", inline)?;
    cluster.refuse(
        "insecure-skip-tls-verify",
        "leaves open who answers",
        "remove it and give the cluster's certificate authority in certificate-authority-data",
    )?;
    cluster.refuse("proxy-url", "would lead the connection elsewhere", "name an address that the plane can reach")?;

    let address = cluster.required("server", "give the API server's address, as in https://10.0.0.1:6443")?;
    let field = "server";
    let url = Url::parse(address).map_err(|error| cluster.invalid(field, format!("is no address: {error}")))?;
    if url.scheme() != "https" {
        let instead = "use the API server's https:// address";
        return Err(cluster.refused(field, "would send the credential unencrypted", instead));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(cluster.refused(field, "holds a user name or password", SERVICE_ACCOUNT));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(cluster.invalid(field, "has a query or fragment, which the address of an API server cannot have"));
    }
    if is_link_local(&url) {
        let instead = "name the address at which other machines reach the API server";
        return Err(cluster.refused(
            field,
            "is a link-local address, where machines keep their own credentials",
            instead,
        ));
    }
    let uri = url.as_str().parse().map_err(|_| cluster.invalid(field, "is no address"))?;

    let mut config = kube::Config::new(uri);
    if let Some(authority) = cluster.pem("certificate-authority-data")? {
        config.root_cert = Some(authorities(cluster, &authority)?);
    }
    if let Some(name) = cluster.text("tls-server-name")? {
        if ServerName::try_from(name).is_err() {
            return Err(cluster.invalid("tls-server-name", "is no host name"));
        }
        config.tls_server_name = Some(name.to_owned());
    }
    Ok(config)
}

fn is_link_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_link_local(),
        Some(Host::Ipv6(address)) => {
            address.is_unicast_link_local() || address.to_ipv4_mapped().is_some_and(|v4| v4.is_link_local())
        }
        _ => false,
    }
}

fn authorities(cluster: &Node<'_>, pem: &[u8]) -> Result<Vec<Vec<u8>>, KubeconfigError> {
    let field = "certificate-authority-data";
    let certificates = certificates(cluster, field, pem)?;
    let mut roots = RootCertStore::empty();
    for certificate in &certificates {
        roots.add(certificate.clone()).map_err(|_| cluster.invalid(field, "holds what is no X.509 certificate"))?;
    }
    Ok(certificates.iter().map(|certificate| certificate.to_vec()).collect())
}

fn certificates(node: &Node<'_>, field: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, KubeconfigError> {
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| node.invalid(field, "is not PEM"))?;
    match certificates.is_empty() {
        true => Err(node.invalid(field, "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)")),
        false => Ok(certificates),
    }
}

/// Who the plane is there.
fn credential(user: &Node<'_>, now: Timestamp) -> Result<AuthInfo, KubeconfigError> {
    user.refuse("exec", "would run a command", SERVICE_ACCOUNT)?;
    user.refuse("auth-provider", "would run a command or call another service", SERVICE_ACCOUNT)?;
    let inline = "put what is in the file, base64, into the field of this name that ends in -data";
    user.refuse("client-certificate", "names a file", inline)?;
    user.refuse("client-key", "names a file", inline)?;
    user.refuse("tokenFile", "names a file", "put the token itself into token")?;
    for field in ["as", "as-uid", "as-groups", "as-user-extra"] {
        let instead = "give the plane's user the rights it needs in the cluster";
        user.refuse(field, "would act as somebody else", instead)?;
    }
    for field in ["username", "password"] {
        user.refuse(field, "is what no Kubernetes since 1.19 takes", SERVICE_ACCOUNT)?;
    }

    let mut info = AuthInfo::default();
    if let Some(token) = user.text("token")? {
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(user.invalid("token", "holds a character that no token has, perhaps a space or line break"));
        }
        if let Some(end) = certificate::token_expiry(token) {
            in_time(user, "token", end, now)?;
        }
        info.token = Some(SecretString::from(token));
    }
    match (user.pem("client-certificate-data")?, user.pem("client-key-data")?) {
        (None, None) => {}
        (Some(chain), Some(key)) => {
            let certificate = identity(user, &chain, &key)?;
            if let Some(end) = certificate::expiry(&certificate) {
                in_time(user, "client-certificate-data", end, now)?;
            }
            info.client_certificate_data = Some(STANDARD.encode(chain));
            info.client_key_data = Some(SecretString::from(STANDARD.encode(key)));
        }
        (Some(_), None) => {
            return Err(user.missing("client-key-data", "the client certificate is of no use without it"));
        }
        (None, Some(_)) => {
            return Err(user.missing("client-certificate-data", "the client key is of no use without it"));
        }
    }
    if info.token.is_none() && info.client_certificate_data.is_none() {
        return Err(
            user.missing("token", "the user has no credential. Give a token or a client certificate with its key")
        );
    }
    Ok(info)
}

/// The certificate of a client, which is the first of its chain, once its key is known to fit.
fn identity(user: &Node<'_>, chain: &[u8], key: &[u8]) -> Result<CertificateDer<'static>, KubeconfigError> {
    let chain = certificates(user, "client-certificate-data", chain)?;
    let field = "client-key-data";
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| user.invalid(field, "holds no private key in PEM"))?;
    let first = chain[0].clone();
    match CertifiedKey::from_der(chain, key, &ring::default_provider()) {
        Ok(_) => Ok(first),
        Err(rustls::Error::InconsistentKeys(_)) => Err(user.invalid(field, "is not the key of the client certificate")),
        Err(rustls::Error::InvalidCertificate(_)) => {
            Err(user.invalid("client-certificate-data", "holds what is no X.509 certificate"))
        }
        Err(_) => Err(user.invalid(field, "is a private key of a kind that is not supported")),
    }
}

fn in_time(user: &Node<'_>, field: &str, end: Timestamp, now: Timestamp) -> Result<(), KubeconfigError> {
    match end > now {
        true => Ok(()),
        false => Err(user.invalid(field, format!("expired at {end}: put a new one into the Secret"))),
    }
}

/// A mapping in the kubeconfig, and where it is.
struct Node<'a> {
    path: String,
    fields: &'a Map<String, Value>,
}

impl<'a> Node<'a> {
    fn at(&self, field: &str) -> String {
        if self.path.is_empty() { field.to_owned() } else { format!("{}.{field}", self.path) }
    }

    fn invalid(&self, field: &str, problem: impl Into<String>) -> KubeconfigError {
        KubeconfigError::Invalid { field: self.at(field), problem: problem.into() }
    }

    fn missing(&self, field: &str, instead: impl Into<String>) -> KubeconfigError {
        KubeconfigError::Missing { field: self.at(field), instead: instead.into() }
    }

    fn refused(&self, field: &str, why: &'static str, instead: &'static str) -> KubeconfigError {
        KubeconfigError::Refused { field: self.at(field), why, instead }
    }

    /// Refuses a field that is set to anything.
    fn refuse(&self, field: &str, why: &'static str, instead: &'static str) -> Result<(), KubeconfigError> {
        match self.fields.get(field) {
            None | Some(Value::Null | Value::Bool(false)) => Ok(()),
            Some(Value::String(text)) if text.is_empty() => Ok(()),
            Some(_) => Err(self.refused(field, why, instead)),
        }
    }

    /// A text; none where it is not set or empty.
    fn text(&self, field: &str) -> Result<Option<&'a str>, KubeconfigError> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(self.invalid(field, "is no text: put it into quotes")),
        }
    }

    fn required(&self, field: &str, instead: &str) -> Result<&'a str, KubeconfigError> {
        self.text(field)?.ok_or_else(|| self.missing(field, instead))
    }

    /// What a `-data` field holds.
    fn pem(&self, field: &str) -> Result<Option<Vec<u8>>, KubeconfigError> {
        let Some(text) = self.text(field)? else { return Ok(None) };
        let text: String = text.split_ascii_whitespace().collect();
        STANDARD.decode(text).map(Some).map_err(|_| self.invalid(field, "is not base64"))
    }

    /// The entry of a list by its name, which `wanted_by` refers to.
    fn named(&self, list: &str, kind: &str, name: &str, wanted_by: &str) -> Result<Self, KubeconfigError> {
        let entries = match self.fields.get(list) {
            None | Some(Value::Null) => &[][..],
            Some(Value::Array(entries)) => entries,
            Some(_) => return Err(self.invalid(list, "is no list")),
        };
        let mut matching = entries.iter().enumerate().filter(|(_, entry)| entry["name"] == name);
        let shown: String = name.chars().take(80).collect();
        let Some((index, entry)) = matching.next() else {
            return Err(self.missing(list, format!("{wanted_by} names {shown:?}, which is not there")));
        };
        if matching.next().is_some() {
            return Err(self.invalid(list, format!("has {shown:?} twice: leave the one that is meant")));
        }
        let path = format!("{list}[{index}].{kind}");
        match entry.get(kind) {
            Some(Value::Object(fields)) => Ok(Self { path, fields }),
            _ => Err(KubeconfigError::Missing { field: path, instead: format!("say what {shown:?} is") }),
        }
    }
}

#[cfg(test)]
mod tests;
