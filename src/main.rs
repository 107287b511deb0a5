//! The `orbit` command.

use clap::Parser;

fn main() -> anyhow::Result<()> {
    // One TLS stack: whoever asks rustls for the default provider gets ring.
    rustls::crypto::ring::default_provider().install_default().expect("nothing has installed a provider before main");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(orbit_plane::cli::Cli::parse().run())
}
