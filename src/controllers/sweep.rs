//! What nobody came back to: upload sessions, and uploads to the Harbor whose writer died.

use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{context::Context, outcome::Halt};

/// How often is looked for them. An upload session is good for a day.
const INTERVAL: Duration = Duration::from_secs(600);
/// How many are forgotten at a time.
const AT_ONCE: usize = 50;

/// Forgets expired upload sessions and what was staged for them, until `shutdown`; first, once, what killed writers left
/// in the Harbor.
pub async fn sweep(context: &Context, shutdown: CancellationToken) {
    match shutdown.run_until_cancelled(context.harbor.clear_abandoned()).await {
        Some(Ok(count)) if count > 0 => tracing::info!(count, "abandoned uploads to the Harbor were cleared"),
        Some(Err(error)) => tracing::warn!(%error, "abandoned uploads to the Harbor stay until the next start"),
        _ => {}
    }
    let mut ticks = tokio::time::interval(INTERVAL);
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Err(halt) = forget_expired(context).await {
            tracing::warn!(%halt, "expired upload sessions stay until the next look");
        }
    }
}

async fn forget_expired(context: &Context) -> Result<(), Halt> {
    loop {
        let expired = context.chart_store.expired_sessions(Timestamp::now(), AT_ONCE).await?;
        for id in &expired {
            forget(context, id).await?;
            tracing::info!(session = id, "an upload session expired");
        }
        if expired.len() < AT_ONCE {
            return Ok(());
        }
    }
}

/// Forgets a session: its pieces first, for without the session nothing would lead to them any more.
pub(super) async fn forget(context: &Context, id: &str) -> Result<(), Halt> {
    context.harbor.discard_session(id).await?;
    Ok(context.chart_store.delete_session(id).await?)
}
