//! What an image says of itself.
//!
//! The shape is that of the OCI image-spec (config.md) with what only Docker writes (`Healthcheck`, `Shell`). Any field
//! may be missing or null. Fields that matter to no chart are not looked at.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::Deserialize;
use serde_json::Value;

use super::{ManifestorError, error::read_document};
use crate::{api::PortProtocol, digest::Digest, image_harbor::ImageHarbor};

/// What of an image's config matters to a chart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageConfig {
    /// `USER`, as written: a name or an id, with or without `:group`. Empty means root.
    pub user: String,
    /// `EXPOSE`, sorted by number and protocol.
    pub exposed_ports: Vec<(u16, PortProtocol)>,
    /// `ENV`, in order.
    pub env: Vec<(String, String)>,
    /// `ENTRYPOINT`.
    pub entrypoint: Vec<String>,
    /// `CMD`.
    pub cmd: Vec<String>,
    /// `HEALTHCHECK`; none where there is none, or `HEALTHCHECK NONE`.
    pub healthcheck: Option<Healthcheck>,
    /// `VOLUME`: absolute, clean paths, sorted. The root directory is never among them.
    pub volumes: Vec<String>,
    /// `STOPSIGNAL`.
    pub stop_signal: Option<String>,
    /// `WORKDIR`.
    pub working_dir: Option<String>,
    /// `LABEL`.
    pub labels: BTreeMap<String, String>,
}

/// A command that says whether the container is well, and how often Docker would run it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Healthcheck {
    /// The command as it is executed. The shell form has its shell spelled out.
    pub command: Vec<String>,
    /// From the end of one check to the begin of the next.
    pub interval: Duration,
    /// After which a check has failed.
    pub timeout: Duration,
    /// In which a new container's failures do not count.
    pub start_period: Duration,
    /// From check to check in the start period.
    pub start_interval: Duration,
    /// Failures in a row after which the container is unhealthy.
    pub retries: u32,
}

impl ImageConfig {
    /// Reads an image config.
    pub fn parse(json: &[u8]) -> Result<Self, ManifestorError> {
        let invalid = |e: &dyn std::fmt::Display| {
            ManifestorError::Image(format!("the image config is not what OCI says it is: {e}"))
        };
        // Objects by their type first: a derived reader would take arrays for them.
        let mut document: serde_json::Map<String, Value> = serde_json::from_slice(json).map_err(|e| invalid(&e))?;
        let config = match document.remove("config") {
            None | Some(Value::Null) => Config::default(),
            Some(config @ Value::Object(_)) => serde_json::from_value(config).map_err(|e| invalid(&e))?,
            Some(_) => return Err(invalid(&"config is no object")),
        };
        Ok(Self {
            user: config.user.unwrap_or_default().trim().to_owned(),
            exposed_ports: config
                .exposed_ports
                .unwrap_or_default()
                .keys()
                .map(|text| exposed_port(text))
                .collect::<Result<BTreeSet<_>, _>>()?
                .into_iter()
                .collect(),
            env: config
                .env
                .unwrap_or_default()
                .into_iter()
                .map(|entry| match entry.split_once('=') {
                    Some((name, value)) => (name.to_owned(), value.to_owned()),
                    None => (entry, String::new()),
                })
                .collect(),
            entrypoint: config.entrypoint.unwrap_or_default(),
            cmd: config.cmd.unwrap_or_default(),
            healthcheck: config.healthcheck.and_then(|raw| raw.resolve(config.shell.unwrap_or_default())),
            volumes: config
                .volumes
                .unwrap_or_default()
                .keys()
                .filter_map(|path| clean_path(path))
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
            stop_signal: config.stop_signal.filter(|signal| !signal.is_empty()),
            working_dir: config.working_dir.filter(|path| !path.is_empty()),
            labels: config.labels.unwrap_or_default(),
        })
    }
}

/// Reads what the image config `config` says.
pub async fn read_image_config(harbor: &dyn ImageHarbor, config: &Digest) -> Result<ImageConfig, ManifestorError> {
    ImageConfig::parse(&read_document(harbor, config, "image config").await?)
}

/// The keys of sets are objects in this format: `{"8080/tcp": {}}`.
type Set = BTreeMap<String, serde::de::IgnoredAny>;

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Config {
    user: Option<String>,
    exposed_ports: Option<Set>,
    env: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    healthcheck: Option<RawHealthcheck>,
    shell: Option<Vec<String>>,
    volumes: Option<Set>,
    stop_signal: Option<String>,
    working_dir: Option<String>,
    labels: Option<BTreeMap<String, String>>,
}

/// Docker's `HealthConfig`: durations are nanoseconds, and zero stands for Docker's default.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawHealthcheck {
    #[serde(default)]
    test: Option<Vec<String>>,
    #[serde(default)]
    interval: Option<i64>,
    #[serde(default)]
    timeout: Option<i64>,
    #[serde(default)]
    start_period: Option<i64>,
    #[serde(default)]
    start_interval: Option<i64>,
    #[serde(default)]
    retries: Option<i64>,
}

impl RawHealthcheck {
    fn resolve(self, shell: Vec<String>) -> Option<Healthcheck> {
        let mut test = self.test?.into_iter();
        let command: Vec<String> = match test.next()?.as_str() {
            "CMD" => test.collect(),
            "CMD-SHELL" => {
                let shell = if shell.is_empty() { vec!["/bin/sh".to_owned(), "-c".to_owned()] } else { shell };
                shell.into_iter().chain(test.next()).collect()
            }
            // "NONE", or nothing that Docker knows.
            _ => return None,
        };
        if command.is_empty() {
            return None;
        }
        let duration = |nanoseconds: Option<i64>, default: u64| match nanoseconds.map(u64::try_from) {
            Some(Ok(n)) if n > 0 => Duration::from_nanos(n),
            _ => Duration::from_secs(default),
        };
        Some(Healthcheck {
            command,
            interval: duration(self.interval, 30),
            timeout: duration(self.timeout, 30),
            start_period: duration(self.start_period, 0),
            start_interval: duration(self.start_interval, 5),
            retries: self.retries.and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0).unwrap_or(3),
        })
    }
}

