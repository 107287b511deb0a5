//! The answers are an API server's own (Kubernetes 1.36.3), shortened where they repeat the object.

use std::io;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{FailureKind::*, *};

fn id(kind: &str) -> ObjectId {
    let (kind, group) = kind.split_once('.').unwrap_or((kind, ""));
    ObjectId { group: group.into(), kind: kind.into(), namespace: "shop".into(), name: "web".into() }
}

fn api(status: Value) -> kube::Error {
    kube::Error::Api(serde_json::from_value(status).unwrap())
}

/// What is said of an answer, without the name of the object.
fn said(kind: &str, status: Value) -> (FailureKind, String) {
    let failure = explain(&api(status), &id(kind));
    let name = format!("{}: ", id(kind));
    (failure.kind, failure.message.strip_prefix(&name).unwrap_or(&failure.message).to_owned())
}

fn invalid_status(causes: &[(&str, &str, &str)]) -> Value {
    let causes: Vec<_> = causes
        .iter()
        .map(|(field, reason, message)| json!({"field": field, "reason": reason, "message": message}))
        .collect();
    json!({"code": 422, "reason": "Invalid", "message": "is invalid", "details": {"name": "web", "causes": causes}})
}

const FORCE: &str = "set spec.delivery.force of the overlay to let the plane delete the object and make it anew";
const HOLDS_DATA: &str =
    "put it back as it was. The plane deletes nothing that holds data, with spec.delivery.force neither";

#[test]
fn an_immutable_field_is_named() {
    for (kind, field, message, said_field) in [
        (
            "Deployment.apps",
            "spec.selector",
            "Invalid value: {\"matchLabels\":{\"app\":\"other\"}}: field is immutable",
            "spec.selector",
        ),
        (
            "Service",
            "spec.clusterIPs[0]",
            "Invalid value: [\"10.0.0.77\"]: may not change once set",
            "spec.clusterIPs[0]",
        ),
        (
            "Job.batch",
            "spec.template",
            "Invalid value: {\"Spec\":{\"Volumes\":null}}: field is immutable",
            "spec.template",
        ),
        ("ConfigMap", "data", "Forbidden: field is immutable when `immutable` is set", "data"),
        (
            "RoleBinding.rbac.authorization.k8s.io",
            "roleRef",
            "Invalid value: {\"Kind\":\"Role\",\"Name\":\"b\"}: cannot change roleRef",
            "roleRef",
        ),
        ("Widget.example.com", "spec.id", "Invalid value: \"b\": id is immutable", "spec.id"),
        (
            "PersistentVolumeClaim",
            "spec",
            "Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for \
             bound claims\n@@ -1,6 +1,6 @@\n {\n  \"AccessModes\": [\n",
            "spec",
        ),
        (
            "StatefulSet.apps",
            "spec",
            "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
             'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are \
             forbidden",
            "spec (but for 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', \
             'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds')",
        ),
    ] {
        let status = invalid_status(&[(field, "FieldValueInvalid", message)]);
        let advice = if kind == "PersistentVolumeClaim" { HOLDS_DATA } else { FORCE };
        let expected = one_line(&format!("{}: {said_field} cannot be changed; {advice}", id(kind)));
        assert_eq!(explain(&api(status), &id(kind)), ApplyFailure { kind: ImmutableField, message: expected });
    }
    assert_eq!(ImmutableField.retry(), Retry::Never);
}

#[test]
fn what_is_invalid_is_listed() {
    let status = invalid_status(&[
        ("spec.template.spec.containers[0].image", "FieldValueRequired", "Required value"),
        (
            "spec.template.spec.containers[0].resources.requests",
            "FieldValueInvalid",
            "Invalid value: \"2\": must be less than or equal to cpu limit of 1",
        ),
        // Making it anew would not help.
        ("spec.selector", "FieldValueInvalid", "Invalid value: {}: field is immutable"),
    ]);
    let expected = "spec.template.spec.containers[0].image: Required value; \
                    spec.template.spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal \
                    to cpu limit of 1; spec.selector: Invalid value: {}: field is immutable";
    assert_eq!(said("Deployment.apps", status), (Invalid, expected.to_owned()));
}

