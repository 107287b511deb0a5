//! How deliveries go over time: the four measures of DORA (DevOps Research and Assessment), from what the projection
//! keeps of deployments. Everything is counted by days in UTC.
//!
//! - **Deployments**: attempts in one environment and cluster, on the day the cluster first took all of their objects.
//!   One that the plane itself began to go back from another is none.
//! - **Lead time for changes**: from the time a version was stored until it was first healthy in an environment,
//!   whichever cluster that was in. It is of the day on which that was, once for each application, version and
//!   environment.
//! - **Change failure rate**: of the deployments of a day, and those that failed on it without ever having been applied,
//!   the part that failed, was rolled back or degraded within [`BLAMED`] of being applied (or was never applied).
//! - **Time to recover**: from the time an environment in a cluster failed or degraded until it was healthy there again,
//!   whichever deployment did that. It is of the day on which it began; what was removed or lost meanwhile has not
//!   recovered.
//!
//! Medians and other quantiles are nearest ranks: values that there were, the lower one of two in the middle.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp, civil::Date};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::days::{Days, Period, day_of};

/// How soon after it was applied a deployment is blamed for what goes wrong.
const BLAMED: SignedDuration = SignedDuration::from_hours(24);

/// What to report on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportRequest {
    /// One application; all of the namespace, where none is named.
    pub application: Option<String>,
    /// One environment; all of them, where none is named.
    pub environment: Option<String>,
    /// When.
    pub days: Days,
    /// What it is divided into.
    pub period: Period,
}

impl ReportRequest {
    /// The days whose deployments, arrivals and incidents are counted: those of the report, and as many before.
    pub(super) fn counted(&self) -> Days {
        Days { first: self.days.before().first, last: self.days.last }
    }

    /// The days in which something may have gone wrong with what is counted.
    pub(super) fn troubled(&self) -> Days {
        self.counted().widened(1)
    }
}

/// How deliveries went: the four measures of DORA.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The first day, in UTC.
    pub from: String,
    /// The last day, included.
    pub to: String,
    /// All of these days.
    pub total: Figures,
    /// As many days, right before.
    pub before: Figures,
    /// Day by day or week by week.
    pub periods: Vec<ReportPeriod>,
}

/// A part of a report's days.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportPeriod {
    /// Its first day.
    pub from: String,
    /// Its last day, included.
    pub to: String,
    /// How deliveries went then.
    pub figures: Figures,
}

/// The measures of some days.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Deployments that a cluster took, those that only went back not among them.
    pub deployments: i64,
    /// The same, with those that failed without ever having been applied: what the failures are a part of.
    pub attempts: i64,
    /// Of these: those that failed, were rolled back or degraded within 24 h of being applied.
    pub failures: i64,
    /// Failures by attempts, from 0 to 1; none where there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_rate: Option<f64>,
    /// From the time a version was stored until it was first healthy in an environment; none where none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_time: Option<LeadTime>,
    /// How often an environment failed or degraded in a cluster.
    pub incidents: i64,
    /// How often it was healthy again, up to now.
    pub recovered: i64,
    /// The median of how long that took, in seconds; none where nothing recovered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_to_recover: Option<i64>,
}

/// How long versions took to an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeadTime {
    /// How many were healthy there for the first time.
    pub arrivals: i64,
    /// The median, in seconds.
    pub median_seconds: i64,
    /// What nine of ten kept within, in seconds.
    pub p90_seconds: i64,
}

/// What the database has of some days.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// Deployments that were applied for the first time, by day; then those among them that only went back.
    pub applied: Vec<(Date, i64)>,
    pub returned: Vec<(Date, i64)>,
    pub troubles: Vec<Trouble>,
    pub arrivals: Vec<Arrival>,
    pub incidents: Vec<Incident>,
}

/// A deployment that failed, was rolled back or degraded. There may be several of one.
#[derive(Debug)]
pub(super) struct Trouble {
    /// What is the same in all of one deployment.
    pub deployment: Vec<String>,
    pub at: Timestamp,
    pub applied_at: Option<Timestamp>,
    pub failed_at: Option<Timestamp>,
    /// Whether it only goes back from another.
    pub returns: bool,
}

