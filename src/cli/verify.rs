//! `orbit verify`.

use anyhow::Context;

use super::kubeconfig;
use crate::{
    chart_store, image_harbor,
    settings::StoreSettings,
    verify::{verify_cluster, verify_stores},
    viewport,
};

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
        findings.extend(verify_cluster(&client, args.namespace.as_deref(), &store, harbor.as_ref()).await?);
    }
    let of_viewport = viewport::verify(&store, &viewport::open(&args.stores)?).await;
    findings.extend(of_viewport.as_ref().map(Vec::clone).unwrap_or_default());
    for finding in &findings {
        println!("{}: {}", finding.subject, finding.problem);
    }
    // What was found is printed in any case; whether there is more is not known without the Viewport.
    of_viewport.context("the Viewport could not be checked")?;
    match findings.len() {
        0 => {
            println!("plane {}: nothing to report", store.plane());
            Ok(())
        }
        count => anyhow::bail!("{count} findings in plane {}", store.plane()),
    }
}
