//! How deliveries go over time, to whoever may get ImageUploads in the namespace.

use axum::{Json, extract::State};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use schemars::JsonSchema;
use serde::Deserialize;

use super::applications::{may_read, said};
use crate::{
    portal::{
        Portal,
        extract::{self, Named},
        problem::Problem,
        visitor::Visitor,
    },
    viewport::{Days, Period, Report, ReportRequest},
};

/// Days of a report, where nothing is said.
const USUAL_DAYS: i32 = 30;

/// What to report on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// One application; else all of them.
    application: Option<String>,
    /// One environment; else all of them.
    environment: Option<String>,
    /// The first day, in UTC, as in `2026-01-31`; else the one 29 days before `to`.
    from: Option<String>,
    /// The last day, included; else today. At most 92 days are reported on.
    to: Option<String>,
    /// What it is divided into: `day`, or `week`, which begins on Monday.
    #[serde(default)]
    period: Period,
}

/// `GET …/reports`
pub async fn show(
    State(portal): State<Portal>,
    Visitor(session): Visitor,
    Named(namespace): Named<String>,
    extract::Asked(asked): extract::Asked<Asked>,
) -> Result<Json<Report>, Problem> {
    may_read(&portal, &session, &namespace).await?;
    let request = request(asked, Timestamp::now().to_zoned(TimeZone::UTC).date())?;
    Ok(Json(portal.viewport().report(&namespace, &request).await?))
}

fn request(asked: Asked, today: Date) -> Result<ReportRequest, Problem> {
    let to = day("to", asked.to)?.unwrap_or(today);
    let days = match day("from", asked.from)? {
        Some(from) => Days::new(from, to),
        None => Days::until(to, USUAL_DAYS),
    };
    let days = days.map_err(|error| Problem::bad_request(error.to_string()))?;
    let (application, environment) = (said(asked.application), said(asked.environment));
    Ok(ReportRequest { application, environment, days, period: asked.period })
}

fn day(name: &str, text: Option<String>) -> Result<Option<Date>, Problem> {
    let Some(text) = said(text) else { return Ok(None) };
    // Only so: jiff would take times and weeks for days, too.
    let day = text.parse::<Date>().ok().filter(|day| day.to_string() == text);
    day.map(Some).ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        Problem::bad_request(format!("{name} is {shown:?}: give a day, as in 2026-01-31"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(from: Option<&str>, to: Option<&str>) -> Result<ReportRequest, String> {
        let [from, to] = [from, to].map(|text| text.map(str::to_owned));
        let asked = Asked { application: Some(" ".into()), environment: None, from, to, period: Period::Week };
        request(asked, "2026-03-31".parse().unwrap()).map_err(|problem| problem.detail)
    }

    #[test]
    fn thirty_days_up_to_now_are_reported_on() {
        let of = |first: &str, last: &str| Days::new(first.parse().unwrap(), last.parse().unwrap()).unwrap();
        let usual = asked(None, None).unwrap();
        assert_eq!((usual.days, usual.application), (of("2026-03-02", "2026-03-31"), None));
        assert_eq!(asked(None, Some("2026-01-30")).unwrap().days, of("2026-01-01", "2026-01-30"));
        assert_eq!(asked(Some("2026-03-25"), None).unwrap().days, of("2026-03-25", "2026-03-31"));
    }

    #[test]
    fn what_is_no_day_is_told() {
        for (from, to, told) in [
            (Some("yesterday"), None, "from is \"yesterday\": give a day, as in 2026-01-31"),
            (None, Some("2026-02-30"), "to is \"2026-02-30\""),
            (Some("2026-02-01T00:00:00"), None, "give a day"),
            (Some("2026-04-01"), None, "to is the last day"),
            (Some("2025-03-31"), None, "366 days: a report is of 92"),
        ] {
            let problem = asked(from, to).unwrap_err();
            assert!(problem.contains(told), "{told}: {problem}");
        }
    }
}
