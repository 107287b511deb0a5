//! `orbit viewport`: on the stores themselves, whether or not a controller runs.

use std::io::{IsTerminal, Write};

use super::output;
use crate::{
    chart_store,
    settings::StoreSettings,
    viewport::{self, Behind, Projector, Status},
};

/// Look after the Viewport, which holds nothing that is not in the journals
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stores: StoreSettings,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, Copy, clap::Subcommand)]
enum What {
    /// Forget everything and project the journals anew; questions get incomplete answers until it is done
    Rebuild,
    /// How far the Viewport is behind the journals; fails when it cannot be asked
    Status,
}

/// Runs it.
pub async fn run(args: Args) -> anyhow::Result<()> {
    match args.what {
        What::Rebuild => rebuild(&args.stores).await,
        What::Status => status(&args.stores).await,
    }
}

async fn rebuild(settings: &StoreSettings) -> anyhow::Result<()> {
    let store = chart_store::open_existing(settings).await?;
    let viewport = viewport::open(settings)?;
    viewport.reset().await?;
    let mut projector = Projector::new(store, viewport.clone());
    let mut watched = projector.status();
    let (caught_up, ()) = tokio::join!(
        async {
            let caught_up = projector.catch_up().await;
            drop(projector);
            caught_up
        },
        async {
            while watched.changed().await.is_ok() {
                show(&watched.borrow_and_update());
            }
        }
    );
    if std::io::stderr().is_terminal() {
        eprintln!();
    }
    caught_up?;
    let status = watched.borrow().clone();
    for (key, problem) in &status.held {
        println!("{key}: {problem}");
    }
    match status.held.len() {
        0 => {
            println!("{}: {} journals projected", viewport.location(), status.journals);
            Ok(())
        }
        held => anyhow::bail!("{held} of {} journals could not be projected", status.journals),
    }
}

/// One line that is written over, for who watches.
fn show(status: &Status) {
    if std::io::stderr().is_terminal() {
        let left = status.events_behind.unwrap_or_default();
        eprint!("\r{left} events of {} journals to go   ", status.journals_behind);
        // Whoever does not see it misses nothing.
        let _ = std::io::stderr().flush();
    }
}

async fn status(settings: &StoreSettings) -> anyhow::Result<()> {
    let store = chart_store::open_existing(settings).await?;
    let viewport = viewport::open(settings)?;
    let (behind, journals) = viewport::behind(&store, &viewport.cursors().await?).await?;
    let mut text = format!(
        "plane         {}\ndatabase      {}\njournals      {journals}, of which {} are behind\nevents        {} behind\n",
        viewport.plane(),
        viewport.location(),
        behind.len(),
        behind.iter().map(Behind::events).sum::<u64>(),
    );
    for one in &behind {
        let at = one.at.map_or(0, |cursor| cursor.seq);
        text.push_str(&format!("  {}: at event {at} of {}\n", one.head.key, one.head.seq));
    }
    output::print(text)?;
    Ok(())
}