#[test]
fn what_the_schema_does_not_have_is_invalid_though_the_server_says_500() {
    for why in [
        ".spec.replicas: expected numeric (int or float), got string",
        ".spec.replicaz: field not declared in schema",
        ".spec.template.spec.containers: duplicate entries for key [name=\"c\"]",
    ] {
        let message = format!("failed to create typed patch object (shop/web; apps/v1, Kind=Deployment): {why}");
        assert_eq!(said("Deployment.apps", json!({"code": 500, "message": message})), (Invalid, why.to_owned()));
    }
}

#[test]
fn values_that_are_secret_or_long_are_not_repeated() {
    let status = |value: &str| {
        invalid_status(&[("data", "FieldValueInvalid", &format!("Invalid value: \"{value}\": must be something else"))])
    };
    assert_eq!(said("Secret", status("hunter2")), (Invalid, "data: must be something else".to_owned()));
    assert_eq!(said("Widget.example.com", status(&"x".repeat(99))).1, "data: must be something else");
    let endless = json!({"code": 400, "message": "x ".repeat(100_000)});
    assert!(said("Widget.example.com", endless).1.len() < 500);
}

#[test]
fn size_is_told_however_the_server_does() {
    for status in [
        json!({"code": 413, "reason": "RequestEntityTooLarge", "message": "Request entity too large: limit is 3145728"}),
        json!({"code": 500, "message": "rpc error: code = ResourceExhausted desc = trying to send message larger than max (2097706 vs. 2097152)"}),
        json!({"code": 500, "message": "etcdserver: request is too large"}),
        invalid_status(&[("[]", "FieldValueTooLong", "Too long: may not be more than 1048576 bytes")]),
    ] {
        assert_eq!(said("ConfigMap", status), (TooLarge, "is larger than the cluster stores: divide it".to_owned()));
    }
    let annotations =
        invalid_status(&[("metadata.annotations", "FieldValueTooLong", "Too long: may not be more than 262144 bytes")]);
    assert_eq!(
        said("ConfigMap", annotations),
        (Invalid, "metadata.annotations: Too long: may not be more than 262144 bytes".to_owned())
    );
}

#[test]
fn policies_and_quotas_speak_for_themselves() {
    let forbidden = |message: &str| json!({"code": 403, "reason": "Forbidden", "message": message, "details": {}});
    let quota = "exceeded quota: q, requested: services=1, used: services=1, limited: services=1";
    assert_eq!(
        said("Service", forbidden(&format!("services \"web2\" is forbidden: {quota}"))),
        (QuotaExceeded, format!("{quota}; free or raise the quota there"))
    );
    let webhook =
        "admission webhook \"deny.example.com\" denied the request: images must be signed by the platform team";
    assert_eq!(said("Pod", json!({"code": 400, "message": webhook})), (AdmissionDenied, webhook.to_owned()));
    let policy =
        "ValidatingAdmissionPolicy 'no-endpoints' with binding 'no-endpoints' denied request: no endpoints by hand";
    let status = json!({"code": 422, "reason": "Invalid", "message": format!("endpoints \"a\" is forbidden: {policy}"),
        "details": {"name": "a", "kind": "endpoints", "causes": [{"message": policy}]}});
    assert_eq!(said("Endpoints", status), (AdmissionDenied, policy.to_owned()));
    let security = "violates PodSecurity \"restricted:latest\": runAsNonRoot != true";
    assert_eq!(
        said("Pod", forbidden(&format!("pods \"a\" is forbidden: {security}"))),
        (AdmissionDenied, security.to_owned())
    );
}

#[test]
fn a_webhook_that_does_not_answer_is_asked_again() {
    let message = "Internal error occurred: failed calling webhook \"down.example.com\": failed to call webhook: Post \
                   \"https://127.0.0.1:1/x?timeout=2s\": dial tcp 127.0.0.1:1: connect: connection refused";
    let expected = "the admission webhook \"down.example.com\" cannot be asked, it is tried again: Post \
                    \"https://127.0.0.1:1/x?timeout=2s\": dial tcp 127.0.0.1:1: connect: connection refused";
    let status = json!({"code": 500, "reason": "InternalError", "message": message});
    assert_eq!(said("LimitRange", status), (WebhookUnavailable, expected.to_owned()));
    assert_eq!(WebhookUnavailable.retry(), Retry::Soon);
}

