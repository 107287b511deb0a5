//! The conditions that an outcome leaves, as kstatus reads them.

use jiff::Timestamp;

use super::outcome::{Halt, HaltKind, Observation, Ready};
use crate::api::{Condition, ConditionStatus, condition_type, reason};

/// The longest message of a condition, in bytes (the schema's bound is in characters).
const MAX_MESSAGE: usize = 4096;

/// The conditions after an outcome: `Ready` always, `Reconciling` and `Stalled` only while true, other observations as
/// the outcome has them, or as they were where it halted. A transition time moves only when a status does.
pub fn conditions(
    previous: &[Condition],
    outcome: &Result<Ready, Halt>,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let mut wanted = Vec::new();
    let mut want = |type_: &str, status, reason: &str, message: &str| {
        let before = previous.iter().find(|c| c.type_ == type_ && c.status == status);
        wanted.push(Condition {
            type_: type_.to_owned(),
            status,
            reason: reason.to_owned(),
            message: bounded(message),
            observed_generation: generation,
            last_transition_time: before.map_or(now, |before| before.last_transition_time),
        });
    };
    match outcome {
        Ok(ready) => {
            want(condition_type::READY, ConditionStatus::True, ready.reason, &ready.message);
            for Observation { type_, status, reason, message } in &ready.observations {
                want(type_, *status, reason, message);
            }
            return wanted;
        }
        Err(halt) => {
            want(condition_type::READY, ConditionStatus::False, &halt.reason, &halt.message);
            match halt.kind {
                HaltKind::Stalled { .. } => {
                    want(condition_type::STALLED, ConditionStatus::True, &halt.reason, &halt.message);
                }
                _ if halt.reason == reason::SUSPENDED => {}
                _ => want(condition_type::RECONCILING, ConditionStatus::True, &halt.reason, &halt.message),
            }
            for Observation { type_, status, reason, message } in &halt.observations {
                want(type_, *status, reason, message);
            }
        }
    }
    let of_progress = [condition_type::READY, condition_type::RECONCILING, condition_type::STALLED];
    let said: Vec<String> = wanted.iter().map(|condition| condition.type_.clone()).collect();
    let stands = |c: &&Condition| !of_progress.contains(&c.type_.as_str()) && !said.contains(&c.type_);
    wanted.extend(previous.iter().filter(stands).cloned());
    wanted
}

/// To the second, as Kubernetes writes times.
pub fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The condition of this type, if it is true.
pub fn find_true<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == type_ && c.status == ConditionStatus::True)
}

fn bounded(message: &str) -> String {
    if message.len() <= MAX_MESSAGE {
        return message.to_owned();
    }
    let cut = (0..=MAX_MESSAGE - '…'.len_utf8()).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", &message[..cut])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn types(conditions: &[Condition]) -> Vec<(&str, ConditionStatus)> {
        conditions.iter().map(|c| (c.type_.as_str(), c.status)).collect()
    }

    #[test]
    fn only_what_is_true_is_there_besides_ready() {
        use ConditionStatus::{False, True};
        let ready = conditions(&[], &Ok(Ready::succeeded("stored")), Some(1), at(1));
        assert_eq!(types(&ready), [("Ready", True)]);
        let waiting = conditions(&ready, &Err(Halt::waiting(reason::AWAITING_UPLOAD, "send")), Some(2), at(2));
        assert_eq!(types(&waiting), [("Ready", False), ("Reconciling", True)]);
        let stalled = conditions(&waiting, &Err(Halt::stalled(reason::INVALID_SPEC, "no")), Some(2), at(3));
        assert_eq!(types(&stalled), [("Ready", False), ("Stalled", True)]);
        let suspended = conditions(&stalled, &Err(Halt::waiting(reason::SUSPENDED, "held")), Some(3), at(4));
        assert_eq!(types(&suspended), [("Ready", False)]);
    }

    #[test]
    fn a_transition_time_moves_only_with_its_status() {
        let first = conditions(&[], &Err(Halt::retry(reason::STORE_UNAVAILABLE, "down")), Some(1), at(1));
        let second = conditions(&first, &Err(Halt::waiting(reason::AWAITING_UPLOAD, "send")), Some(2), at(2));
        assert_eq!(second[0].last_transition_time, at(1));
        let third = conditions(&second, &Ok(Ready::succeeded("stored")), Some(2), at(3));
        assert_eq!(third[0].last_transition_time, at(3));
    }

    #[test]
    fn what_was_observed_stays_while_halted() {
        let observation = Observation {
            type_: condition_type::RESTRICTED_PSS,
            status: ConditionStatus::False,
            reason: reason::SUCCEEDED.into(),
            message: "root".into(),
        };
        let ready = Ready { observations: vec![observation], ..Ready::succeeded("published") };
        let published = conditions(&[], &Ok(ready), Some(1), at(1));
        let halted = conditions(&published, &Err(Halt::retry(reason::INTERNAL, "?")), Some(1), at(2));
        assert_eq!(halted.last(), published.last());
        assert_eq!(halted.len(), 3);
    }

    #[test]
    fn what_a_halt_observes_takes_the_place_of_what_was_observed() {
        let reachable = |holds| Observation::new(condition_type::REACHABLE, holds, "R", "");
        let ready = conditions(&[], &Ok(Ready::succeeded("").observing([reachable(true)])), Some(1), at(1));
        let halt =
            Halt::waiting_for(std::time::Duration::from_secs(1), reason::UNREACHABLE, "").observing([reachable(false)]);
        let halted = conditions(&ready, &Err(halt), Some(1), at(2));
        let found: Vec<_> = halted.iter().filter(|c| c.type_ == condition_type::REACHABLE).collect();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].status, found[0].last_transition_time), (ConditionStatus::False, at(2)));
    }

    #[test]
    fn a_message_is_bounded_at_a_character() {
        let long = conditions(&[], &Err(Halt::stalled(reason::INTERNAL, "ä".repeat(5000))), None, at(1));
        assert!(long[0].message.len() <= MAX_MESSAGE && long[0].message.ends_with("ä…"));
    }
}