/// A version that was healthy in an environment for the first time.
#[derive(Debug)]
pub(super) struct Arrival {
    pub stored_at: Timestamp,
    pub healthy_at: Timestamp,
}

/// An environment that was not healthy in a cluster.
#[derive(Debug)]
pub(super) struct Incident {
    pub began_at: Timestamp,
    pub healthy_at: Option<Timestamp>,
}

/// What happened on one day.
#[derive(Default)]
struct Day {
    deployments: i64,
    never_applied: i64,
    failures: i64,
    lead_times: Vec<i64>,
    incidents: i64,
    times_to_recover: Vec<i64>,
}

/// The report of what is recorded.
pub(super) fn report(request: &ReportRequest, records: &Records) -> Report {
    let days = by_day(records);
    let period = |period: Days| ReportPeriod {
        from: period.first.to_string(),
        to: period.last.to_string(),
        figures: figures(&days, period),
    };
    Report {
        from: request.days.first.to_string(),
        to: request.days.last.to_string(),
        total: figures(&days, request.days),
        before: figures(&days, request.days.before()),
        periods: request.days.periods(request.period).into_iter().map(period).collect(),
    }
}

fn by_day(records: &Records) -> BTreeMap<Date, Day> {
    let mut days = BTreeMap::<Date, Day>::new();
    for (day, count) in &records.applied {
        days.entry(*day).or_default().deployments += count;
    }
    for (day, count) in &records.returned {
        days.entry(*day).or_default().deployments -= count;
    }
    let mut blamed = HashMap::<&[String], (&Trouble, bool)>::new();
    for trouble in records.troubles.iter().filter(|trouble| !trouble.returns) {
        let is_failure =
            trouble.applied_at.is_none_or(|applied_at| trouble.at.duration_since(applied_at).abs() <= BLAMED);
        blamed.entry(&trouble.deployment).or_insert((trouble, false)).1 |= is_failure;
    }
    for (trouble, is_failure) in blamed.into_values() {
        let day = days.entry(day_of(trouble.applied_at.or(trouble.failed_at).unwrap_or(trouble.at))).or_default();
        day.never_applied += i64::from(trouble.applied_at.is_none());
        day.failures += i64::from(is_failure);
    }
    for Arrival { stored_at, healthy_at } in &records.arrivals {
        days.entry(day_of(*healthy_at)).or_default().lead_times.push(seconds(*stored_at, *healthy_at));
    }
    for Incident { began_at, healthy_at } in &records.incidents {
        let day = days.entry(day_of(*began_at)).or_default();
        day.incidents += 1;
        day.times_to_recover.extend(healthy_at.map(|healthy_at| seconds(*began_at, healthy_at)));
    }
    days
}

fn figures(days: &BTreeMap<Date, Day>, Days { first, last }: Days) -> Figures {
    let mut figures = Figures::default();
    let (mut lead_times, mut times_to_recover) = (Vec::new(), Vec::new());
    for day in days.range(first..=last).map(|(_, day)| day) {
        figures.deployments += day.deployments;
        figures.attempts += day.deployments + day.never_applied;
        figures.failures += day.failures;
        figures.incidents += day.incidents;
        lead_times.extend_from_slice(&day.lead_times);
        times_to_recover.extend_from_slice(&day.times_to_recover);
    }
    lead_times.sort_unstable();
    times_to_recover.sort_unstable();
    figures.failure_rate = (figures.attempts > 0).then(|| figures.failures as f64 / figures.attempts as f64);
    figures.lead_time = quantile(&lead_times, 50).zip(quantile(&lead_times, 90)).map(|(median, p90)| LeadTime {
        arrivals: lead_times.len() as i64,
        median_seconds: median,
        p90_seconds: p90,
    });
    figures.recovered = times_to_recover.len() as i64;
    figures.seconds_to_recover = quantile(&times_to_recover, 50);
    figures
}

/// What so many percent of the values, which are in order, keep within.
fn quantile(sorted: &[i64], percent: usize) -> Option<i64> {
    sorted.get((sorted.len() * percent).div_ceil(100).checked_sub(1)?).copied()
}

