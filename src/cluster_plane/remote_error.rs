//! What an API server's refusal means for whoever reads the Delivery: what, why, what to do, and whether to try again.
//!
//! The server's messages are for programmers, may be as long as the object and may repeat what is in a Secret. They are
//! taken apart by what servers really answer (Kubernetes 1.36; the tests hold the answers).

use std::time::Duration;

use kube::core::{Status, response::StatusCause};

use super::{
    bounds::TooMuch,
    health::{one_line, refusal_reason},
    kinds::KindError,
    objects::ObjectId,
    prune,
};
use crate::{api::reason, cause::carried};

/// How many kinds a message names.
const NAMED: usize = 5;

/// Why an object could not be applied or taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplyFailure {
    /// Which kind of failure.
    pub kind: FailureKind,
    /// One line for a condition.
    pub message: String,
}

/// Which kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureKind {
    /// The object would have to be made anew.
    ImmutableField,
    /// The object is not what its kind allows.
    Invalid,
    /// The object is more than a cluster stores.
    TooLarge,
    /// The cluster has no such kind, or not in this version.
    KindUnknown,
    /// It is there already, and is somebody else's.
    NotOwned,
    /// It was asked for, and takes longer than it should.
    Unsettled,
    /// Others own fields of it.
    FieldConflict,
    /// Somebody changed or replaced it meanwhile.
    ObjectChanged,
    /// A quota is used up.
    QuotaExceeded,
    /// A policy of the cluster does not allow it.
    AdmissionDenied,
    /// A policy of the cluster could not be asked.
    WebhookUnavailable,
    /// The plane lacks a right.
    Forbidden,
    /// Its namespace is being deleted.
    NamespaceTerminating,
    /// Its namespace is not there.
    NamespaceMissing,
    /// The credential is not accepted.
    Unauthorized,
    /// It is not the cluster that the kubeconfig describes.
    Untrusted,
    /// The server asks for patience.
    Throttled,
    /// The server answers, but not as it should.
    ServerFailed,
    /// Nobody answers.
    Unreachable,
}

/// Whether trying again may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// It may pass by itself.
    Soon,
    /// Somebody has to change something in the cluster or in its Secret, which may not be noticed.
    Later,
    /// The object itself has to change.
    Never,
}

impl FailureKind {
    /// The same as a condition's reason.
    pub fn reason(self) -> &'static str {
        match self {
            Self::ImmutableField => "ImmutableField",
            Self::Invalid => "ObjectInvalid",
            Self::TooLarge => "ObjectTooLarge",
            Self::KindUnknown => "KindUnknown",
            Self::NotOwned => reason::NOT_OWNED,
            Self::Unsettled => reason::PROGRESSING,
            Self::FieldConflict => "FieldConflict",
            Self::ObjectChanged => "ObjectChanged",
            Self::QuotaExceeded => "QuotaExceeded",
            Self::AdmissionDenied => "AdmissionDenied",
            Self::WebhookUnavailable => "WebhookUnavailable",
            Self::Forbidden => "Forbidden",
            Self::NamespaceTerminating => "NamespaceTerminating",
            Self::NamespaceMissing => "NamespaceMissing",
            Self::Unauthorized => "Unauthorized",
            Self::Untrusted => "ServerUntrusted",
            Self::Throttled => "Throttled",
            Self::ServerFailed => "ServerFailed",
            Self::Unreachable => "Unreachable",
        }
    }

    /// Whether trying the same again may help.
    pub fn retry(self) -> Retry {
        match self {
            Self::ImmutableField | Self::Invalid | Self::TooLarge => Retry::Never,
            Self::KindUnknown
            | Self::NotOwned
            | Self::FieldConflict
            | Self::QuotaExceeded
            | Self::AdmissionDenied
            | Self::Forbidden
            | Self::Unauthorized
            | Self::Untrusted => Retry::Later,
            Self::ObjectChanged
            | Self::Unsettled
            | Self::WebhookUnavailable
            | Self::NamespaceTerminating
            | Self::NamespaceMissing
            | Self::Throttled
            | Self::ServerFailed
            | Self::Unreachable => Retry::Soon,
        }
    }

    /// Whether it is about the cluster as a whole and not about one object.
    pub fn is_about_cluster(self) -> bool {
        matches!(self, Self::Unauthorized | Self::Untrusted | Self::Throttled | Self::ServerFailed | Self::Unreachable)
    }
}

