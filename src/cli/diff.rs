//! `orbit diff`: what is different between two versions, two environments, or one of each.
//!
//! It reads the stores themselves, so it works where they can be reached, whether or not a controller runs.

mod report;

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use clap::ValueEnum;

use super::{output, renderer};
use crate::{
    chart_store,
    comparison::{Side, Sources},
    image_harbor,
    overlay::renderer::Renderer,
    release::ApplicationKey,
    settings::StoreSettings,
};

/// How long a chart may take to be rendered.
const RENDER_TIMEOUT: Duration = Duration::from_secs(60);

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
    a: Side,
    /// The other side
    b: Side,
    /// Namespace of the application
    #[arg(long, short)]
    namespace: String,
    /// How to print it
    #[arg(long, short, value_enum, default_value_t = Format::Text)]
    output: Format,
    /// The program that renders the charts of versions [default: orbit-renderer, beside this program or on the PATH;
    /// where there is none, the charts' files are compared]
    #[arg(long, env = "ORBIT_RENDERER", value_name = "FILE")]
    renderer: Option<PathBuf>,
    /// The Kubernetes version that the charts of versions are rendered for
    #[arg(long, value_name = "VERSION", default_value = "1.36.0")]
    kube_version: semver::Version,
    #[command(flatten)]
    stores: StoreSettings,
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
    let charts = chart_store::open_existing(&args.stores).await?;
    let harbor = image_harbor::open(&args.stores).await?;
    let key = ApplicationKey::new(&args.namespace, &args.application);
    // A renderer that was named has to be there, the usual one need not.
    let program = match args.renderer.as_deref() {
        named @ Some(_) => Some(renderer::program(named)?),
        None => renderer::found(),
    };
    let renderer = program.map(|program| Arc::new(Renderer::new(program, 1, RENDER_TIMEOUT)));
    let sources = Sources::new(charts, harbor, key, renderer, args.kube_version.to_string());
    let difference = sources.compare(&args.a, &args.b).await?;
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