/// How long it took. Clocks of several machines need not agree: never less than nothing.
fn seconds(from: Timestamp, to: Timestamp) -> i64 {
    to.duration_since(from).as_secs().max(0)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn at(text: &str) -> Timestamp {
        format!("2026-{text}:00Z").parse().unwrap()
    }

    fn days(first: &str, last: &str) -> Days {
        Days::new(day(first), day(last)).unwrap()
    }

    fn trouble(attempt: &str, time: &str, applied_at: Option<&str>) -> Trouble {
        let (deployment, applied_at) = (vec![attempt.to_owned()], applied_at.map(at));
        Trouble { deployment, at: at(time), applied_at, failed_at: Some(at(time)), returns: false }
    }

    #[test]
    fn quantiles_are_values_that_there_were() {
        assert_eq!(quantile(&[], 50), None);
        assert_eq!((quantile(&[7], 50), quantile(&[7], 90)), (Some(7), Some(7)));
        assert_eq!(quantile(&[1, 2, 3, 4], 50), Some(2));
        let ten: Vec<i64> = (1..=10).collect();
        assert_eq!((quantile(&ten, 50), quantile(&ten, 90)), (Some(5), Some(9)));
    }

    #[test]
    fn a_deployment_fails_once_and_on_the_day_it_was_applied() {
        let records = Records {
            applied: vec![(day("2026-01-02"), 4)],
            returned: vec![(day("2026-01-02"), 1)],
            troubles: vec![
                // Degraded, failed and given up: one failure.
                trouble("1", "01-02T10:00", Some("01-02T09:00")),
                trouble("1", "01-03T08:00", Some("01-02T09:00")),
                // A day and a minute later it is something else's fault.
                trouble("2", "01-03T09:01", Some("01-02T09:00")),
                // Refused: never applied.
                trouble("3", "01-03T12:00", None),
                // What only goes back is no change.
                Trouble { returns: true, ..trouble("4", "01-02T11:00", Some("01-02T10:30")) },
            ],
            ..Records::default()
        };
        let days_of = days("2026-01-01", "2026-01-03");
        let request = ReportRequest { application: None, environment: None, days: days_of, period: Period::Day };
        let report = report(&request, &records);
        let of = |figures: &Figures| (figures.deployments, figures.attempts, figures.failures, figures.failure_rate);
        assert_eq!(of(&report.total), (3, 4, 2, Some(0.5)));
        let each: Vec<_> = report.periods.iter().map(|period| of(&period.figures)).collect();
        assert_eq!(each, [(0, 0, 0, None), (3, 3, 1, Some(1.0 / 3.0)), (0, 1, 1, Some(1.0))]);
        assert_eq!(of(&report.before), (0, 0, 0, None));
    }

    #[test]
    fn times_are_of_the_day_of_arrival_and_of_the_day_of_trouble() {
        let arrival = |stored: &str, healthy: &str| Arrival { stored_at: at(stored), healthy_at: at(healthy) };
        let incident =
            |began: &str, healthy: Option<&str>| Incident { began_at: at(began), healthy_at: healthy.map(at) };
        let records = Records {
            arrivals: vec![
                arrival("01-01T00:00", "01-02T00:00"),
                arrival("01-02T00:00", "01-02T01:00"),
                // A clock that was ahead.
                arrival("01-02T00:01", "01-02T00:00"),
                arrival("01-01T00:00", "01-01T00:02"),
            ],
            incidents: vec![
                incident("01-02T23:50", Some("01-03T00:10")),
                incident("01-02T10:00", None),
                incident("01-01T10:00", Some("01-01T11:00")),
            ],
            ..Records::default()
        };
        let days_of = days("2026-01-02", "2026-01-02");
        let request = ReportRequest { application: None, environment: None, days: days_of, period: Period::Week };
        let report = report(&request, &records);
        assert_eq!(report.total, report.periods[0].figures);
        let lead_time = LeadTime { arrivals: 3, median_seconds: 3600, p90_seconds: 86_400 };
        assert_eq!(
            report.total,
            Figures {
                lead_time: Some(lead_time),
                incidents: 2,
                recovered: 1,
                seconds_to_recover: Some(1200),
                ..Figures::default()
            }
        );
        assert_eq!(report.before.lead_time.map(|time| time.median_seconds), Some(120));
        assert_eq!((report.before.incidents, report.before.seconds_to_recover), (1, Some(3600)));
    }
}
