//! `orbit verify`.

use crate::{chart_store, settings::StoreSettings};

/// Check that every journal is whole and that the Chart Store is what its journals say.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stores: StoreSettings,
}

/// Runs it: prints what is not as it should be, and fails if anything is.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let store = chart_store::open(&args.stores).await?;
    let findings = chart_store::verify(&store).await?;
    for finding in &findings {
        println!("{}: {}", finding.subject, finding.problem);
    }
    match findings.len() {
        0 => {
            println!("plane {}: nothing to report", store.plane());
            Ok(())
        }
        count => anyhow::bail!("{count} findings in plane {}", store.plane()),
    }
}
