//! `orbit lifecycle`: where every version of an application is, and how it came there.

mod clusters;
mod table;

use anyhow::bail;
use clap::ValueEnum;

use super::{output, plane::PlaneArgs};
use crate::viewport::{Lifecycle, MAX_LIMIT};

/// Show where every version of an application is, and how it came there
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The application
    application: String,
    /// Only this version
    #[arg(long = "version", short = 'V', value_name = "VERSION")]
    version: Option<String>,
    /// Also the deployments that were removed, and those to clusters that are lost
    #[arg(long)]
    all: bool,
    /// How many events to show at most, the newest ones
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// How to print it
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    output: Format,
    #[command(flatten)]
    plane: PlaneArgs,
}

/// How to print it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Tables for people.
    Table,
    /// As the HTTP API answers.
    Json,
    /// The same as YAML.
    Yaml,
}

/// Runs it.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let plane = args.plane.find().await?;
    let mut lifecycle: Option<Lifecycle> = None;
    let mut left = args.limit;
    let mut after = None;
    // Page by page, as the server gives them.
    while left > 0 {
        let asked = left.min(MAX_LIMIT);
        let parameters =
            [("version", args.version.clone()), ("limit", Some(asked.to_string())), ("continue", after.take())];
        let page: Lifecycle = plane.get(&["applications", &args.application, "lifecycle"], &parameters).await?;
        left -= asked;
        after = page.events.next.clone();
        match &mut lifecycle {
            None => lifecycle = Some(page),
            Some(lifecycle) => {
                lifecycle.events.items.extend(page.events.items);
                lifecycle.events.next = page.events.next;
            }
        }
        if after.is_none() {
            break;
        }
    }
    let Some(mut lifecycle) = lifecycle else { return Ok(()) };
    if let Some(version) = &args.version
        && lifecycle.releases.is_empty()
        && lifecycle.events.items.is_empty()
    {
        bail!(
            "nothing is recorded of version {version} of {}/{}: without --version all its versions are shown",
            lifecycle.namespace,
            lifecycle.application
        );
    }
    let known = lifecycle.deployments.len();
    if !args.all {
        lifecycle.deployments.retain(|deployment| !clusters::is_gone(deployment));
    }
    let hidden = known - lifecycle.deployments.len();
    let text = text(&lifecycle, hidden, args.output)?;
    Ok(output::print(format!("{}\n", text.trim_end()))?)
}

fn text(lifecycle: &Lifecycle, hidden: usize, format: Format) -> anyhow::Result<String> {
    Ok(match format {
        Format::Table => table::of(lifecycle, hidden),
        Format::Json => serde_json::to_string_pretty(lifecycle)?,
        Format::Yaml => serde_yaml::to_string(lifecycle)?,
    })
}
