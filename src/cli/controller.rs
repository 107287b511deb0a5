//! `orbit controller`.

/// Run the operator on the current kubeconfig.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stores: crate::settings::StoreSettings,
}

/// Runs it.
pub async fn run(_args: Args) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
