//! Objects that cannot be read as their kind: left from an older or looser schema.

use kube::{
    Api, Client, Config, ResourceExt,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use orbit_plane::{
    api::{GROUP, ImageUpload, VERSION},
    controllers::install,
};
use serde_json::json;
use tokio::process::Command;

use crate::plane::{Plane, Stores, image::Image, registry::Registry, tool};

/// A cluster of this test's own, since its schema is loosened for a while. It ends with the test, however that goes.
struct Cluster {
    name: String,
}

impl Cluster {
    async fn up() -> (Self, Client) {
        let cluster = Self { name: format!("undecodable-{}", std::process::id()) };
        let up = Command::new(tool("testbed")).args(["up", "--name", &cluster.name]).output().await.unwrap();
        assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
        let kubeconfig = String::from_utf8(up.stdout).unwrap();
        let kubeconfig = Kubeconfig::read_from(kubeconfig.trim()).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        (cluster, Client::try_from(config).unwrap())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let down = std::process::Command::new(tool("testbed")).args(["down", "--name", &self.name]).output();
        if !down.is_ok_and(|down| down.status.success()) {
            eprintln!("the cluster stays up: testbed down --name {}", self.name);
        }
    }
}
