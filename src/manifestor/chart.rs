//! The files of a chart.

use std::collections::{BTreeMap, BTreeSet};

use super::{ImageConfig, ManifestorError, RunAs, probes, values, yaml};
use crate::{
    api::{ContainerPort, PortProtocol, Probe, Probes, Workload},
    digest::Digest,
};

/// What a chart is made from. All of it is frozen with the release; what may change later (owner, environments) is
/// not in a chart.
#[derive(Debug, Clone)]
pub struct ChartInput<'a> {
    /// The application: the chart's name.
    pub application: &'a str,
    /// The release's version: the chart's version.
    pub version: &'a str,
    /// Digest of the release.
    pub release_digest: Digest,
    /// The image's repository without a registry's host, as in `shop/web`.
    pub repository: String,
    /// What the image is pinned to.
    pub image_digest: Digest,
    /// What the image says of itself.
    pub image: &'a ImageConfig,
    /// Which user the container runs as.
    pub run_as: RunAs,
    /// Configuration, which becomes environment variables.
    pub config: &'a BTreeMap<String, String>,
    /// What the user asks of the workload.
    pub workload: &'a Workload,
}

/// A chart's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chart {
    /// Content by path in the chart, as in `templates/deployment.yaml`.
    pub files: BTreeMap<String, String>,
    /// Why the workload cannot run under Pod Security "restricted", where it cannot.
    pub unrestricted: Option<String>,
}

/// The files that are the same in every chart.
const STATIC_FILES: [(&str, &str); 12] = [
    ("values.schema.json", include_str!("values.schema.json")),
    ("templates/NOTES.txt", include_str!("templates/NOTES.txt")),
    ("templates/_helpers.tpl", include_str!("templates/_helpers.tpl")),
    ("templates/configmap.yaml", include_str!("templates/configmap.yaml")),
    ("templates/deployment.yaml", include_str!("templates/deployment.yaml")),
    ("templates/horizontalpodautoscaler.yaml", include_str!("templates/horizontalpodautoscaler.yaml")),
    ("templates/networkpolicy.yaml", include_str!("templates/networkpolicy.yaml")),
    ("templates/poddisruptionbudget.yaml", include_str!("templates/poddisruptionbudget.yaml")),
    ("templates/service.yaml", include_str!("templates/service.yaml")),
    ("templates/serviceaccount.yaml", include_str!("templates/serviceaccount.yaml")),
    ("templates/tests/connection.yaml", include_str!("templates/tests/connection.yaml")),
    (".helmignore", include_str!("helmignore")),
];

/// Ports of an image that a chart takes over by itself; beyond, the user says which matter.
const MAX_PORTS: usize = 100;

/// The chart of a release. Pure: the same input gives the same files.
pub fn generate(input: &ChartInput<'_>) -> Result<Chart, ManifestorError> {
    check_config(input.config)?;
    let ports = ports(input.image, input.workload)?;
    let probes = probes(input.image, input.workload, &ports)?;
    let mut files: BTreeMap<String, String> =
        STATIC_FILES.iter().map(|(path, content)| ((*path).to_owned(), (*content).to_owned())).collect();
    files.insert("Chart.yaml".into(), chart_yaml(input));
    files.insert("values.yaml".into(), values::values_yaml(input, &ports, &probes));
    Ok(Chart { files, unrestricted: unrestricted(input) })
}

/// Why Pod Security "restricted" is out of reach.
fn unrestricted(input: &ChartInput<'_>) -> Option<String> {
    match &input.run_as {
        RunAs::Numeric { .. } => None,
        RunAs::Root if input.image.user.is_empty() => Some(
            "the image runs as root because it names no user: add a line such as USER 1000 to its Dockerfile".into(),
        ),
        RunAs::Root => Some(format!(
            "the image runs as root (USER {:?}): name another user in its Dockerfile, as in USER 1000",
            input.image.user
        )),
        RunAs::Unresolved { name, why } => Some(format!(
            "the image's user {name:?} has no known number ({why}): write the number into its Dockerfile, as in USER 1000"
        )),
    }
}