/// Why this object could not be applied or taken away.
pub fn explain(error: &kube::Error, object: &ObjectId) -> ApplyFailure {
    let (kind, cause) = match error {
        kube::Error::Api(status) => of_status(status, object),
        error => of_connection(error),
    };
    let cause = if object.group.is_empty() && object.kind == "Secret" { without_value(&cause) } else { &cause };
    let message = if kind.is_about_cluster() { cause.to_owned() } else { format!("{object}: {cause}") };
    ApplyFailure { kind, message: one_line(&message) }
}

/// What the server says of a Secret may end with what is in it: `.stringData.pin: expected string, got 12345`.
fn without_value(cause: &str) -> &str {
    cause.split_once(", got ").map_or(cause, |(before, _)| before)
}

/// Why a request that is about no object of ours failed, as for the server's version.
pub fn explain_connection(error: &kube::Error) -> ApplyFailure {
    let (kind, cause) = match error {
        kube::Error::Api(status) => match status.code {
            401 => unauthorized(),
            403 => (FailureKind::Forbidden, missing_right(&status.message)),
            code => server(code, &status.message),
        },
        error => of_connection(error),
    };
    ApplyFailure { kind, message: one_line(&cause) }
}

impl ApplyFailure {
    fn new(kind: FailureKind, message: impl AsRef<str>) -> Self {
        Self { kind, message: one_line(message.as_ref()) }
    }

    /// The cluster does not know the object's kind, or cannot be asked.
    pub fn of_kind(error: &KindError) -> Self {
        match error {
            KindError::Cluster(error) => explain_connection(error),
            error @ KindError::Silent { .. } => Self::new(FailureKind::Unreachable, error.to_string()),
            error @ KindError::Unknown { .. } => Self::new(FailureKind::KindUnknown, error.to_string()),
        }
    }

    /// The cluster does not know the kind of this object, or cannot be asked.
    pub fn of_object(error: &KindError, object: &ObjectId) -> Self {
        match error {
            KindError::Cluster(error) => explain_connection(error),
            error @ KindError::Silent { .. } => Self::new(FailureKind::Unreachable, error.to_string()),
            error @ KindError::Unknown { .. } => Self::new(FailureKind::KindUnknown, format!("{object}: {error}")),
        }
    }

    /// The cluster does not know these kinds of objects: each is named once, by the first of its objects.
    pub fn of_unknown_kinds(unknown: &[(ObjectId, KindError)]) -> Self {
        let mut kinds: Vec<(&ObjectId, &KindError)> = Vec::new();
        for (object, error) in unknown {
            if !kinds.iter().any(|(other, _)| (&other.group, &other.kind) == (&object.group, &object.kind)) {
                kinds.push((object, error));
            }
        }
        if let [(object, error)] = kinds[..] {
            return Self::of_object(error, object);
        }
        let mut named: Vec<_> = kinds.iter().take(NAMED).filter_map(|(_, error)| error.unknown_kind()).collect();
        if kinds.len() > NAMED {
            named.push(format!("{} more", kinds.len() - NAMED));
        }
        let message = format!(
            "the cluster does not know {} of the kinds: {}. Install their CustomResourceDefinitions there, add them to the overlay, or change apiVersion",
            kinds.len(),
            named.join(", ")
        );
        Self::new(FailureKind::KindUnknown, message)
    }

    /// The object is another delivery's.
    pub fn claimed(object: &ObjectId, other: &str) -> Self {
        let message = format!(
            "{object} belongs to Delivery {other}: neither may two overlays have the same object, nor may an overlay come to the same cluster under two names. Rename one of them, give one overlay another targetNamespace, or delete the EphemeralCluster of this Delivery"
        );
        Self::new(FailureKind::NotOwned, message)
    }

    /// The object is not the plane's at all.
    pub fn foreign(object: &ObjectId, managers: &[String]) -> Self {
        let by = if managers.is_empty() { String::new() } else { format!(" (managed by {})", managers.join(", ")) };
        let message = format!(
            "{object} is there already and is not the plane's{by}: leave it out of the overlay, or rename it there. Only if nobody needs it, delete it in the cluster"
        );
        Self::new(FailureKind::NotOwned, message)
    }

    /// The name of the pull Secret is taken.
    pub fn taken(object: &ObjectId) -> Self {
        let message = format!(
            "{object} is not the plane's, which needs its name for what pods pull with: give that Secret another name in the cluster"
        );
        Self::new(FailureKind::NotOwned, message)
    }

    /// The object's metadata is none.
    pub fn malformed(object: &ObjectId, problem: &serde_json::Error) -> Self {
        Self::new(FailureKind::Invalid, format!("{object} is no Kubernetes object: {problem}"))
    }

