//! `orbit viewport`.

/// Maintain the Viewport, the queryable projection of the journal.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stores: crate::settings::StoreSettings,
}

/// Runs it.
pub async fn run(_args: Args) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
