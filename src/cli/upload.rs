//! `orbit upload`.

/// Hand an image to the plane: an archive file or a reference.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stores: crate::settings::StoreSettings,
}

/// Runs it.
pub async fn run(_args: Args) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
