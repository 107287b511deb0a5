//! The user's own way to the API server.

use std::path::Path;

use anyhow::Context;
use kube::{
    Client,
    config::{KubeConfigOptions, Kubeconfig},
};

/// A client as the kubeconfig says, and the API server's address.
pub async fn connect(file: Option<&Path>, context: Option<&str>) -> anyhow::Result<(Client, String)> {
    let config = config(file, context).await?;
    let cluster = config.cluster_url.to_string();
    Ok((Client::try_from(config).context("no connection to the API server")?, cluster))
}

/// What the kubeconfig says, or in a pod its service account.
pub async fn config(file: Option<&Path>, context: Option<&str>) -> anyhow::Result<kube::Config> {
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    match file {
        Some(path) => {
            let file = Kubeconfig::read_from(path).with_context(|| format!("reading {}", path.display()))?;
            kube::Config::from_custom_kubeconfig(file, &options).await.context("the kubeconfig cannot be used")
        }
        None if context.is_some() => {
            kube::Config::from_kubeconfig(&options).await.context("the kubeconfig cannot be used")
        }
        None => kube::Config::infer().await.context("no kubeconfig was found"),
    }
}
