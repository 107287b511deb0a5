//! `orbit openapi`: the document of the portal's HTTP API.

use std::path::PathBuf;

use anyhow::Context;

use super::output;
use crate::portal;

/// Write the OpenAPI document of the portal's HTTP API
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write it into this file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<()> {
    let document = serde_json::to_string_pretty(&portal::openapi())? + "\n";
    match &args.out {
        Some(path) => std::fs::write(path, document).with_context(|| format!("writing {}", path.display())),
        None => Ok(output::print(document)?),
    }
}
