//! `orbit crds`: the custom resource definitions as YAML.

use std::path::PathBuf;

use anyhow::Context;

use super::output;
use crate::controllers::install;

/// Write the custom resource definitions as YAML.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write one file per kind into this directory instead of standard output
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<()> {
    for crd in install::crds() {
        let yaml = serde_yaml::to_string(&crd)?;
        match &args.out {
            Some(dir) => {
                let path = dir.join(format!("{}.yaml", crd.spec.names.plural));
                std::fs::write(&path, yaml).with_context(|| format!("writing {}", path.display()))?;
            }
            None => output::print(format!("---\n{yaml}\n"))?,
        }
    }
    Ok(())
}
