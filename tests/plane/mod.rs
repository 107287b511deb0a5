//! A plane of a test's own: the real `orbit controller` as a process that can be killed, on stores that nobody else
//! uses, at work in one namespace of the cluster under test.

// Every test program uses a part of it.
#![allow(dead_code, unused_imports)]

mod clusters;
mod controller;
mod history;
pub mod image;
pub mod line;
mod objects;
pub mod registry;
mod stores;

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use kube::Client;
use orbit_plane::settings::StoreSettings;
use tempfile::TempDir;
use tokio::process::Command;

pub use self::{
    clusters::{config_map, own_kubeconfig},
    controller::{Controller, Death},
    history::said,
    objects::{Conditions, condition, reference_spec},
    stores::{Stores, Surroundings},
};

/// The `orbit` program under test.
pub const ORBIT: &str = env!("CARGO_BIN_EXE_orbit");

/// How long a state may take to come: generous on a busy machine, since it is waited for by watches.
const PATIENCE: Duration = Duration::from_secs(90);

/// A plane. Its controller runs only when it is started, and ends with it.
pub struct Plane {
    pub client: Client,
    /// Who applies objects, where it is to be somebody else.
    pub user: Option<Client>,
    pub namespace: String,
    /// The stores as the test reaches them.
    pub stores: StoreSettings,
    /// What stands between the controller and its stores.
    pub surroundings: Surroundings,
    /// How long a state may take to come.
    pub patience: Duration,
    folder: TempDir,
    /// Where it listens, and under which name clusters get images from it.
    address: IpAddr,
    registry_host: String,
    /// The same across restarts, so that addresses in status stay good.
    port: u16,
    health_port: u16,
    is_kept_to_namespace: bool,
    arguments: Vec<String>,
}

impl Plane {
    /// A plane with empty stores. `arguments` are given to its controller besides those that it needs.
    pub async fn new(client: Client, namespace: &str, kind: Stores, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (stores, surroundings) = kind.make(folder.path()).await;
        Self {
            client,
            user: None,
            namespace: namespace.to_owned(),
            stores,
            surroundings,
            patience: PATIENCE,
            folder,
            address: Ipv4Addr::LOCALHOST.into(),
            registry_host: "registry.example".into(),
            port: free_port(Ipv4Addr::LOCALHOST.into()),
            health_port: free_port(Ipv4Addr::LOCALHOST.into()),
            is_kept_to_namespace: true,
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
        }
    }

    /// The same plane at another address of this machine, from which clusters get images.
    pub fn at(mut self, address: IpAddr) -> Self {
        self.address = address;
        self.port = free_port(address);
        self.registry_host = self.registry();
        self
    }

    /// The same plane, at work in all namespaces: in a cluster that nobody else uses.
    pub fn of_all_namespaces(mut self) -> Self {
        self.is_kept_to_namespace = false;
        self
    }

    /// A folder of the test's own.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the controller, and waits until it says that it is ready, asking as a kubelet does.
    pub async fn start(&self) -> Controller {
        let controller = self.spawn(&[]);
        let url = format!("http://127.0.0.1:{}/readyz", self.health_port);
        let ready = async {
            while !reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(self.patience, ready).await.expect("the controller becomes ready");
        controller
    }

    /// Starts the controller with these variables in its environment, and does not wait.
    pub fn spawn(&self, environment: &[(&str, String)]) -> Controller {
        let mut command = Command::new(ORBIT);
        command.args(["controller", "--skip-install"]);
        if self.is_kept_to_namespace {
            command.args(["--namespace", &self.namespace]);
        }
        command.args(["--listen", &self.registry()]);
        command.args(["--health-listen", &format!("127.0.0.1:{}", self.health_port)]);
        command.args(["--registry-host", &self.registry_host, "--kube-version", "1.36.3", "--renderers", "1"]);
        command.args(["--log-format", "text"]);
        if let Some(renderer) = std::env::var_os("ORBIT_TEST_RENDERER") {
            command.arg("--renderer").arg(renderer);
        }
        command.args(&self.arguments);
        self.surroundings.give(&self.stores, &mut command);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        Controller::spawn(command)
    }

    /// Where its registry is: `host:port`.
    pub fn registry(&self) -> String {
        format!("{}:{}", self.address, self.port)
    }

    /// Runs `orbit` with these arguments as a user of this plane would: to its end, its output taken.
    pub async fn orbit(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(&self.orbit_command(arguments).output().await.unwrap())
    }

    /// The command of [`Plane::orbit`], not started yet. It ends when it is dropped.
    pub fn orbit_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(ORBIT);
        command.args(arguments).env("XDG_STATE_HOME", self.folder.path().join("state"));
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs `orbit verify` on the stores, every byte of them, once the running controller has caught up with itself.
    pub async fn verify(&self) {
        self.until_projected().await;
        self.on_stores(&["verify", "--deep"]).await;
    }

    /// The same, and compares the cluster too: for a plane that is at rest.
    pub async fn verify_at_rest(&self) {
        self.until_projected().await;
        self.on_stores(&["verify", "--deep", "--cluster", "--namespace", &self.namespace]).await;
    }

    /// Runs `orbit` on the stores themselves, to an end that has to be a good one.
    pub async fn on_stores(&self, arguments: &[&str]) {
        let mut command = self.orbit_command(arguments);
        self.surroundings.give_direct(&self.stores, &mut command);
        let outcome = Outcome::of(&command.output().await.unwrap());
        assert!(outcome.good, "orbit {}: {}", arguments.join(" "), outcome.text);
    }

    /// Waits until the running controller has come to the end of a reconciliation of this kind, as its metrics say.
    pub async fn until_reconciled(&self, kind: &str) {
        let counter = format!("orbit_reconciliations_total{{kind=\"{kind}\"");
        let reconciled = async {
            while !self.metrics().await.contains(&counter) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(self.patience, reconciled).await.expect("the controller reconciles");
    }

    async fn metrics(&self) -> String {
        let url = format!("http://127.0.0.1:{}/metrics", self.health_port);
        reqwest::get(url).await.unwrap().text().await.unwrap()
    }

    /// How many writes of each kind the running controller has made, as its metrics say.
    pub async fn writes(&self) -> BTreeMap<String, u64> {
        let text = self.metrics().await;
        let counted = text.lines().filter_map(|line| line.strip_prefix("orbit_external_writes_total{what=\""));
        counted
            .map(|line| {
                let (what, count) = line.split_once("\"} ").expect("a label and a value");
                (what.to_owned(), count.parse().expect("a number"))
            })
            .collect()
    }

    /// Writes a file into the test's folder; its path.
    pub fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().expect("temporary folders have plain names").to_owned()
    }
}

/// How a command ended.
#[derive(Debug)]
pub struct Outcome {
    pub good: bool,
    pub text: String,
}

impl Outcome {
    /// What a program left.
    pub fn of(output: &std::process::Output) -> Self {
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Self { good: output.status.success(), text }
    }
}

/// A program that `testbed` installed, or else one on the PATH.
pub fn tool(name: &str) -> PathBuf {
    let cache = std::env::var_os("ORBIT_CACHE").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| std::env::home_dir().unwrap_or_default().join(".cache/orbit-plane"));
    let cached = cache.join("bin").join(name);
    if cached.exists() { cached } else { name.into() }
}

/// A port that nothing listens on, below those that the system gives out by itself: it stays free while a controller
/// is dead.
fn free_port(address: IpAddr) -> u16 {
    loop {
        let port = fastrand::u16(20_000..32_000);
        if std::net::TcpListener::bind((address, port)).is_ok() {
            return port;
        }
    }
}
