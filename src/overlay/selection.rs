//! Which release an environment runs: a pure decision over the Chart Store's release index.
//!
//! Ranges are evaluated by the renderer, with the semver library that Helm uses; what is decided here is who is a
//! candidate, and that selection moves only upward while the overlay's spec stands.

use semver::Version;

use crate::{
    api::{Prereleases, SelectedVersion, SelectionReason, VersionPolicy},
    digest::Digest,
    release::ReleaseRecord,
};

/// A release that could run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its version.
    pub version: String,
    /// Its chart.
    pub chart_digest: Digest,
}

/// What has to be asked before a decision can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Nothing: the answer is known.
    Decided(Decision),
    /// The newest candidate that this range allows (an empty one allows all).
    NewestOf {
        /// The range in Helm's dialect.
        range: String,
        /// Whether prereleases count.
        prereleases: Prereleases,
        /// The candidates.
        candidates: Vec<Candidate>,
    },
}

/// What an environment runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// This.
    Run(SelectedVersion),
    /// Nothing, which is fine: no stored release may go here. The sentence says why.
    Idle(String),
    /// Nothing yet: something has to come first. The sentence says what.
    Wait(Awaited, String),
    /// Nothing, until somebody changes something. The sentence says what.
    Refuse(String),
}

/// What has to come before an environment can run anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// Any release of the application.
    Release,
    /// The version that is pinned.
    PinnedVersion,
    /// The chart of a stored release.
    Chart,
}

/// What the overlay asked for and what it has.
#[derive(Debug, Clone)]
pub struct Wish<'a> {
    /// The environment.
    pub environment: &'a str,
    /// Its version policy, if any.
    pub policy: Option<&'a VersionPolicy>,
    /// What it runs now.
    pub current: Option<&'a SelectedVersion>,
    /// The generation of the overlay.
    pub generation: Option<i64>,
}

impl Wish<'_> {
    /// The question that decides, given all releases of the application.
    pub fn question(&self, releases: &[ReleaseRecord]) -> Question {
        match self.policy.and_then(|policy| policy.pin.as_deref()) {
            Some(pin) => Question::Decided(self.pinned(pin, releases)),
            None => {
                let (range, prereleases) = match self.policy {
                    Some(policy) => (policy.range.clone().unwrap_or_default(), policy.prereleases),
                    None => (String::new(), Prereleases::Include),
                };
                let candidates = releases.iter().filter(|r| self.is_named_by(r)).filter_map(candidate).collect();
                Question::NewestOf { range, prereleases, candidates }
            }
        }
    }

    /// The decision, given the newest version that the range allows.
    pub fn decide(
        &self,
        newest: Option<&str>,
        candidates: &[Candidate],
        range: &str,
        releases: &[ReleaseRecord],
    ) -> Decision {
        let newest = newest.and_then(|version| candidates.iter().find(|c| c.version == version));
        match (self.standing(), newest) {
            (Some(current), None) => Decision::Run(self.kept(current)),
            (Some(current), Some(newest)) if is_older(&newest.version, &current.version) => {
                Decision::Run(self.kept(current))
            }
            (_, Some(newest)) => Decision::Run(SelectedVersion {
                version: newest.version.clone(),
                chart_digest: newest.chart_digest,
                reason: if range.is_empty() { SelectionReason::Newest } else { SelectionReason::NewestInRange },
                generation: self.generation,
            }),
            (None, None) if releases.is_empty() => Decision::Wait(
                Awaited::Release,
                "nothing of this application is stored yet: the overlay is rendered once an ImageUpload has stored a release"
                    .to_owned(),
            ),
            (None, None) if candidates.is_empty() && self.has_uncharted(releases) => Decision::Wait(
                Awaited::Chart,
                format!("the chart of the first release for {} is not published yet", self.environment),
            ),
            (None, None) if candidates.is_empty() => Decision::Idle(format!(
                "no stored release names the environment {env}: add {env} to spec.environments of an ImageUpload",
                env = self.environment
            )),
            (None, None) => Decision::Idle(format!(
                "none of the {} releases that name the environment {} is in the range {range:?}",
                candidates.len(),
                self.environment
            )),
        }
    }

    fn pinned(&self, pin: &str, releases: &[ReleaseRecord]) -> Decision {
        let Some(record) = releases.iter().find(|r| r.release.version == pin) else {
            let sentence = format!("version {pin} is pinned but not stored: upload it, or pin another version");
            return Decision::Wait(Awaited::PinnedVersion, sentence);
        };
        if record.purged_at.is_some() {
            return Decision::Refuse(format!("version {pin} is pinned but its data was deleted: pin another version"));
        }
        let runs_it_now = self.current.is_some_and(|current| current.version == pin);
        if !self.is_named_by(record) && !runs_it_now {
            return Decision::Refuse(format!(
                "version {pin} is pinned but may not go to {env}: add {env} to the spec.environments of its upload",
                env = self.environment
            ));
        }
        match candidate(record) {
            Some(candidate) => Decision::Run(SelectedVersion {
                version: candidate.version,
                chart_digest: candidate.chart_digest,
                reason: SelectionReason::Pinned,
                generation: self.generation,
            }),
            None => Decision::Wait(Awaited::Chart, format!("the chart of version {pin} is not published yet")),
        }
    }

    /// What runs now, while the spec that it was selected under stands.
    fn standing(&self) -> Option<&SelectedVersion> {
        self.current.filter(|current| current.generation == self.generation)
    }

    fn kept(&self, current: &SelectedVersion) -> SelectedVersion {
        SelectedVersion { reason: SelectionReason::Kept, ..current.clone() }
    }

    fn has_uncharted(&self, releases: &[ReleaseRecord]) -> bool {
        releases.iter().any(|record| self.is_named_by(record) && record.chart.is_none() && record.purged_at.is_none())
    }

    fn is_named_by(&self, record: &ReleaseRecord) -> bool {
        record.description.environments.iter().any(|e| e == self.environment)
    }
}