/// Keys that a ConfigMap takes and values that an environment variable can hold.
fn check_config(config: &BTreeMap<String, String>) -> Result<(), ManifestorError> {
    for (key, value) in config {
        let allowed = (1..=253).contains(&key.len())
            && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
            && key != "."
            && !key.starts_with("..");
        if !allowed {
            let key: String = key.chars().take(80).collect();
            return Err(ManifestorError::Spec(format!(
                "spec.config has the key {key:?}, which Kubernetes refuses: use letters, digits, '-', '_' and '.', at most 253"
            )));
        }
        if value.contains('\0') {
            return Err(ManifestorError::Spec(format!(
                "spec.config.{key} holds a NUL character, which no environment variable can"
            )));
        }
    }
    Ok(())
}

/// The user's ports, else the image's, which are named after protocol and number: `tcp-8080`.
fn ports(image: &ImageConfig, workload: &Workload) -> Result<Vec<ContainerPort>, ManifestorError> {
    if workload.ports.is_empty() {
        if image.exposed_ports.len() > MAX_PORTS {
            return Err(ManifestorError::Spec(format!(
                "the image exposes {} ports, more than {MAX_PORTS}: name those that matter in spec.workload.ports",
                image.exposed_ports.len()
            )));
        }
        return Ok(image.exposed_ports.iter().map(|(number, protocol)| image_port(*number, *protocol)).collect());
    }
    let mut names = BTreeSet::new();
    let mut numbers = BTreeSet::new();
    for (i, port) in workload.ports.iter().enumerate() {
        let at = format!("spec.workload.ports[{i}]");
        if !is_port_name(&port.name) {
            return Err(ManifestorError::Spec(format!(
                "{at}.name is {:?}: a port's name has 1 to 15 lower-case letters, digits and single hyphens inside, one letter at least",
                port.name
            )));
        }
        if !(1..=65535).contains(&port.container_port) {
            return Err(ManifestorError::Spec(format!(
                "{at}.containerPort is {}: ports are 1 to 65535",
                port.container_port
            )));
        }
        if !names.insert(&port.name) {
            return Err(ManifestorError::Spec(format!(
                "{at}.name is {:?}, as another port's: names differ",
                port.name
            )));
        }
        if !numbers.insert((port.container_port, port.protocol)) {
            return Err(ManifestorError::Spec(format!(
                "{at} repeats port {}/{}: each port is named once",
                port.container_port,
                protocol_word(port.protocol).to_uppercase()
            )));
        }
    }
    Ok(workload.ports.clone())
}

fn image_port(number: u16, protocol: PortProtocol) -> ContainerPort {
    ContainerPort { name: format!("{}-{number}", protocol_word(protocol)), container_port: number.into(), protocol }
}

fn protocol_word(protocol: PortProtocol) -> &'static str {
    match protocol {
        PortProtocol::Tcp => "tcp",
        PortProtocol::Udp => "udp",
        PortProtocol::Sctp => "sctp",
    }
}

/// Kubernetes' IANA_SVC_NAME (RFC 6335, section 5.1), which is narrower than the pattern of the CRD.
fn is_port_name(name: &str) -> bool {
    (1..=15).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && name.bytes().any(|b| b.is_ascii_lowercase())
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--")
}

/// The user's probes, be they none at all; else what follows from the image's HEALTHCHECK.
fn probes(image: &ImageConfig, workload: &Workload, ports: &[ContainerPort]) -> Result<Probes, ManifestorError> {
    let Some(probes) = &workload.probes else {
        return Ok(image.healthcheck.as_ref().map(probes::from_healthcheck).unwrap_or_default());
    };
    for (name, probe) in
        [("startup", &probes.startup), ("liveness", &probes.liveness), ("readiness", &probes.readiness)]
    {
        if let Some(probe) = probe {
            check_probe(&format!("spec.workload.probes.{name}"), probe, ports)?;
        }
    }
    Ok(probes.clone())
}