#[test]
fn a_right_that_is_missing_is_named() {
    let forbidden = |message: &str| json!({"code": 403, "reason": "Forbidden", "message": message});
    assert_eq!(
        said(
            "Deployment.apps",
            forbidden(
                "deployments.apps \"web\" is forbidden: User \"maria@shop.example\" cannot patch resource \"deployments\" \
                 in API group \"apps\" in the namespace \"shop\""
            )
        ),
        (
            Forbidden,
            "the kubeconfig's user maria@shop.example has no right to patch deployments.apps in namespace shop: grant it \
             there"
                .to_owned()
        )
    );
    assert_eq!(
        said(
            "Namespace",
            forbidden(
                "nodes \"a\" is forbidden: User \"maria\" cannot get resource \"nodes\" in API group \"\" at the cluster \
                 scope"
            )
        )
        .1,
        "the kubeconfig's user maria has no right to get nodes in the whole cluster: grant it there"
    );
    let escalation = "user \"maria\" (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not \
                      currently held:\n{APIGroups:[\"example.com\"], Resources:[\"widgets\"], Verbs:[\"*\"]}";
    let message = format!("roles.rbac.authorization.k8s.io \"x\" is forbidden: {escalation}");
    assert_eq!(said("Role.rbac.authorization.k8s.io", forbidden(&message)), (Forbidden, escalation.replace('\n', " ")));
}

#[test]
fn namespaces_that_are_not_there_or_not_for_long_are_waited_for() {
    let terminating = json!({"code": 403, "reason": "Forbidden",
        "message": "configmaps \"web\" is forbidden: unable to create new content in namespace shop because it is being terminated",
        "details": {"name": "web", "kind": "configmaps", "causes": [{"reason": "NamespaceTerminating",
            "message": "namespace shop is being terminated", "field": "metadata.namespace"}]}});
    assert_eq!(
        said("ConfigMap", terminating),
        (NamespaceTerminating, "the namespace shop is being deleted, it is tried again".to_owned())
    );
    let missing = json!({"code": 404, "reason": "NotFound", "message": "namespaces \"shop\" not found",
        "details": {"name": "shop", "kind": "namespaces"}});
    assert_eq!(said("ConfigMap", missing), (NamespaceMissing, "the namespace shop is not there".to_owned()));
}

#[test]
fn a_kind_that_the_cluster_does_not_have_is_named() {
    let without_status = json!({"code": 404, "reason": "Failed to parse error data", "message": "404 page not found"});
    let empty = json!({"code": 404, "reason": "NotFound", "details": {},
        "message": "the server could not find the requested resource"});
    for status in [without_status, empty] {
        assert_eq!(
            said("Widget.example.com", status),
            (
                KindUnknown,
                "the cluster does not know the kind Widget in this version; install what defines it first".to_owned()
            )
        );
    }
    let gone = json!({"code": 404, "reason": "NotFound", "details": {"name": "web", "kind": "configmaps"}});
    assert_eq!(said("ConfigMap", gone).0, ObjectChanged);

    let other = KindError::Unknown {
        kind: "Deployment".into(),
        api_version: "apps/v1beta1".into(),
        versions: vec!["apps/v1".into()],
    };
    let failure = ApplyFailure::of_kind(&other);
    assert_eq!(failure.kind, KindUnknown);
    assert!(failure.message.contains("as apps/v1beta1; it has apps/v1"), "{}", failure.message);
    let failure = ApplyFailure::of_object(&other, &id("Deployment.apps"));
    assert!(failure.message.starts_with(&id("Deployment.apps").to_string()), "{}", failure.message);
}

