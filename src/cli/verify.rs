//! `orbit verify`.

use std::time::Duration;

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};

use super::{kubeconfig, output};
use crate::{
    chart_store, image_harbor,
    settings::StoreSettings,
    verify::{verify_cluster, verify_stores},
    viewport,
};

/// How long a Viewport that is behind may stand still before it is said to.
const PATIENCE: Duration = Duration::from_secs(10);

/// Check that every journal is whole, that Chart Store and Viewport are what the journals say, and that the Image Harbor
/// holds what they refer to
///
/// With --cluster also that what is ready there is what was recorded.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Read every blob to its end and compare it with its digest: reads as much as is stored
    #[arg(long)]
    deep: bool,
    /// Compare the objects of the kubeconfig's cluster with the Chart Store, too; for a plane at rest
    #[arg(long)]
    cluster: bool,
    /// Compare the objects of this namespace only
    #[arg(long, short, requires = "cluster")]
    namespace: Option<String>,
    #[command(flatten)]
    stores: StoreSettings,
}

/// Runs it: prints what is not as it should be, and fails if anything is.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let store = chart_store::open_existing(&args.stores).await?;
    let harbor = image_harbor::open(&args.stores).await?;
    let mut findings = chart_store::verify(&store).await?;
    findings.extend(verify_stores(&store, harbor.as_ref(), args.deep).await?);
    if args.cluster {
        let (client, _) = kubeconfig::connect(None, None).await?;
        if let Some(namespace) = &args.namespace {
            must_be_there(&client, namespace).await?;
        }
        findings.extend(verify_cluster(&client, args.namespace.as_deref(), &store, harbor.as_ref()).await?);
    }
    let of_viewport = viewport::verify(&store, &viewport::open(&args.stores)?, PATIENCE).await;
    findings.extend(of_viewport.as_ref().map(Vec::clone).unwrap_or_default());
    for finding in &findings {
        output::print(format!("{}: {}\n", finding.subject, finding.problem))?;
    }
    // What was found is printed in any case; whether there is more is not known without the Viewport.
    of_viewport.context("the Viewport could not be checked")?;
    match findings.len() {
        0 => {
            output::print(format!("plane {}: nothing to report\n", store.plane()))?;
            Ok(())
        }
        1 => bail!("1 finding in plane {}", store.plane()),
        count => bail!("{count} findings in plane {}", store.plane()),
    }
}

/// That nothing is wrong in a namespace is no news of one that is not there. Who has no right to look for it is believed.
async fn must_be_there(client: &Client, namespace: &str) -> anyhow::Result<()> {
    match Api::<Namespace>::all(client.clone()).get_metadata_opt(namespace).await {
        Ok(Some(_)) => Ok(()),
        Ok(None) => {
            bail!("the kubeconfig's cluster has no namespace {namespace}: kubectl get namespaces lists those it has")
        }
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(()),
        Err(error) => Err(error).with_context(|| format!("looking for namespace {namespace}")),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::http::{Request, Response};
    use kube::client::Body;
    use serde_json::{Value, json};

    use super::*;

    /// Whether `shop` is taken for a namespace of a cluster that answers this.
    async fn is_there(status: u16, answer: Value) -> Result<(), String> {
        let service = tower::service_fn(move |request: Request<Body>| {
            assert_eq!(request.uri().path(), "/api/v1/namespaces/shop");
            let body = Body::from(answer.to_string().into_bytes());
            async move { Ok::<_, Infallible>(Response::builder().status(status).body(body).unwrap()) }
        });
        must_be_there(&Client::new(service, "default"), "shop").await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_namespace_that_is_not_there_is_said() {
        let refusal = |code: u16, reason: &str| json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": "no", "reason": reason});
        let metadata =
            json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": {"name": "shop"}});
        assert_eq!(is_there(200, metadata).await, Ok(()));
        assert_eq!(is_there(403, refusal(403, "Forbidden")).await, Ok(()));
        assert!(is_there(404, refusal(404, "NotFound")).await.unwrap_err().contains("no namespace shop"));
        assert!(is_there(500, refusal(500, "InternalError")).await.unwrap_err().contains("looking for namespace shop"));
    }
}
