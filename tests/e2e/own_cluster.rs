//! A cluster of a test's own, for what would disturb others in a shared one. It ends with the test, however that goes.

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use orbit_plane::controllers::install;
use tokio::process::Command;

use crate::plane::tool;

pub struct OwnCluster {
    /// Path of its kubeconfig.
    pub kubeconfig: String,
    pub client: Client,
    name: String,
}

impl OwnCluster {
    /// A new one with the plane's kinds in it.
    pub async fn up(purpose: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let name = format!("{purpose}-{}", std::process::id());
        let up = Command::new(tool("testbed")).args(["up", "--name", &name]).output().await.unwrap();
        assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
        let path = String::from_utf8(up.stdout).unwrap().trim().to_owned();
        let kubeconfig = Kubeconfig::read_from(&path).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        let cluster = Self { kubeconfig: path, client: Client::try_from(config).unwrap(), name };
        install::install(&cluster.client).await.unwrap();
        cluster
    }
}

impl Drop for OwnCluster {
    fn drop(&mut self) {
        let down = std::process::Command::new(tool("testbed")).args(["down", "--name", &self.name]).output();
        if !down.is_ok_and(|down| down.status.success()) {
            eprintln!("the cluster stays up: testbed down --name {}", self.name);
        }
    }
}
