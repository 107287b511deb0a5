//! Probes: the user's, else what follows from the image's HEALTHCHECK.

use std::time::Duration;

use super::Healthcheck;
use crate::api::{ExecProbe, Probe, Probes};

/// The bounds Kubernetes users are held to as well (`api::Probe`).
const MAX_SECONDS: u64 = 3600;

/// The probes that ask what `HEALTHCHECK` asks.
///
/// Docker's start period becomes a startup probe, so that a slow start is no reason for a restart. Without one, the
/// first check counts one interval after the start, as it does in Docker.
pub(super) fn from_healthcheck(check: &Healthcheck) -> Probes {
    let probe = Probe {
        exec: Some(ExecProbe { command: check.command.clone() }),
        period_seconds: Some(seconds(check.interval)),
        timeout_seconds: Some(seconds(check.timeout)),
        failure_threshold: Some(check.retries.clamp(1, 100) as i32),
        ..Probe::default()
    };
    if check.start_period.is_zero() {
        let liveness = Probe { initial_delay_seconds: probe.period_seconds, ..probe.clone() };
        return Probes { startup: None, liveness: Some(liveness), readiness: Some(probe) };
    }
    // The whole start period must fit into period × threshold, of which the threshold is bounded.
    let start_period = u64::from(seconds(check.start_period) as u32);
    let period = u64::from(seconds(check.start_interval) as u32).max(start_period.div_ceil(100));
    let startup = Probe {
        period_seconds: Some(period as i32),
        failure_threshold: Some(start_period.div_ceil(period).clamp(1, 100) as i32),
        ..probe.clone()
    };
    Probes { startup: Some(startup), liveness: Some(probe.clone()), readiness: Some(probe) }
}

/// Whole seconds, rounded up, at least one: Kubernetes knows no smaller unit.
fn seconds(duration: Duration) -> i32 {
    let rounded = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
    rounded.clamp(1, MAX_SECONDS) as i32
}
