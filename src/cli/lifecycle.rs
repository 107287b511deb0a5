//! `orbit lifecycle`.

/// Show where an application's releases are and have been.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stores: crate::settings::StoreSettings,
}

/// Runs it.
pub async fn run(_args: Args) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
