//! What is made of what is seen: a pure function.

use std::{borrow::Cow, time::Duration};

use jiff::Timestamp;

use super::look::{Plight, Sight};
use crate::{
    api::{AppliedArtifact, Condition, ConditionStatus, condition_type, reason},
    chart_store::DeploymentState,
    cluster_plane::{
        health::{Doubt, HealthState},
        objects::ObjectId,
    },
    controllers::outcome::{Halt, HaltKind},
};

/// A pod that is replaced or a node that restarts is no news for the history, unless it takes longer than this.
const BLINK: Duration = Duration::from_secs(30);
/// How many objects and pods a message names.
const NAMED: usize = 3;

/// How a delivery is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether all of it is as it should be.
    pub healthy: bool,
    /// One word.
    pub reason: Cow<'static, str>,
    /// What is wrong, where.
    pub message: String,
    /// What the history is to say; none while that is open.
    pub state: Option<DeploymentState>,
    /// When time alone makes a difference.
    pub again: Option<Duration>,
}

impl Verdict {
    /// It was refused.
    pub fn refused(halt: Halt) -> Self {
        let again = match halt.kind {
            HaltKind::Stalled { again } => again,
            _ => None,
        };
        let Halt { reason, message, .. } = halt;
        Self { healthy: false, reason, message, state: Some(DeploymentState::Failed), again }
    }
}

/// What is known besides what is seen.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// What the history says of what is applied.
    pub recorded: Option<DeploymentState>,
    /// What is applied, and since when.
    pub applied: Option<&'a AppliedArtifact>,
    /// How long it may take to become healthy.
    pub timeout: Duration,
    /// The conditions as they were.
    pub conditions: &'a [Condition],
}

/// Judges.
pub fn verdict(sight: &Sight, known: Known<'_>, now: Timestamp) -> Verdict {
    let was_healthy = matches!(known.recorded, Some(DeploymentState::Healthy | DeploymentState::Degraded));
    let ill: Vec<_> = sight.objects.iter().filter(|(_, health)| health.state != HealthState::Current).collect();
    // What was healthy once has shown that it runs.
    let doubts: Vec<_> = sight.doubts.iter().filter(|(_, doubt)| !was_healthy && doubt.stands(now)).collect();
    if ill.is_empty() && doubts.is_empty() && !sight.drift.iter().any(|drift| drift.gone) {
        return Verdict {
            healthy: true,
            reason: reason::SUCCEEDED.into(),
            message: match sight.objects.len() {
                1 => "1 object is as it should be".to_owned(),
                count => format!("{count} objects are as they should be"),
            },
            state: Some(DeploymentState::Healthy),
            again: None,
        };
    }
    let mut named: Vec<_> = sight.troubles.iter().map(|trouble| trouble.to_string()).collect();
    named.extend(doubts.iter().map(|(pod, doubt)| in_words(pod, doubt)));
    named.extend(ill.iter().map(|(id, health)| format!("{id}: {}", health.message)));
    named.extend(sight.drift.iter().filter(|drift| drift.gone).map(ToString::to_string));
    let more = named.len().saturating_sub(NAMED);
    named.truncate(NAMED);
    let mut message = named.join("; ");
    if more > 0 {
        message = format!("{message}; and {more} more");
    }
    let of_pods = sight.troubles.iter().map(|plight| &plight.trouble).chain(doubts.iter().map(|(_, it)| &it.trouble));
    let trouble = of_pods.map(|trouble| trouble.reason.clone()).find(|reason| reason != reason::PROGRESSING);
    let trouble: Option<Cow<'static, str>> = trouble.map(Cow::from);
    let failed = ill.iter().any(|(_, health)| health.state == HealthState::Failed);
    if was_healthy {
        let left = BLINK.checked_sub(unhealthy_for(known.conditions, now)).filter(|left| !left.is_zero());
        let lasts = failed || trouble.is_some() || left.is_none() || known.recorded == Some(DeploymentState::Degraded);
        return Verdict {
            healthy: false,
            reason: trouble.unwrap_or(reason::UNHEALTHY.into()),
            message,
            state: lasts.then_some(DeploymentState::Degraded),
            again: left.filter(|_| !lasts),
        };
    }
    let settles = doubts.iter().filter_map(|(_, doubt)| doubt.until).map(|until| passed(now, until)).min();
    let since = known.applied.map_or(now, |applied| applied.at);
    let left = known.timeout.checked_sub(passed(since, now)).filter(|left| !left.is_zero());
    match left.filter(|_| !failed) {
        Some(left) => Verdict {
            healthy: false,
            reason: trouble.unwrap_or(reason::PROGRESSING.into()),
            message,
            state: None,
            again: Some(settles.map_or(left, |settles| settles.min(left))),
        },
        None => Verdict {
            healthy: false,
            reason: trouble.unwrap_or(reason::DEADLINE_EXCEEDED.into()),
            message: match failed {
                true => message,
                false => format!("not healthy within {} s: {message}", known.timeout.as_secs()),
            },
            state: Some(DeploymentState::Failed),
            again: settles,
        },
    }
}

