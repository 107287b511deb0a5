//! From the command line to the ImageUpload that is applied.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{
    api::{ContainerPort, GROUP, ImageSource, ImageUpload, PortProtocol, RetentionPolicy, VERSION, annotation},
    digest::Digest,
};

/// The field manager of what this command says.
pub const FIELD_MANAGER: &str = "orbit-cli";

/// What the user asks for.
#[derive(Debug, Clone)]
pub struct Request {
    /// Namespace of the ImageUpload.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The application.
    pub application: String,
    /// The release's version.
    pub version: String,
    /// Where the image comes from.
    pub source: ImageSource,
    /// Hash of the upload key, for an archive.
    pub key_hash: Option<Digest>,
    /// Environments the release may go to.
    pub environments: Vec<String>,
    /// Configuration.
    pub config: BTreeMap<String, String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// The user's own labels.
    pub metadata: BTreeMap<String, String>,
    /// How many pods run.
    pub replicas: Option<i32>,
    /// Ports the container listens on.
    pub ports: Vec<ContainerPort>,
    /// Secrets that become environment variables.
    pub secrets: Vec<String>,
    /// What becomes of stored data.
    pub retention: Option<RetentionPolicy>,
}

impl Request {
    /// The object to apply, with what the user said and nothing else: a default written out would be a field that this
    /// command owns, and take it from whoever set it.
    pub fn manifest(&self) -> Value {
        let mut annotations = Map::new();
        if let Some(hash) = self.key_hash {
            annotations.insert(annotation::UPLOAD_KEY.into(), json!(hash));
        }
        let workload = given([
            ("replicas", self.replicas.map(|n| json!(n))),
            ("ports", some(&self.ports, self.ports.is_empty())),
            (
                "secretRefs",
                (!self.secrets.is_empty()).then(|| self.secrets.iter().map(|name| json!({"name": name})).collect()),
            ),
        ]);
        let spec = given([
            ("application", Some(json!(self.application))),
            ("version", Some(json!(self.version))),
            ("images", Some(json!([{"name": "main", "source": self.source}]))),
            ("environments", some(&self.environments, self.environments.is_empty())),
            ("config", some(&self.config, self.config.is_empty())),
            ("workload", some(&workload, workload.is_empty())),
            ("owner", self.owner.as_ref().map(|owner| json!(owner))),
            ("metadata", some(&self.metadata, self.metadata.is_empty())),
            ("retentionPolicy", self.retention.map(|policy| json!(policy))),
        ]);
        json!({
            "apiVersion": format!("{GROUP}/{VERSION}"),
            "kind": "ImageUpload",
            "metadata": {"name": self.name, "namespace": self.namespace, "annotations": annotations},
            "spec": spec,
        })
    }

    /// The same once more, for the plane to look at `applied` again. With its uid: the API server makes no new object.
    pub fn once_more(&self, applied: &ImageUpload, requested_at: Timestamp) -> Value {
        let mut manifest = self.manifest();
        manifest["metadata"]["uid"] = json!(applied.metadata.uid);
        manifest["metadata"]["annotations"][annotation::REQUESTED_AT] = json!(requested_at);
        manifest
    }
}

fn some(value: &impl serde::Serialize, empty: bool) -> Option<Value> {
    (!empty).then(|| json!(value))
}

fn given<const N: usize>(fields: [(&str, Option<Value>); N]) -> Map<String, Value> {
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Reads an application's name: what the API server would refuse is refused before an archive is read for it.
pub fn parse_application(text: &str) -> Result<String, String> {
    if text.len() <= 40 && text.starts_with(|c: char| c.is_ascii_lowercase()) && is_name(text, false) {
        return Ok(text.to_owned());
    }
    Err("an application's name is of 1 to 40 lower-case letters, digits and hyphens, and begins with a letter"
        .to_owned())
}

/// Reads an environment's name.
pub fn parse_environment(text: &str) -> Result<String, String> {
    if text.len() <= 20 && is_name(text, false) {
        return Ok(text.to_owned());
    }
    Err("an environment's name is of 1 to 20 lower-case letters, digits and hyphens".to_owned())
}

/// Reads the name of an object.
pub fn parse_name(text: &str) -> Result<String, String> {
    if text.len() <= 253 && is_name(text, true) {
        return Ok(text.to_owned());
    }
    Err("a name is of lower-case letters, digits, hyphens and dots".to_owned())
}

fn is_name(text: &str, dots: bool) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || (dots && b == b'.');
    let outer = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.bytes().all(inner) && outer(text.as_bytes().first()) && outer(text.as_bytes().last())
}

/// Reads a version.
pub fn parse_version(text: &str) -> Result<String, String> {
    match semver::Version::parse(text) {
        Ok(version) if version.build.is_empty() && text.len() <= 64 && !text.bytes().any(|b| b.is_ascii_uppercase()) => {
            Ok(text.to_owned())
        }
        _ => Err(
            "a semantic version is expected, as in 1.4.0 or 1.4.0-rc.1: three numbers, no v before them, no +build, no capitals"
                .to_owned(),
        ),
    }
}