#[test]
fn all_unknown_kinds_are_named_at_once_and_each_once() {
    let unknown = |kind: &str, name: &str, versions: &[&str]| {
        let object = ObjectId { group: "example.com".into(), name: name.into(), ..id(kind) };
        let versions = versions.iter().map(|&version| version.to_owned()).collect();
        (object, KindError::Unknown { kind: kind.into(), api_version: "example.com/v1".into(), versions })
    };
    let one = [unknown("Widget", "a", &[]), unknown("Widget", "b", &[])];
    let failure = ApplyFailure::of_unknown_kinds(&one);
    assert_eq!(failure, ApplyFailure::of_object(&one[0].1, &one[0].0));
    let several: Vec<_> = one.into_iter().chain([unknown("Gadget", "a", &["example.com/v2"])]).collect();
    let failure = ApplyFailure::of_unknown_kinds(&several);
    assert_eq!(failure.kind, KindUnknown);
    let said = "does not know 2 of the kinds: Widget (example.com/v1), Gadget (example.com/v1; it has example.com/v2).";
    assert!(failure.message.contains(said), "{}", failure.message);
    let many: Vec<_> = (0..9).map(|i| unknown(&format!("Kind{i}"), "a", &[])).collect();
    assert!(ApplyFailure::of_unknown_kinds(&many).message.contains("Kind4 (example.com/v1), 4 more."));
}

#[test]
fn who_else_sets_a_field_is_named() {
    let status = json!({"code": 409, "reason": "Conflict",
        "message": "Apply failed with 1 conflict: conflict with \"hpa\": .spec.replicas",
        "details": {"causes": [{"reason": "FieldManagerConflict", "message": "conflict with \"hpa\"", "field": ".spec.replicas"}]}});
    assert_eq!(
        said("Deployment.apps", status),
        (
            FieldConflict,
            "spec.replicas is set by \"hpa\"; leave the field out of the overlay, or let go of it there".to_owned()
        )
    );
    let replaced = json!({"code": 409, "reason": "Conflict", "details": {"name": "web", "kind": "ConfigMap"},
        "message": "Operation cannot be fulfilled on ConfigMap \"web\": the UID in the precondition (x) does not match"});
    assert_eq!(said("ConfigMap", replaced).0, ObjectChanged);
}

#[test]
fn what_is_about_the_cluster_names_no_object() {
    for (status, kind, words) in [
        (
            json!({"code": 401, "reason": "Unauthorized", "message": "Unauthorized"}),
            Unauthorized,
            "does not accept the credential",
        ),
        (json!({"code": 429, "message": "too many requests"}), Throttled, "too much to do"),
        (json!({"code": 503, "message": "apiserver is shutting down"}), ServerFailed, "answered 503: apiserver is"),
        (json!({"code": 500, "message": "etcdserver: leader changed"}), ServerFailed, "answered 500: etcdserver"),
    ] {
        let failure = explain(&api(status.clone()), &id("ConfigMap"));
        assert_eq!(failure.kind, kind);
        assert!(failure.message.starts_with("the API server") && failure.message.contains(words), "{failure:?}");
        assert_eq!(explain_connection(&api(status)), failure);
        assert!(kind.is_about_cluster());
    }
}

#[test]
fn an_api_server_that_is_not_there_or_another_one_is_told_apart() {
    let service = |error: io::Error| kube::Error::Service(Box::new(error));
    let refused = service(io::Error::from(io::ErrorKind::ConnectionRefused));
    let failure = explain(&refused, &id("ConfigMap"));
    assert_eq!(failure.kind, Unreachable);
    assert_eq!(failure.message, "the API server does not answer: connection refused");

    let wrong = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
    let carried = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, wrong));
    let failure = explain_connection(&service(carried));
    assert_eq!(failure.kind, Untrusted);
    assert!(failure.message.contains("UnknownIssuer"), "{failure:?}");

    let alert = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateExpired);
    let failure = explain_connection(&service(io::Error::other(alert)));
    assert_eq!(failure.kind, Unauthorized);
    assert!(failure.message.contains("CertificateExpired"), "{failure:?}");
}

#[test]
fn what_is_in_a_secret_is_not_repeated() {
    let refused = json!({"code": 500, "message": "failed to create typed patch object (shop/web; /v1, Kind=Secret): \
        .stringData.pin: expected string, got &value.valueUnstructured{Value:12345}"});
    let failure = explain(&api(refused), &id("Secret"));
    assert!(failure.message.contains(".stringData.pin: expected string"), "{}", failure.message);
    assert!(!failure.message.contains("12345"), "{}", failure.message);
}