    /// An object that is to be made anew is still there.
    pub fn not_gone(object: &ObjectId) -> Self {
        let message = format!("{object} is being deleted to be made anew, and is still there: has it finalizers?");
        Self::new(FailureKind::Unsettled, message)
    }

    /// A definition was taken but is not served.
    pub fn not_established(object: &ObjectId) -> Self {
        let message = format!("{object} is not established: kubectl describe it in the cluster");
        Self::new(FailureKind::Unsettled, message)
    }

    /// The cluster did not answer in time.
    pub fn too_slow(object: &ObjectId, within: Duration) -> Self {
        let message = format!("{object}: the cluster's API server gave no answer within {} s", within.as_secs());
        Self::new(FailureKind::Unreachable, message)
    }
}

fn of_status(status: &Status, object: &ObjectId) -> (FailureKind, String) {
    let message = status.message.as_str();
    let causes = status.details.as_ref().map_or(&[][..], |details| &details.causes);
    if causes.iter().any(|cause| cause.reason == "NamespaceTerminating") {
        let message = format!("the namespace {} is being deleted, it is tried again", object.namespace);
        return (FailureKind::NamespaceTerminating, message);
    }
    match refusal_reason(message) {
        "WebhookUnavailable" => return (FailureKind::WebhookUnavailable, webhook_failure(message)),
        "QuotaExceeded" => {
            let message = format!("{}; free or raise the quota there", after_forbidden(message));
            return (FailureKind::QuotaExceeded, message);
        }
        "FailedCreate" => {}
        _ => return (FailureKind::AdmissionDenied, after_forbidden(message).to_owned()),
    }
    match status.code {
        _ if is_too_large(status) => (FailureKind::TooLarge, "is larger than the cluster stores: divide it".to_owned()),
        401 => unauthorized(),
        403 => (FailureKind::Forbidden, missing_right(message)),
        404 => not_found(status, object),
        409 => conflict(causes),
        400 | 422 => invalid(message, causes, object),
        _ => match message.split_once("typed patch object (") {
            // The server cannot read the object as its kind: not its own fault, though it says 500.
            Some((_, rest)) => (FailureKind::Invalid, rest.split_once("): ").map_or(rest, |(_, why)| why).to_owned()),
            None => server(status.code, message),
        },
    }
}

fn is_too_large(status: &Status) -> bool {
    let causes = status.details.as_ref().map_or(&[][..], |details| &details.causes);
    status.code == 413
        || status.message.contains("request is too large")
        || (status.message.contains("ResourceExhausted") && status.message.contains("larger than max"))
        || causes.iter().any(|cause| cause.reason == "FieldValueTooLong" && cause.field == "[]")
}

fn unauthorized() -> (FailureKind, String) {
    let message = "the API server does not accept the credential in the kubeconfig: it was revoked or has ended. \
                   Put a new one into the Secret";
    (FailureKind::Unauthorized, message.to_owned())
}

fn server(code: u16, message: &str) -> (FailureKind, String) {
    match code {
        429 => (FailureKind::Throttled, "the API server has too much to do, it is tried again".to_owned()),
        _ => (FailureKind::ServerFailed, format!("the API server answered {code}: {message}")),
    }
}

fn not_found(status: &Status, object: &ObjectId) -> (FailureKind, String) {
    match status.details.as_ref().filter(|details| !details.name.is_empty()) {
        Some(details) if details.kind == "namespaces" => {
            (FailureKind::NamespaceMissing, format!("the namespace {} is not there", details.name))
        }
        Some(_) => (FailureKind::ObjectChanged, "it is not there any more".to_owned()),
        // What has no path has no Status either, or an empty one.
        None => (
            FailureKind::KindUnknown,
            format!(
                "the cluster does not know the kind {} in this version; install what defines it first",
                object.kind
            ),
        ),
    }
}

fn conflict(causes: &[StatusCause]) -> (FailureKind, String) {
    let conflicts: Vec<_> = causes
        .iter()
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .map(|cause| {
            let manager = cause.message.strip_prefix("conflict with ").unwrap_or(&cause.message);
            format!("{} is set by {manager}", cause.field.trim_start_matches('.'))
        })
        .collect();
    match conflicts.is_empty() {
        true => (FailureKind::ObjectChanged, "somebody changed or replaced it at the same time".to_owned()),
        false => (
            FailureKind::FieldConflict,
            format!("{}; leave the field out of the overlay, or let go of it there", conflicts.join(", ")),
        ),
    }
}

