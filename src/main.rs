//! The `orbit` command.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // One TLS stack: whoever asks rustls for the default provider gets ring.
    rustls::crypto::ring::default_provider().install_default().expect("nothing has installed a provider before main");
    let command = orbit_plane::cli::Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    runtime.block_on(command.run()).map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS)
}

/// The error and its causes in one line: whoever runs a command wants to know what to do, not where in our code it was.
fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("Error: {error:#}");
    ExitCode::FAILURE
}
