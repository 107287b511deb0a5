//! Trouble that only Events tell of: probes that fail, volumes that do not come, pods that are not created.

use k8s_openapi::api::core::v1::Event;

use super::{refusal, trouble::Trouble};

/// What an Event tells of its object; none if it is no trouble, or told better by the object's status.
pub fn trouble(event: &Event) -> Option<Trouble> {
    if event.type_.as_deref() != Some("Warning") {
        return None;
    }
    let message = event.message.as_deref().unwrap_or_default();
    let trouble = match event.reason.as_deref()? {
        "Unhealthy" => probe_failure(message)?,
        reason @ ("FailedMount" | "FailedAttachVolume" | "FailedMapVolume" | "FailedCreatePodSandBox") => {
            Trouble::new(reason, message)
        }
        "FailedCreate" => refusal::of_message(message),
        _ => return None,
    };
    Some(match container(event) {
        Some(name) => trouble.of_container(name),
        None => trouble,
    })
}

/// As the kubelet says it: `Readiness probe failed: Get "http://10.244.1.7:8080/": connection refused`.
fn probe_failure(message: &str) -> Option<Trouble> {
    let (probe, _) = message.split_once(" probe ")?;
    let reason = match probe {
        "Readiness" => "ReadinessProbeFailed",
        "Liveness" => "LivenessProbeFailed",
        "Startup" => "StartupProbeFailed",
        _ => return None,
    };
    Some(Trouble::new(reason, message))
}

/// The container in `spec.containers{web}`.
fn container(event: &Event) -> Option<&str> {
    event.involved_object.field_path.as_deref()?.split_once('{')?.1.strip_suffix('}')
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    fn event(kind: &str, reason: &str, message: &str) -> Event {
        serde_json::from_value(json!({
            "metadata": {"name": "web-1.1", "namespace": "shop"}, "type": kind, "reason": reason, "message": message,
            "involvedObject": {"kind": "Pod", "name": "web-1", "fieldPath": "spec.containers{web}"},
        }))
        .unwrap()
    }

    #[test]
    fn a_failed_probe_is_told_with_its_container() {
        let message = "Readiness probe failed: HTTP probe failed with statuscode: 500";
        assert_eq!(
            trouble(&event("Warning", "Unhealthy", message)),
            Some(Trouble::new("ReadinessProbeFailed", message).of_container("web"))
        );
        let reason = |message| trouble(&event("Warning", "Unhealthy", message)).map(|trouble| trouble.reason);
        assert_eq!(reason("Liveness probe failed: timeout").as_deref(), Some("LivenessProbeFailed"));
        assert_eq!(reason("Startup probe errored: no").as_deref(), Some("StartupProbeFailed"));
        assert_eq!(reason("something else"), None);
    }

    #[test]
    fn pods_that_are_not_created_and_volumes_that_do_not_come_are_told() {
        let message =
            "Create Pod db-0 in StatefulSet db failed error: pods \"db-0\" is forbidden: exceeded quota: small";
        let mut refused = event("Warning", "FailedCreate", message);
        refused.involved_object.field_path = None;
        assert_eq!(trouble(&refused), Some(Trouble::new("QuotaExceeded", "exceeded quota: small")));
        let message = "MountVolume.SetUp failed for volume \"tls\" : secret \"web-tls\" not found";
        assert_eq!(trouble(&event("Warning", "FailedMount", message)).unwrap().message, message);
    }

    #[test]
    fn what_is_normal_or_in_the_status_is_left_out() {
        assert_eq!(trouble(&event("Normal", "Unhealthy", "Readiness probe failed: no")), None);
        assert_eq!(trouble(&event("Warning", "BackOff", "Back-off restarting failed container")), None);
    }
}
