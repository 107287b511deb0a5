//! The user's own way to the API server.

use std::path::Path;

use anyhow::{Context, anyhow};
use axum::http::{Request, Response, header};
use kube::{
    Client,
    client::{Body, ConfigExt},
    config::{KubeConfigOptions, Kubeconfig},
};
use tower::{BoxError, Layer, ServiceExt, service_fn};

use crate::registry::readers::Secret;

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

/// The bearer token that the API server would be sent, as kubectl would get it: from a file or a plugin, too. None where
/// the user is known by something else.
pub async fn token(config: &kube::Config) -> anyhow::Result<Option<Secret>> {
    let Some(authorization) = config.auth_layer().context("the kubeconfig's credentials cannot be used")? else {
        return Ok(None);
    };
    // Only the client's own layer knows all the ways: what it adds to a request is caught before it is sent.
    let caught = service_fn(async |request: Request<Body>| {
        Ok::<_, BoxError>(Response::new(request.headers().get(header::AUTHORIZATION).cloned()))
    });
    let sent = authorization.layer(caught).oneshot(Request::new(Body::empty())).await;
    let header = sent.map_err(|error| anyhow!("the kubeconfig's token could not be got: {error}"))?.into_body();
    let text = header.as_ref().and_then(|header| header.to_str().ok());
    Ok(text.and_then(|text| text.strip_prefix("Bearer ")).map(Secret::new))
}

#[cfg(test)]
mod tests {
    use kube::config::AuthInfo;

    use super::*;

    async fn token_of(auth_info: AuthInfo) -> Option<String> {
        let mut config = kube::Config::new("https://127.0.0.1:1".parse().unwrap());
        config.auth_info = auth_info;
        token(&config).await.unwrap().map(|token| token.expose().to_owned())
    }

    #[tokio::test]
    async fn the_token_is_what_the_api_server_is_sent() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "of-a-file").unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        for (auth_info, expected) in [
            (AuthInfo { token: Some("t".to_owned().into()), ..AuthInfo::default() }, Some("t")),
            (AuthInfo { token_file: Some(path), ..AuthInfo::default() }, Some("of-a-file")),
            (AuthInfo::default(), None),
            (
                AuthInfo { username: Some("u".into()), password: Some("p".to_owned().into()), ..AuthInfo::default() },
                None,
            ),
        ] {
            assert_eq!(token_of(auth_info).await.as_deref(), expected);
        }
    }
}