fn invalid(message: &str, causes: &[StatusCause], object: &ObjectId) -> (FailureKind, String) {
    if causes.is_empty() {
        let message = message.split_once(" is invalid: ").map_or(message, |(_, why)| why);
        return (FailureKind::Invalid, message.to_owned());
    }
    let hide = object.kind == "Secret";
    if causes.iter().all(|cause| is_immutability(&cause.message)) {
        let fields: Vec<_> = causes.iter().map(immutable).collect();
        let advice = match prune::holds_data(object) {
            true => {
                "put it back as it was. The plane deletes nothing that holds data, with spec.delivery.force neither"
            }
            false => "set spec.delivery.force of the overlay to let the plane delete the object and make it anew",
        };
        return (FailureKind::ImmutableField, format!("{} cannot be changed; {advice}", fields.join(" and ")));
    }
    let problems: Vec<_> = causes
        .iter()
        .map(|cause| match cause.field.as_str() {
            "" => why(&cause.message, hide),
            field => format!("{field}: {}", why(&cause.message, hide)),
        })
        .collect();
    (FailureKind::Invalid, problems.join("; "))
}

fn is_immutability(message: &str) -> bool {
    ["immutable", "may not change once set", "cannot change", "cannot be changed", "may not be changed"]
        .iter()
        .chain(&["updates to statefulset spec for fields other than", "pod updates may not change fields other than"])
        .any(|words| message.contains(words))
}

/// The field, and which of its own may change where the server says so.
fn immutable(cause: &StatusCause) -> String {
    match cause.message.split_once("fields other than ") {
        Some((_, others)) => {
            let others = others.strip_suffix(" are forbidden").unwrap_or(others);
            format!("{} (but for {})", cause.field, others.lines().next().unwrap_or_default())
        }
        None => cause.field.clone(),
    }
}

/// A cause without the value that it repeats, if that is long or secret, and without the difference that follows.
fn why(message: &str, hide: bool) -> String {
    let message = message.lines().next().unwrap_or_default();
    for prefix in ["Invalid value: ", "Unsupported value: ", "Duplicate value: "] {
        let Some(rest) = message.strip_prefix(prefix) else { continue };
        return match rest.rsplit_once(": ") {
            Some((value, why)) if hide || value.len() > 60 => why.to_owned(),
            None if hide => prefix.trim_end_matches(": ").to_owned(),
            _ => message.to_owned(),
        };
    }
    message.to_owned()
}

fn after_forbidden(message: &str) -> &str {
    message.split_once(" is forbidden: ").map_or(message, |(_, why)| why)
}

/// As in `Internal error occurred: failed calling webhook "a.example.com": failed to call webhook: Post "…": refused`.
fn webhook_failure(message: &str) -> String {
    let rest = message.split_once("failed calling webhook ").map_or(message, |(_, rest)| rest);
    let (name, why) = rest.split_once(": ").unwrap_or((rest, "it does not answer"));
    let why = why.strip_prefix("failed to call webhook: ").unwrap_or(why);
    format!("the admission webhook {name} cannot be asked, it is tried again: {why}")
}

/// As in `User "maria" cannot patch resource "deployments" in API group "apps" in the namespace "shop"`.
fn missing_right(message: &str) -> String {
    let why = after_forbidden(message);
    let quoted: Vec<_> = why.split('"').skip(1).step_by(2).collect();
    let verb = why.split_once(" cannot ").and_then(|(_, rest)| rest.split_once(" resource "));
    let (Some((verb, _)), [user, resource, group, ..]) = (verb, &quoted[..]) else {
        return why.to_owned();
    };
    let resource = if group.is_empty() { (*resource).to_owned() } else { format!("{resource}.{group}") };
    let place = quoted.get(3).map_or_else(|| "the whole cluster".to_owned(), |name| format!("namespace {name}"));
    format!("the kubeconfig's user {user} has no right to {verb} {resource} in {place}: grant it there")
}

/// What happened to a request that had no answer.
fn of_connection(error: &kube::Error) -> (FailureKind, String) {
    if let Some(too_much) = carried::<TooMuch>(error) {
        return (FailureKind::ServerFailed, format!("the API server says more than can be borne: {too_much}"));
    }
    if let Some(tls) = carried::<rustls::Error>(error) {
        return match tls {
            rustls::Error::AlertReceived(alert) => {
                let message = format!(
                    "the API server does not accept the client certificate in the kubeconfig ({alert:?}). Put a new one into the Secret"
                );
                (FailureKind::Unauthorized, message)
            }
            tls => (
                FailureKind::Untrusted,
                format!(
                    "who answers is not the cluster that the kubeconfig describes ({tls}): check server and certificate-authority-data"
                ),
            ),
        };
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    (FailureKind::Unreachable, format!("the API server does not answer: {cause}"))
}

#[cfg(test)]
mod tests;