/// Reads `[NAME=]PORT[/PROTOCOL]`; a port without a name is called after its protocol and number.
pub fn parse_port(text: &str) -> Result<ContainerPort, String> {
    let (name, rest) = match text.split_once('=') {
        Some((name, rest)) => (Some(name), rest),
        None => (None, text),
    };
    let (number, protocol) = rest.split_once('/').unwrap_or((rest, "tcp"));
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "tcp" => PortProtocol::Tcp,
        "udp" => PortProtocol::Udp,
        "sctp" => PortProtocol::Sctp,
        other => return Err(format!("{other} is no protocol of a port: tcp, udp or sctp is")),
    };
    let container_port: u16 = number
        .parse()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| format!("{number:?} is no port: a number from 1 to 65535 is expected"))?;
    let name = match name {
        Some(name) => name.to_owned(),
        None => format!("{}-{container_port}", rest.split_once('/').map_or("tcp", |(_, p)| p).to_ascii_lowercase()),
    };
    Ok(ContainerPort { name, container_port: container_port.into(), protocol })
}

/// Reads `Retain` or `Delete`.
pub fn parse_retention(text: &str) -> Result<RetentionPolicy, String> {
    match text.to_ascii_lowercase().as_str() {
        "retain" => Ok(RetentionPolicy::Retain),
        "delete" => Ok(RetentionPolicy::Delete),
        _ => Err("Retain or Delete is expected".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::api::ArchiveSource;

    fn minimal() -> Request {
        Request {
            namespace: "shop".into(),
            name: "web".into(),
            application: "web".into(),
            version: "1.4.0".into(),
            source: ImageSource { archive: Some(ArchiveSource { sha256: Digest::of("a"), size: 1 }), reference: None },
            key_hash: Some(Digest::of("key")),
            environments: vec![],
            config: BTreeMap::new(),
            owner: None,
            metadata: BTreeMap::new(),
            replicas: None,
            ports: vec![],
            secrets: vec![],
            retention: None,
        }
    }

    #[test]
    fn says_only_what_the_user_said() {
        assert_eq!(
            minimal().manifest(),
            json!({
                "apiVersion": "orbit.k8or.io/v1alpha1",
                "kind": "ImageUpload",
                "metadata": {
                    "name": "web",
                    "namespace": "shop",
                    "annotations": {"orbit.k8or.io/upload-key-sha256": Digest::of("key")},
                },
                "spec": {
                    "application": "web",
                    "version": "1.4.0",
                    "images": [{"name": "main", "source": {"archive": {"sha256": Digest::of("a"), "size": 1}}}],
                },
            })
        );
    }

    #[test]
    fn says_all_that_the_user_said() {
        let request = Request {
            environments: vec!["dev".into(), "prod".into()],
            config: BTreeMap::from([("LOG_LEVEL".into(), "info".into())]),
            owner: Some("maria@shop.example".into()),
            metadata: BTreeMap::from([("team".into(), "checkout".into())]),
            replicas: Some(2),
            ports: vec![parse_port("http=8080").unwrap()],
            secrets: vec!["web-db".into()],
            retention: Some(RetentionPolicy::Delete),
            ..minimal()
        };
        let object: ImageUpload = serde_json::from_value(request.manifest()).expect("it is an ImageUpload");
        assert_eq!(object.spec.environments, ["dev", "prod"]);
        assert_eq!(object.spec.config["LOG_LEVEL"], "info");
        assert_eq!(object.spec.owner.as_deref(), Some("maria@shop.example"));
        assert_eq!(object.spec.metadata["team"], "checkout");
        assert_eq!(object.spec.workload.replicas, Some(2));
        assert_eq!(object.spec.workload.ports, [parse_port("http=8080").unwrap()]);
        assert_eq!(object.spec.workload.secret_refs[0].name, "web-db");
        assert_eq!(object.spec.retention_policy, RetentionPolicy::Delete);
    }

    #[test]
    fn asking_again_means_the_same_object() {
        let request = minimal();
        let mut applied: ImageUpload = serde_json::from_value(request.manifest()).unwrap();
        applied.metadata.uid = Some("u".into());
        let mut again = request.once_more(&applied, Timestamp::UNIX_EPOCH);
        assert_eq!(again["metadata"]["uid"], "u");
        let annotations = again["metadata"]["annotations"].as_object_mut().unwrap();
        assert_eq!(annotations.remove("orbit.k8or.io/requestedAt"), Some(json!("1970-01-01T00:00:00Z")));
        again["metadata"].as_object_mut().unwrap().remove("uid");
        assert_eq!(again, request.manifest());
    }

    #[test]
    fn reads_ports() {
        let port = |name: &str, container_port, protocol| ContainerPort { name: name.into(), container_port, protocol };
        assert_eq!(parse_port("8080"), Ok(port("tcp-8080", 8080, PortProtocol::Tcp)));
        assert_eq!(parse_port("dns=53/UDP"), Ok(port("dns", 53, PortProtocol::Udp)));
        assert_eq!(parse_port("53/udp"), Ok(port("udp-53", 53, PortProtocol::Udp)));
        for text in ["", "0", "65536", "x", "80/icmp", "http=", "-1"] {
            assert!(parse_port(text).is_err(), "{text:?}");
        }
    }
}
