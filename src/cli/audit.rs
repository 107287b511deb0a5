//! `orbit audit`: whether the journals are what was written, and their events as files.
//!
//! It reads the Chart Store itself, so it works where that can be reached, whether or not a controller runs.

use anyhow::bail;

use super::output;
use crate::{
    chart_store::{self, ChartStore, Event, Head, verify_journal},
    digest::canonical_json,
    settings::StoreSettings,
    viewport::{AuditEvent, csv},
};

/// How many events are read at once.
const AT_ONCE: usize = 500;

/// Prove the journals whole, or write their events to standard output
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stores: StoreSettings,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Prove every chain of events: each continues the one before it, none is missing, changed or put in
    ///
    /// Prints a line for each journal: its name, its events and the hash of the last one. Whoever keeps these lines
    /// elsewhere can tell later that nothing before was changed by whoever could write all of the store. Fails, and
    /// says which event does not fit, when a chain is broken.
    Verify {
        /// Prove the journals of this namespace only
        #[arg(long, short)]
        namespace: Option<String>,
    },
    /// Write all events, journal after journal, each in the order of its chain
    Export {
        /// As JSON lines each event is written as it is hashed: sha256 of a line, without its end, is the prevHash of
        /// the next
        #[arg(long, value_enum, default_value_t = Format::Jsonl)]
        format: Format,
        /// Write the events of this namespace only
        #[arg(long, short)]
        namespace: Option<String>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One JSON object a line (RFC 8785)
    Jsonl,
    /// Comma-separated values, with a line of headings
    Csv,
}

/// Runs it.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let store = chart_store::open_existing(&args.stores).await?;
    match args.what {
        What::Verify { namespace } => verify(&store, namespace.as_deref()).await,
        What::Export { format, namespace } => export(&store, format, namespace.as_deref()).await,
    }
}

/// The ends of the journals, in the order of their names.
async fn heads(store: &ChartStore, namespace: Option<&str>) -> anyhow::Result<Vec<Head>> {
    let mut heads = store.all_heads().await?;
    heads.retain(|head| namespace.is_none_or(|namespace| head.key.namespace == namespace));
    heads.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(heads)
}

async fn verify(store: &ChartStore, namespace: Option<&str>) -> anyhow::Result<()> {
    let (mut events, mut broken) = (0, 0);
    let heads = heads(store, namespace).await?;
    for head in &heads {
        let verified = verify_journal(store, head).await?;
        let verdict = if verified.findings.is_empty() { "whole" } else { "BROKEN" };
        output::print(format!("{}: {} events, head {}, {verdict}\n", head.key, verified.events, head.hash))?;
        for finding in &verified.findings {
            output::print(format!("  {}: {}\n", finding.subject, finding.problem))?;
        }
        events += verified.events;
        broken += usize::from(!verified.findings.is_empty());
    }
    if broken > 0 {
        bail!("{broken} of {} journals of plane {} are not what was written", heads.len(), store.plane());
    }
    output::print(format!("plane {}: {} journals with {events} events are whole\n", store.plane(), heads.len()))?;
    Ok(())
}

async fn export(store: &ChartStore, format: Format, namespace: Option<&str>) -> anyhow::Result<()> {
    if format == Format::Csv {
        output::print(csv::heading())?;
    }
    for head in heads(store, namespace).await? {
        let mut after = 0;
        loop {
            let events = store.events(&head.key, after, AT_ONCE).await?;
            output::print(events.iter().flat_map(|event| line(format, event)).collect::<Vec<u8>>())?;
            match events.last() {
                Some(last) if events.len() == AT_ONCE => after = last.seq,
                _ => break,
            }
        }
    }
    Ok(())
}

fn line(format: Format, event: &Event) -> Vec<u8> {
    match format {
        Format::Jsonl => [canonical_json(event), b"\n".to_vec()].concat(),
        Format::Csv => csv::line(&AuditEvent::of(event)).into_bytes(),
    }
}