fn candidate(record: &ReleaseRecord) -> Option<Candidate> {
    let chart = record.chart.as_ref().filter(|_| record.purged_at.is_none())?;
    Some(Candidate { version: record.release.version.clone(), chart_digest: chart.digest })
}

/// By semantic version precedence; what is no version is older than everything.
fn is_older(version: &str, than: &str) -> bool {
    Version::parse(version).ok() < Version::parse(than).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;

    use super::*;
    use crate::{
        api::Workload,
        release::{ChartRecord, Description, Release},
    };

    fn release(version: &str, environments: &[&str]) -> ReleaseRecord {
        ReleaseRecord {
            release: Release::new("web", version, vec![], BTreeMap::new(), Workload::default()),
            description: Description {
                environments: environments.iter().map(|e| e.to_string()).collect(),
                ..Default::default()
            },
            chart: Some(ChartRecord {
                digest: Digest::of(version),
                package: Digest::of("p"),
                size: 1,
                unrestricted: None,
            }),
            actor: "maria".into(),
            stored_at: Timestamp::UNIX_EPOCH,
            purged_at: None,
        }
    }

    fn selected(version: &str, generation: i64) -> SelectedVersion {
        SelectedVersion {
            version: version.into(),
            chart_digest: Digest::of(version),
            reason: SelectionReason::Newest,
            generation: Some(generation),
        }
    }

    fn wish<'a>(policy: Option<&'a VersionPolicy>, current: Option<&'a SelectedVersion>) -> Wish<'a> {
        Wish { environment: "prod", policy, current, generation: Some(1) }
    }

    /// Answers the question as the renderer would for an empty range.
    fn decide(wish: &Wish<'_>, releases: &[ReleaseRecord]) -> Decision {
        match wish.question(releases) {
            Question::Decided(decision) => decision,
            Question::NewestOf { range, candidates, .. } => {
                let newest = candidates.iter().max_by_key(|c| Version::parse(&c.version).unwrap()).map(|c| &*c.version);
                wish.decide(newest, &candidates, &range, releases)
            }
        }
    }

    fn version_of(decision: Decision) -> (String, SelectionReason) {
        match decision {
            Decision::Run(selected) => (selected.version, selected.reason),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_releases_that_name_the_environment_are_candidates() {
        let releases = [release("1.0.0", &["prod"]), release("2.0.0", &["dev"])];
        assert_eq!(version_of(decide(&wish(None, None), &releases)), ("1.0.0".into(), SelectionReason::Newest));
    }

    #[test]
    fn a_release_without_chart_or_with_a_tombstone_is_none() {
        let mut uncharted = release("2.0.0", &["prod"]);
        uncharted.chart = None;
        let mut purged = release("3.0.0", &["prod"]);
        purged.purged_at = Some(Timestamp::UNIX_EPOCH);
        let releases = [release("1.0.0", &["prod"]), uncharted, purged];
        assert_eq!(version_of(decide(&wish(None, None), &releases)).0, "1.0.0");
    }

    #[test]
    fn selection_does_not_move_downward_by_itself() {
        let current = selected("2.0.0", 1);
        let releases = [release("1.0.0", &["prod"]), release("2.0.0", &[])];
        let wish = wish(None, Some(&current));
        assert_eq!(version_of(decide(&wish, &releases)), ("2.0.0".into(), SelectionReason::Kept));
        assert_eq!(version_of(decide(&wish, &[])), ("2.0.0".into(), SelectionReason::Kept));
    }

    #[test]
    fn a_changed_spec_may_move_it_downward() {
        let current = selected("2.0.0", 0);
        let releases = [release("1.0.0", &["prod"])];
        assert_eq!(version_of(decide(&wish(None, Some(&current)), &releases)).0, "1.0.0");
    }

    #[test]
    fn a_pin_outlives_the_environment_only_where_it_runs_already() {
        let pin = VersionPolicy { pin: Some("1.0.0".into()), ..Default::default() };
        let releases = [release("1.0.0", &["dev"])];
        assert!(matches!(decide(&wish(Some(&pin), None), &releases), Decision::Refuse(_)));
        let current = selected("1.0.0", 0);
        assert_eq!(version_of(decide(&wish(Some(&pin), Some(&current)), &releases)).1, SelectionReason::Pinned);
    }

    #[test]
    fn nothing_to_run_is_waited_for_only_where_it_will_come() {
        assert!(matches!(decide(&wish(None, None), &[]), Decision::Wait(Awaited::Release, _)));
        assert!(matches!(decide(&wish(None, None), &[release("1.0.0", &["dev"])]), Decision::Idle(_)));
        let mut uncharted = release("1.0.0", &["prod"]);
        uncharted.chart = None;
        assert!(matches!(decide(&wish(None, None), &[uncharted]), Decision::Wait(Awaited::Chart, _)));
    }

    #[test]
    fn a_pin_of_nothing_waits_for_it() {
        let pin = VersionPolicy { pin: Some("9.0.0".into()), ..Default::default() };
        assert!(matches!(decide(&wish(Some(&pin), None), &[]), Decision::Wait(Awaited::PinnedVersion, _)));
    }
}
