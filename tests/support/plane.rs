//! A controller in a process of its own, with embedded stores: for tests and benches, which include this file.

use std::{
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// How long a plane may take to become ready; it usually takes one second.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A running controller. It is killed when it is dropped.
pub struct Plane {
    process: Child,
    /// Where it says how it is, as in `http://127.0.0.1:8481`.
    pub health: String,
    /// Where its registry is, as in `http://127.0.0.1:8480`.
    pub registry: String,
    /// What it has written.
    pub log: PathBuf,
}

impl Plane {
    /// Starts one that keeps everything in `folder` and waits until it is ready.
    pub async fn start(folder: &Path, kubeconfig: &Path, arguments: &[&str]) -> Self {
        let renderer = std::env::var_os("ORBIT_TEST_RENDERER").expect("ORBIT_TEST_RENDERER names orbit-renderer");
        let log = folder.join("controller.log");
        let output = File::options().create(true).append(true).open(&log).unwrap();
        let [listen, health] = free_addresses();
        let process = Command::new(env!("CARGO_BIN_EXE_orbit"))
            .args(["controller", "--listen", &listen, "--health-listen", &health])
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .arg("--data-dir")
            .arg(folder.join("data"))
            .arg("--renderer")
            .arg(renderer)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let mut plane = Self { process, health: format!("http://{health}"), registry: format!("http://{listen}"), log };
        plane.await_ready().await;
        plane
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Asks it to end and waits until it has: it must not fail at that.
    pub async fn stop(mut self) {
        let killed = Command::new("kill").args(["-TERM", &self.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let mut process = std::mem::replace(&mut self.process, Command::new("true").spawn().unwrap());
        let ended = tokio::task::spawn_blocking(move || process.wait().unwrap());
        let ended = tokio::time::timeout(Duration::from_secs(60), ended).await.expect("it ends when asked to").unwrap();
        assert!(ended.success(), "it ended with {ended}:\n{}", self.written());
    }

    /// All it has written.
    pub fn written(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    async fn await_ready(&mut self) {
        let url = format!("{}/readyz", self.health);
        let ready = async {
            while !reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()) {
                if let Some(ended) = self.process.try_wait().unwrap() {
                    panic!("the controller ended with {ended}:\n{}", self.written());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(READY_WITHIN, ready).await.is_err() {
            panic!("the controller is not ready within {READY_WITHIN:?}:\n{}", self.written());
        }
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Addresses that were free a moment ago.
fn free_addresses<const N: usize>() -> [String; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().to_string())
}