/// `8080`, `8080/tcp` or `53/udp`.
fn exposed_port(text: &str) -> Result<(u16, PortProtocol), ManifestorError> {
    let invalid = || {
        let text: String = text.chars().take(40).collect();
        ManifestorError::Image(format!(
            "the image config exposes {text:?}, which is no port: expected a number from 1 to 65535, then /tcp, /udp, \
             /sctp or nothing (EXPOSE in the Dockerfile)"
        ))
    };
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "tcp" | "" => PortProtocol::Tcp,
        "udp" => PortProtocol::Udp,
        "sctp" => PortProtocol::Sctp,
        _ => return Err(invalid()),
    };
    let number = Some(number).filter(|n| n.bytes().all(|b| b.is_ascii_digit())).and_then(|n| n.parse().ok());
    Ok((number.filter(|n| *n > 0).ok_or_else(invalid)?, protocol))
}

/// An absolute path without `.`, `..` and doubled slashes, as Docker reads `VOLUME`; none for the root directory.
fn clean_path(path: &str) -> Option<String> {
    let mut clean: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                clean.pop();
            }
            part => clean.push(part),
        }
    }
    (!clean.is_empty()).then(|| format!("/{}", clean.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(config: serde_json::Value) -> Result<ImageConfig, ManifestorError> {
        ImageConfig::parse(
            serde_json::json!({"architecture": "amd64", "os": "linux", "config": config}).to_string().as_bytes(),
        )
    }

    #[test]
    fn reads_what_docker_writes() {
        let config = parse(serde_json::json!({
            "Hostname": "", "User": "app:staff", "ExposedPorts": {"53/udp": {}, "8080/tcp": {}, "53/tcp": {}, "9000": {}},
            "Env": ["PATH=/bin", "EMPTY=", "BARE", "A=b=c"], "Entrypoint": ["/web"], "Cmd": null,
            "Healthcheck": {"Test": ["CMD-SHELL", "curl -f localhost"], "Interval": 5_000_000_000_i64, "Retries": 2},
            "Volumes": {"/data/": {}, "cache": {}, "/": {}, "/a/../data": {}}, "StopSignal": "SIGQUIT",
            "Labels": {"org.opencontainers.image.title": "web"}, "WorkingDir": "/srv",
        }))
        .unwrap();
        assert_eq!(config.user, "app:staff");
        assert_eq!(
            config.exposed_ports,
            [(53, PortProtocol::Tcp), (53, PortProtocol::Udp), (8080, PortProtocol::Tcp), (9000, PortProtocol::Tcp)]
        );
        assert_eq!(config.env[2..], [("BARE".into(), "".into()), ("A".into(), "b=c".into())]);
        assert_eq!((config.entrypoint.len(), config.cmd.len()), (1, 0));
        assert_eq!(config.volumes, ["/cache", "/data"]);
        let check = config.healthcheck.unwrap();
        assert_eq!(check.command, ["/bin/sh", "-c", "curl -f localhost"]);
        assert_eq!((check.interval.as_secs(), check.timeout.as_secs(), check.retries), (5, 30, 2));
    }

    #[test]
    fn nothing_and_null_are_an_image_without_wishes() {
        assert_eq!(ImageConfig::parse(b"{}").unwrap(), ImageConfig::default());
        assert_eq!(ImageConfig::parse(br#"{"config": null}"#).unwrap(), ImageConfig::default());
        let nulls = serde_json::json!({"User": null, "ExposedPorts": null, "Env": null, "Volumes": null, "Labels": null,
            "Healthcheck": null, "StopSignal": "", "WorkingDir": ""});
        assert_eq!(parse(nulls).unwrap(), ImageConfig::default());
    }

    #[test]
    fn no_healthcheck_and_the_shell_of_the_image() {
        for test in
            [serde_json::json!(["NONE"]), serde_json::json!([]), serde_json::json!(null), serde_json::json!(["CMD"])]
        {
            assert_eq!(parse(serde_json::json!({"Healthcheck": {"Test": test}})).unwrap().healthcheck, None);
        }
        let config =
            parse(serde_json::json!({"Shell": ["/bin/bash", "-ec"], "Healthcheck": {"Test": ["CMD-SHELL", "true"]}}));
        assert_eq!(config.unwrap().healthcheck.unwrap().command, ["/bin/bash", "-ec", "true"]);
    }

    #[test]
    fn hostile_documents_are_sentences() {
        for json in ["", "[]", "\"x\"", r#"{"config": []}"#, r#"{"config": {"Env": "x"}}"#, "{\"config\":\u{0}}"] {
            let error = ImageConfig::parse(json.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with("the image config is not what OCI says it is: "), "{error}");
        }
        for port in ["0/tcp", "65536/tcp", "8080/icmp", "+80/tcp", "80-90/tcp", "", "/", "１"] {
            let error = parse(serde_json::json!({"ExposedPorts": {port: {}}})).unwrap_err().to_string();
            assert!(error.contains("which is no port"), "{error}");
        }
        let deep = format!("{{\"config\": {}", "[".repeat(100_000));
        assert!(ImageConfig::parse(deep.as_bytes()).is_err());
    }
}
