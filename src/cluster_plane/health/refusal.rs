//! Pods that the cluster does not let come into being: quotas, admission, security.

use kube::core::DynamicObject;
use serde_json::Value;

use super::trouble::Trouble;

/// What a workload's conditions say of pods that were refused. Deployments and ReplicaSets say so; StatefulSets,
/// DaemonSets and Jobs only tell it in Events (`events`).
pub fn refusal(workload: &DynamicObject) -> Option<Trouble> {
    let conditions = workload.data.pointer("/status/conditions").and_then(Value::as_array)?;
    conditions.iter().find_map(|condition| {
        let text = |field| condition.get(field).and_then(Value::as_str).unwrap_or_default();
        let failed = (text("type"), text("status"), text("reason")) == ("ReplicaFailure", "True", "FailedCreate");
        failed.then(|| of_message(text("message")))
    })
}

/// A refusal by what the API server said to the controller.
pub(super) fn of_message(message: &str) -> Trouble {
    Trouble::new(reason(message), cause(message))
}

/// What kind of refusal an API server's message is.
pub(in crate::cluster_plane) fn reason(message: &str) -> &'static str {
    if message.contains("exceeded quota") || message.contains("failed quota") {
        "QuotaExceeded"
    } else if message.contains("violates PodSecurity") {
        "PodSecurityViolation"
    } else if message.contains("admission webhook") && message.contains("denied the request") {
        "AdmissionDenied"
    } else if message.contains("failed calling webhook") {
        "WebhookUnavailable"
    } else if message.contains("ValidatingAdmissionPolicy") {
        "AdmissionDenied"
    } else if message.contains("error looking up service account") {
        "ServiceAccountMissing"
    } else if message.contains(" usage per Container is ") || message.contains(" usage per Pod is ") {
        "LimitRangeViolation"
    } else {
        "FailedCreate"
    }
}

/// The message without the pod's name, which is another one at each attempt.
fn cause(message: &str) -> &str {
    let message = message.strip_prefix("(combined from similar events): ").unwrap_or(message);
    let message = message.strip_prefix("Error creating: ").unwrap_or(message);
    let message = match message.split_once(" failed error: ") {
        Some((attempt, message)) if attempt.to_ascii_lowercase().starts_with("create pod ") => message,
        _ => message,
    };
    let Some(named) = message.strip_prefix("pods \"") else { return message };
    let Some((_, cause)) = named.split_once('"') else { return message };
    cause.strip_prefix(" is forbidden: ").unwrap_or_else(|| cause.trim_start())
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    fn workload(conditions: Value) -> DynamicObject {
        serde_json::from_value(json!({"metadata": {"name": "web"}, "status": {"conditions": conditions}})).unwrap()
    }

    #[test]
    fn a_deployment_tells_what_its_quota_refuses() {
        let message = "pods \"web-7d4f9c5b6-x2x8k\" is forbidden: exceeded quota: small, requested: pods=1, \
                       used: pods=2, limited: pods=2";
        let refused = refusal(&workload(json!([
            {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable"},
            {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message},
        ])));
        let expected = "exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2";
        assert_eq!(refused, Some(Trouble::new("QuotaExceeded", expected)));
    }

    #[test]
    fn what_is_over_or_of_another_kind_is_no_refusal() {
        for conditions in [
            json!([{"type": "ReplicaFailure", "status": "False", "reason": "FailedCreate"}]),
            json!([{"type": "ReplicaFailure", "status": "True", "reason": "FailedDelete"}]),
            json!([{"type": "Available", "status": "True"}]),
            json!("none"),
        ] {
            assert_eq!(refusal(&workload(conditions)), None);
        }
    }

    #[test]
    fn refusals_are_told_apart() {
        for (message, reason, cause) in [
            (
                "(combined from similar events): Error creating: pods \"backup-29400000-abcde\" is forbidden: violates PodSecurity \"restricted:latest\": \
                 runAsNonRoot != true",
                "PodSecurityViolation",
                "violates PodSecurity \"restricted:latest\": runAsNonRoot != true",
            ),
            (
                "Create Pod db-0 in StatefulSet db failed error: pods \"db-0\" is forbidden: error looking up service \
                 account shop/db: serviceaccount \"db\" not found",
                "ServiceAccountMissing",
                "error looking up service account shop/db: serviceaccount \"db\" not found",
            ),
            (
                "admission webhook \"policy.example.com\" denied the request: images must be signed",
                "AdmissionDenied",
                "admission webhook \"policy.example.com\" denied the request: images must be signed",
            ),
            (
                "Internal error occurred: failed calling webhook \"policy.example.com\": connection refused",
                "WebhookUnavailable",
                "Internal error occurred: failed calling webhook \"policy.example.com\": connection refused",
            ),
            (
                "pods \"web-1\" is forbidden: ValidatingAdmissionPolicy 'signed' with binding 'all' denied request: no",
                "AdmissionDenied",
                "ValidatingAdmissionPolicy 'signed' with binding 'all' denied request: no",
            ),
            (
                "pods \"web-1\" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi",
                "LimitRangeViolation",
                "maximum memory usage per Container is 1Gi, but limit is 2Gi",
            ),
            ("something else", "FailedCreate", "something else"),
        ] {
            assert_eq!(of_message(message), Trouble::new(reason, cause));
        }
    }
}