fn in_words(pod: &ObjectId, doubt: &Doubt) -> String {
    Plight { of: pod.clone(), trouble: doubt.trouble.clone() }.to_string()
}

/// How long it has been said to be unhealthy.
fn unhealthy_for(conditions: &[Condition], now: Timestamp) -> Duration {
    let said = conditions.iter().find(|c| c.type_ == condition_type::HEALTHY && c.status == ConditionStatus::False);
    said.map_or(Duration::ZERO, |said| passed(said.last_transition_time, now))
}

fn passed(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cluster_plane::{
            health::{Doubt, Health, HealthState, Trouble},
            objects::ObjectId,
        },
        controllers::delivery::look::Plight,
        digest::Digest,
    };

    const TIMEOUT: Duration = Duration::from_secs(600);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn id(kind: &str, name: &str) -> ObjectId {
        ObjectId { group: String::new(), kind: kind.into(), namespace: "shop".into(), name: name.into() }
    }

    fn sight(state: HealthState, trouble: Option<&str>) -> Sight {
        let health = Health { state, reason: "R".into(), message: "Available: 0/1".into() };
        let plight = trouble.map(|reason| Plight {
            of: id("Pod", "web-1"),
            trouble: Trouble { reason: reason.into(), message: "no such image".into(), container: Some("main".into()) },
        });
        Sight {
            objects: vec![(id("Deployment", "web"), health)],
            troubles: plight.into_iter().collect(),
            ..Sight::default()
        }
    }

    fn applied() -> AppliedArtifact {
        AppliedArtifact { artifact: Digest::of("a"), version: None, inputs_digest: Digest::of("i"), at: at(0) }
    }

    fn judge(sight: &Sight, recorded: DeploymentState, conditions: &[Condition], second: i64) -> Verdict {
        let applied = applied();
        let known = Known { recorded: Some(recorded), applied: Some(&applied), timeout: TIMEOUT, conditions };
        verdict(sight, known, at(second))
    }

    #[test]
    fn what_is_healthy_is_counted() {
        let mut sight = sight(HealthState::Current, None);
        let verdict = judge(&sight, DeploymentState::Applied, &[], 60);
        assert_eq!((verdict.state, &*verdict.message), (Some(DeploymentState::Healthy), "1 object is as it should be"));
        sight.objects.push(sight.objects[0].clone());
        assert_eq!(judge(&sight, DeploymentState::Applied, &[], 60).message, "2 objects are as they should be");
    }

    #[test]
    fn what_is_on_its_way_is_given_its_time() {
        let sight = sight(HealthState::InProgress, None);
        let verdict = judge(&sight, DeploymentState::Applied, &[], 60);
        assert_eq!((verdict.healthy, verdict.state), (false, None));
        assert_eq!((&*verdict.reason, verdict.again), (reason::PROGRESSING, Some(Duration::from_secs(540))));
        let verdict = judge(&sight, DeploymentState::Applied, &[], 600);
        assert_eq!((&*verdict.reason, verdict.state), (reason::DEADLINE_EXCEEDED, Some(DeploymentState::Failed)));
        assert!(verdict.message.contains("600 s") && verdict.message.contains("Available: 0/1"), "{}", verdict.message);
    }

    #[test]
    fn trouble_is_told_at_once_with_the_pod() {
        let verdict =
            judge(&sight(HealthState::InProgress, Some("ImagePullBackOff")), DeploymentState::Applied, &[], 5);
        assert_eq!((&*verdict.reason, verdict.state), ("ImagePullBackOff", None));
        assert!(
            verdict.message.starts_with("Pod web-1 in namespace shop, container main: ImagePullBackOff: no such image")
        );
    }

    #[test]
    fn what_cannot_become_healthy_has_failed_before_its_time() {
        let verdict = judge(&sight(HealthState::Failed, None), DeploymentState::Applied, &[], 5);
        assert_eq!(verdict.state, Some(DeploymentState::Failed));
    }

    #[test]
    fn a_blink_is_no_degradation_and_trouble_is() {
        let unhealthy = Condition {
            type_: condition_type::HEALTHY.into(),
            status: ConditionStatus::False,
            reason: reason::UNHEALTHY.into(),
            message: String::new(),
            observed_generation: None,
            last_transition_time: at(1000),
        };
        let blink = sight(HealthState::InProgress, None);
        let first = judge(&blink, DeploymentState::Healthy, &[], 1000);
        assert_eq!((first.healthy, first.state, first.again), (false, None, Some(BLINK)));
        let later = judge(&blink, DeploymentState::Healthy, std::slice::from_ref(&unhealthy), 1030);
        assert_eq!((later.state, later.again), (Some(DeploymentState::Degraded), None));
        let trouble =
            judge(&sight(HealthState::InProgress, Some("CrashLoopBackOff")), DeploymentState::Healthy, &[], 1000);
        assert_eq!(trouble.state, Some(DeploymentState::Degraded));
    }

    #[test]
    fn what_only_starts_is_not_healthy_for_the_first_time() {
        let mut sight = sight(HealthState::Current, None);
        let doubt = |until: Option<i64>, reason: &str| {
            let trouble = Trouble { reason: reason.into(), message: "it just began".into(), container: None };
            (id("Pod", "web-1"), Doubt { until: until.map(at), trouble })
        };
        sight.doubts = vec![doubt(Some(15), reason::PROGRESSING)];
        let verdict = judge(&sight, DeploymentState::Applied, &[], 5);
        assert_eq!((verdict.healthy, verdict.state, &*verdict.reason), (false, None, reason::PROGRESSING));
        assert_eq!(verdict.again, Some(Duration::from_secs(10)), "then it has run for long enough");
        assert!(
            verdict.message.starts_with("Pod web-1 in namespace shop: Progressing: it just"),
            "{}",
            verdict.message
        );
        assert!(judge(&sight, DeploymentState::Applied, &[], 15).healthy);
        assert!(judge(&sight, DeploymentState::Healthy, &[], 5).healthy, "it has shown that it runs");

        sight.doubts = vec![doubt(None, reason::PROGRESSING), doubt(Some(605), "CrashLoopBackOff")];
        let verdict = judge(&sight, DeploymentState::Applied, &[], 600);
        assert_eq!((&*verdict.reason, verdict.state), ("CrashLoopBackOff", Some(DeploymentState::Failed)));
        assert_eq!(verdict.again, Some(Duration::from_secs(5)), "it may still come to run");
    }

    #[test]
    fn what_is_gone_is_not_healthy() {
        let mut sight = sight(HealthState::Current, None);
        assert!(judge(&sight, DeploymentState::Applied, &[], 5).healthy);
        sight.drift.push(crate::controllers::delivery::look::Drift { id: id("Service", "web"), by: None, gone: true });
        let verdict = judge(&sight, DeploymentState::Applied, &[], 5);
        assert!(!verdict.healthy && verdict.message.contains("Service web"), "{}", verdict.message);
    }
}