fn check_probe(at: &str, probe: &Probe, ports: &[ContainerPort]) -> Result<(), ManifestorError> {
    let ways = [probe.http_get.is_some(), probe.tcp_socket.is_some(), probe.exec.is_some()];
    if ways.iter().filter(|w| **w).count() != 1 {
        return Err(ManifestorError::Spec(format!("{at} needs exactly one of httpGet, tcpSocket and exec")));
    }
    let port = probe.http_get.as_ref().map(|p| &p.port).or(probe.tcp_socket.as_ref().map(|p| &p.port));
    let Some(port) = port else { return Ok(()) };
    if ports.iter().any(|p| &p.name == port && p.protocol == PortProtocol::Tcp) {
        return Ok(());
    }
    let known: Vec<_> = ports.iter().filter(|p| p.protocol == PortProtocol::Tcp).map(|p| p.name.as_str()).collect();
    let known = if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
    Err(ManifestorError::Spec(format!("{at} asks port {port:?}, which is no TCP port of the workload: {known}")))
}

fn chart_yaml(input: &ChartInput<'_>) -> String {
    let label = |name: &str| input.image.labels.get(&format!("org.opencontainers.image.{name}"));
    let description = label("description")
        .map(|text| one_line(text, 256))
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| format!("{} {}", input.application, input.version));
    let mut entries = vec![
        yaml::entry("apiVersion", "", "v2"),
        yaml::entry("name", "", input.application),
        yaml::entry("version", "", input.version),
        yaml::entry("appVersion", "", input.version),
        yaml::entry("description", "", description),
        yaml::entry("type", "", "application"),
        yaml::entry(
            "annotations",
            "",
            serde_json::json!({
                "orbit.k8or.io/release": input.release_digest,
                "orbit.k8or.io/image": input.image_digest,
            }),
        ),
    ];
    if let Some(url) = label("url").and_then(|text| web_address(text)) {
        entries.push(yaml::entry("home", "", url));
    }
    if let Some(url) = label("source").and_then(|text| web_address(text)) {
        entries.push(yaml::entry("sources", "", serde_json::json!([url])));
    }
    yaml::document(&entries)
}

/// Text from an image in one line, without what is not printable.
fn one_line(text: &str, max: usize) -> String {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    words.join(" ").chars().take(max).collect::<String>().trim_end().to_owned()
}

/// An http(s) address, without a password that somebody left in it.
fn web_address(text: &str) -> Option<String> {
    let url = url::Url::parse(text.trim()).ok()?;
    let web = matches!(url.scheme(), "http" | "https") && url.host_str().is_some();
    (web && url.password().is_none() && url.username().is_empty() && url.as_str().len() <= 1024).then(|| url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_ports() {
        for name in ["http", "a", "tcp-8080", "sctp-65535", "1a"] {
            assert!(is_port_name(name), "{name}");
        }
        for name in ["", "8080", "a--b", "-a", "a-", "Http", "a_b", "sixteen-letters-"] {
            assert!(!is_port_name(name), "{name}");
        }
    }

    #[test]
    fn keys_of_configuration() {
        let config = |key: &str, value: &str| check_config(&BTreeMap::from([(key.to_owned(), value.to_owned())]));
        for key in ["A", "a.b-c_D", "1e3", ".x", "null"] {
            assert!(config(key, "x").is_ok(), "{key}");
        }
        for key in ["", ".", "..", "..a", "A B", "A=B", "é", "a/b", &"x".repeat(254)] {
            assert!(matches!(config(key, "x"), Err(ManifestorError::Spec(_))), "{key}");
        }
        assert!(config("A", "x\0").is_err());
    }

    #[test]
    fn a_password_in_a_label_stays_there() {
        assert_eq!(web_address("https://user:word@shop.example/web"), None);
        assert_eq!(web_address("https://shop.example/web").as_deref(), Some("https://shop.example/web"));
        assert_eq!(web_address("javascript:alert(1)"), None);
    }
}
