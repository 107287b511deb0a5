//! The days that a report is of, in UTC, and the periods that it divides them into.

use jiff::{Timestamp, civil::Date};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most days of a report.
pub const MAX_REPORT_DAYS: i32 = 92;

/// Days in a row, in UTC: from the first to the last, both of them included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    pub(super) first: Date,
    pub(super) last: Date,
}

/// These are no days that can be reported on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoDays {
    /// The last comes before the first.
    #[error("to ({1}) is before from ({0}): to is the last day of the report")]
    Backwards(Date, Date),
    /// There are too many.
    #[error("these are {0} days: a report is of {MAX_REPORT_DAYS} at most")]
    TooMany(i32),
    /// There are none so far away.
    #[error("{0} is too far away: give days from 1970 on")]
    TooFar(Date),
}

impl Days {
    /// These days.
    pub fn new(first: Date, last: Date) -> Result<Self, NoDays> {
        if let Some(far) = [first, last].into_iter().find(|day| !(1970..=9000).contains(&day.year())) {
            return Err(NoDays::TooFar(far));
        }
        match count(first, last) {
            ..1 => Err(NoDays::Backwards(first, last)),
            1..=MAX_REPORT_DAYS => Ok(Self { first, last }),
            days => Err(NoDays::TooMany(days)),
        }
    }

    /// As many days until this one.
    pub fn until(last: Date, days: i32) -> Result<Self, NoDays> {
        Self::new(shifted(last, 1 - days), last)
    }

    /// As many, right before.
    pub(super) fn before(self) -> Self {
        let days = count(self.first, self.last);
        Self { first: shifted(self.first, -days), last: shifted(self.first, -1) }
    }

    /// The same and some more on both sides.
    pub(super) fn widened(self, days: i32) -> Self {
        Self { first: shifted(self.first, -days), last: shifted(self.last, days) }
    }

    /// As the database compares times: from the first on, before the second.
    pub(super) fn bounds(self) -> [String; 2] {
        [self.first.to_string(), shifted(self.last, 1).to_string()]
    }

    /// Periods one after the other. Weeks begin on Mondays; the first and the last one are what is left of theirs.
    pub(super) fn periods(self, period: Period) -> Vec<Self> {
        let mut periods = Vec::new();
        let mut first = self.first;
        while first <= self.last {
            let last = match period {
                Period::Day => first,
                Period::Week => shifted(first, 6 - i32::from(first.weekday().to_monday_zero_offset())),
            };
            let last = last.min(self.last);
            periods.push(Self { first, last });
            first = shifted(last, 1);
        }
        periods
    }
}

/// How many days that are.
fn count(first: Date, last: Date) -> i32 {
    first.until(last).map_or(0, |span| span.get_days()) + 1
}

/// So many days later. Days of a report are far from where the calendar ends.
fn shifted(day: Date, days: i32) -> Date {
    day.saturating_add(jiff::Span::new().days(days))
}

/// What a report is divided into.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// Days.
    #[default]
    Day,
    /// Weeks, which begin on Mondays.
    Week,
}

/// The day of a time.
pub(super) fn day_of(time: Timestamp) -> Date {
    time.to_zoned(jiff::tz::TimeZone::UTC).date()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn days(first: &str, last: &str) -> Days {
        Days::new(day(first), day(last)).unwrap()
    }

    #[test]
    fn days_are_of_a_season_at_most() {
        assert_eq!(days("2026-03-01", "2026-03-01").before(), days("2026-02-28", "2026-02-28"));
        assert_eq!(Days::until(day("2026-03-07"), 7).unwrap(), days("2026-03-01", "2026-03-07"));
        assert_eq!(days("2026-03-01", "2026-03-07").before(), days("2026-02-22", "2026-02-28"));
        assert_eq!(days("2026-12-31", "2026-12-31").bounds(), ["2026-12-31", "2027-01-01"]);
        let refused = |first: &str, last: &str| Days::new(day(first), day(last)).unwrap_err().to_string();
        assert!(refused("2026-03-02", "2026-03-01").contains("is before from"));
        assert!(refused("2026-01-01", "2026-04-03").contains("93 days"));
        assert!(refused("0001-01-01", "0001-01-02").contains("from 1970 on"));
    }

    #[test]
    fn weeks_begin_on_mondays_and_end_with_the_report() {
        // A Thursday and a Tuesday.
        let weeks = days("2026-01-01", "2026-01-13").periods(Period::Week);
        assert_eq!(
            weeks,
            [days("2026-01-01", "2026-01-04"), days("2026-01-05", "2026-01-11"), days("2026-01-12", "2026-01-13"),]
        );
        assert_eq!(days("2026-01-01", "2026-01-13").periods(Period::Day).len(), 13);
    }
}
