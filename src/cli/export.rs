//! `orbit export`: what is stored, as files.
//!
//! It reads the stores themselves, so it works where they can be reached, whether or not a controller runs.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::output;
use crate::{
    chart_store,
    comparison::stored::{chart, rendered},
    image_harbor,
    overlay::artifact,
    release::ApplicationKey,
    settings::StoreSettings,
};

/// Write a stored chart, or what is rendered for an environment, to a file
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stores: StoreSettings,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// The Helm chart of a release, as `helm pull` would write it
    Chart {
        /// The application
        application: String,
        /// Version of the release
        version: String,
        #[command(flatten)]
        place: Place,
    },
    /// The manifests that were rendered last for an environment
    Overlay {
        /// The application
        application: String,
        /// The environment
        environment: String,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, clap::Args)]
struct Place {
    /// Namespace of the application
    #[arg(long, short)]
    namespace: String,
    /// File to write [default: <application>-<version>.tgz; standard output for an overlay]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs it.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let charts = chart_store::open_existing(&args.stores).await?;
    let harbor = image_harbor::open(&args.stores).await?;
    match &args.what {
        What::Chart { application, version, place } => {
            let key = ApplicationKey::new(&place.namespace, application);
            let package = chart(harbor.as_ref(), &charts, &key, version).await?;
            let path = place.output.clone().unwrap_or_else(|| format!("{application}-{version}.tgz").into());
            write(&path, &package)?;
            println!("{}", path.display());
        }
        What::Overlay { application, environment, place } => {
            let key = ApplicationKey::new(&place.namespace, application);
            let rendered = rendered(&charts, &key, environment).await?;
            let manifests = artifact::final_yaml(harbor.as_ref(), &rendered.artifact).await?;
            match &place.output {
                Some(path) => write(path, &manifests)?,
                None => output::print(&manifests)?,
            }
        }
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
}
