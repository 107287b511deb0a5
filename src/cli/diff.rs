//! `orbit diff`: what is different between two versions, two environments, or one of each.
//!
//! The plane compares them, as whoever the kubeconfig's user is.

mod report;

use std::process::ExitCode;

use clap::ValueEnum;

use super::{output, plane::PlaneArgs};
use crate::comparison::Difference;

/// Show what is different between two versions or environments: values, objects, and image configuration
///
/// A and B are versions (1.4.0) or environments (prod); env:NAME and version:X say which where a name could be either.
/// Of a version the chart is rendered with its own values; of an environment what was rendered last is read. Exits with
/// 0 when nothing is different, 1 when something is, and 2 when it cannot be told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The application
    application: String,
    /// One side: a version or an environment
    a: String,
    /// The other side
    b: String,
    /// How to print it
    #[arg(long, short, value_enum, default_value_t = Format::Text)]
    output: Format,
    #[command(flatten)]
    plane: PlaneArgs,
}

/// How to print it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Differences for people.
    Text,
    /// All of it, for programs.
    Json,
    /// The same as YAML.
    Yaml,
}

/// Runs it.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let plane = args.plane.find().await?;
    let sides = [("from", Some(args.a)), ("to", Some(args.b))];
    let difference: Difference = plane.get(&["applications", &args.application, "diff"], &sides).await?;
    let text = match args.output {
        Format::Text => report::of(&difference),
        Format::Json => serde_json::to_string_pretty(&difference)?,
        Format::Yaml => serde_yaml::to_string(&difference)?,
    };
    output::print(format!("{}\n", text.trim_end()))?;
    Ok(match (difference.same, &difference.objects.not_compared) {
        (false, _) => ExitCode::FAILURE,
        (true, None) => ExitCode::SUCCESS,
        // As far as they could be compared they are the same.
        (true, Some(_)) => ExitCode::from(2),
    })
}
