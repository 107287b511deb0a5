//! What tells the health of Kubernetes' own kinds.

use std::fmt::Display;

use jiff::{SignedDuration, Timestamp};

use super::{Health, View};

/// For so long a pod that finds no node is only waiting: an autoscaler may be at work.
const SCHEDULE_WINDOW: SignedDuration = SignedDuration::from_secs(15);
/// What the Deployment controller takes for "no deadline", and then never says that a rollout is complete.
const NO_DEADLINE: i64 = i32::MAX as i64;

/// By the rules of its kind; none for kinds that have no rules of their own.
pub(super) fn status(group: &str, object: &View<'_>, now: Timestamp) -> Option<Health> {
    Some(match (group, object.kind) {
        ("", "ConfigMap" | "Secret") | ("batch", "CronJob") => Health::current("Resource is always ready"),
        ("", "Service") => service(object),
        ("", "Pod") => pod(object, now),
        ("", "PersistentVolumeClaim") => claim(object),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps" | "extensions", "DaemonSet") => daemon_set(object),
        ("apps" | "extensions", "Deployment") => deployment(object),
        ("apps" | "extensions", "ReplicaSet") => replica_set(object),
        // Its controller observed this generation, which is all that can be known.
        ("policy", "PodDisruptionBudget") => Health::current("AllowedDisruptions has been computed."),
        ("batch", "Job") => job(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(object),
        _ => return None,
    })
}

/// `have` is less than `want`.
fn less(reason: &str, what: &str, have: impl Display, want: impl Display) -> Health {
    Health::in_progress(reason, format!("{what}: {have}/{want}"))
}

fn extra_pods(count: i64) -> Health {
    Health::in_progress("ExtraPods", format!("Pending termination: {count}"))
}

fn deployment(object: &View<'_>) -> Health {
    let deadline = object.integer("/spec/progressDeadlineSeconds").unwrap_or(NO_DEADLINE);
    let mut progressing = deadline == NO_DEADLINE;
    let mut available = false;
    for condition in object.conditions() {
        match (condition.kind, condition.status, condition.reason) {
            ("Progressing", _, reason @ "ProgressDeadlineExceeded") => {
                return Health::failed(reason, "Progress deadline exceeded");
            }
            ("Progressing", "True", "NewReplicaSetAvailable") => progressing = true,
            ("Available", "True", _) => available = true,
            _ => {}
        }
    }
    let count = |field: &str| object.integer(&format!("/status/{field}")).unwrap_or(0);
    let wanted = object.integer("/spec/replicas").unwrap_or(1);
    let replicas = count("replicas");
    let updated = count("updatedReplicas");
    let ready = count("readyReplicas");
    let usable = count("availableReplicas");
    if wanted > replicas {
        less("LessReplicas", "Replicas", replicas, wanted)
    } else if wanted > updated {
        less("LessUpdated", "Updated", updated, wanted)
    } else if replicas > wanted {
        extra_pods(replicas - wanted)
    } else if updated > usable {
        less("LessAvailable", "Available", usable, updated)
    } else if wanted > ready {
        less("LessReady", "Ready", ready, wanted)
    } else if !progressing {
        Health::in_progress("ReplicaSetNotAvailable", "ReplicaSet not Available")
    } else if !available {
        Health::in_progress("DeploymentNotAvailable", "Deployment not Available")
    } else {
        Health::current(format!("Deployment is available. Replicas: {replicas}"))
    }
}

fn replica_set(object: &View<'_>) -> Health {
    if object.conditions().any(|condition| condition.kind == "ReplicaFailure" && condition.status == "True") {
        return Health::in_progress("ReplicaFailure", "Replica Failure condition. Check Pods");
    }
    let count = |field: &str| object.integer(&format!("/status/{field}")).unwrap_or(0);
    let wanted = object.integer("/spec/replicas").unwrap_or(1);
    let replicas = count("replicas");
    let labelled = count("fullyLabeledReplicas");
    let available = count("availableReplicas");
    let ready = count("readyReplicas");
    if wanted > labelled {
        less("LessLabelled", "Labelled", labelled, wanted)
    } else if wanted > available {
        less("LessAvailable", "Available", available, wanted)
    } else if wanted > ready {
        less("LessReady", "Ready", ready, wanted)
    } else if replicas > wanted {
        extra_pods(replicas - wanted)
    } else {
        Health::current(format!("ReplicaSet is available. Replicas: {replicas}"))
    }
}

fn stateful_set(object: &View<'_>) -> Health {
    if object.text("/spec/updateStrategy/type") == Some("OnDelete") {
        // Its pods are replaced by somebody else, whenever they like.
        return Health::current("StatefulSet is using the ondelete update strategy");
    }
    let count = |field: &str| object.integer(&format!("/status/{field}")).unwrap_or(0);
    let wanted = object.integer("/spec/replicas").unwrap_or(1);
    let replicas = count("replicas");
    let ready = count("readyReplicas");
    let current = count("currentReplicas");
    let updated = count("updatedReplicas");
    if wanted > replicas {
        return less("LessReplicas", "Replicas", replicas, wanted);
    }
    if wanted > ready {
        return less("LessReady", "Ready", ready, wanted);
    }
    if replicas > wanted {
        return extra_pods(replicas - wanted);
    }
    if let Some(partition) = object.integer("/spec/updateStrategy/rollingUpdate/partition").filter(|p| *p != -1) {
        return match updated < wanted - partition {
            true => less("PartitionRollout", "updated", updated, wanted - partition),
            false => Health::current(format!("Partition rollout complete. updated: {updated}")),
        };
    }
    if wanted > current {
        return less("LessCurrent", "current", current, wanted);
    }
    if object.text("/status/currentRevision") != object.text("/status/updateRevision") {
        return Health::in_progress("RevisionMismatch", "Waiting for updated revision to match current");
    }
    Health::current(format!("All replicas scheduled as expected. Replicas: {replicas}"))
}

fn daemon_set(object: &View<'_>) -> Health {
    // Without a generation its controller has not seen it at all.
    if object.object.metadata.generation.is_none() {
        return Health::in_progress("NoGeneration", format!("{} metadata.generation not found", object.kind));
    }
    if object.integer("/status/observedGeneration").is_none() {
        let message = format!("{} status.observedGeneration not found", object.kind);
        return Health::in_progress("NoObservedGeneration", message);
    }
    let count = |field: &str| object.integer(&format!("/status/{field}")).unwrap_or(0);
    let Some(wanted) = object.integer("/status/desiredNumberScheduled") else {
        return Health::in_progress("NoDesiredNumber", "Missing .status.desiredNumberScheduled");
    };
    for (reason, what, have) in [
        ("LessCurrent", "Current", count("currentNumberScheduled")),
        ("LessUpdated", "Updated", count("updatedNumberScheduled")),
        ("LessAvailable", "Available", count("numberAvailable")),
        ("LessReady", "Ready", count("numberReady")),
    ] {
        if wanted > have {
            return less(reason, what, have, wanted);
        }
    }
    Health::current(format!("All replicas scheduled as expected. Replicas: {wanted}"))
}

fn claim(object: &View<'_>) -> Health {
    match object.text("/status/phase").unwrap_or("unknown") {
        "Bound" => Health::current("PVC is Bound"),
        phase => Health::in_progress("NotBound", format!("PVC is not Bound. phase: {phase}")),
    }
}

fn pod(object: &View<'_>, now: Timestamp) -> Health {
    match object.text("/status/phase").unwrap_or_default() {
        "Succeeded" => Health::current("Pod has completed successfully"),
        "Failed" => Health::current("Pod has completed, but not successfully"),
        "Running" => running_pod(object),
        "Pending" => {
            let unschedulable = object.conditions().any(|condition| {
                (condition.kind, condition.status, condition.reason) == ("PodScheduled", "False", "Unschedulable")
            });
            let created = object.object.metadata.creation_timestamp.as_ref().map(|time| time.0);
            if !unschedulable {
                Health::in_progress("PodPending", "Pod is in the Pending phase")
            } else if created.is_some_and(|created| now.duration_since(created) < SCHEDULE_WINDOW) {
                Health::in_progress("PodNotScheduled", "Pod has not been scheduled")
            } else {
                Health::failed("PodUnschedulable", "Pod could not be scheduled")
            }
        }
        "" => Health::in_progress("PodNotObserved", "Pod phase not available"),
        phase => Health::in_progress("PodPhaseUnknown", format!("unknown phase {phase}")),
    }
}

fn running_pod(object: &View<'_>) -> Health {
    if object.conditions().any(|condition| condition.kind == "Ready" && condition.status == "True") {
        return Health::current("Pod is Ready");
    }
    let looping: Vec<_> = object
        .list("/status/containerStatuses")
        .filter(|status| status.pointer("/state/waiting/reason").is_some_and(|reason| reason == "CrashLoopBackOff"))
        .filter_map(|status| status.get("name")?.as_str())
        .collect();
    match looping.is_empty() {
        true => Health::in_progress("PodRunningNotReady", "Pod is running but is not Ready"),
        false => {
            Health::failed("ContainerCrashLooping", format!("Containers in CrashLoop state: {}", looping.join(",")))
        }
    }
}

fn job(object: &View<'_>) -> Health {
    let parallelism = object.integer("/spec/parallelism").unwrap_or(1);
    let completions = object.integer("/spec/completions").unwrap_or(parallelism);
    let count = |field: &str| object.integer(&format!("/status/{field}")).unwrap_or(0);
    let (succeeded, active, failed) = (count("succeeded"), count("active"), count("failed"));
    for condition in object.conditions().filter(|condition| condition.status == "True") {
        match condition.kind {
            "Complete" => return Health::current(format!("Job Completed. succeeded: {succeeded}/{completions}")),
            "Failed" => return Health::failed("JobFailed", format!("Job Failed. failed: {failed}/{completions}")),
            _ => {}
        }
    }
    match object.text("/status/startTime").unwrap_or_default() {
        "" => Health::in_progress("JobNotStarted", "Job not started"),
        _ => Health::current(format!("Job in progress. success:{succeeded}, active: {active}, failed: {failed}")),
    }
}

fn service(object: &View<'_>) -> Health {
    let without_address = object.text("/spec/clusterIP").unwrap_or_default().is_empty();
    if object.text("/spec/type") == Some("LoadBalancer") && without_address {
        return Health::in_progress("NoIPAssigned", "ClusterIP not set. Service type: LoadBalancer");
    }
    Health::current("Service is ready")
}

fn definition(object: &View<'_>) -> Health {
    for condition in object.conditions() {
        match (condition.kind, condition.status) {
            ("NamesAccepted", "False") => return Health::failed(condition.reason, condition.message),
            ("Established", "False") if condition.reason != "Installing" => {
                return Health::failed(condition.reason, condition.message);
            }
            ("Established", "True") => return Health::current("CRD is established"),
            _ => {}
        }
    }
    Health::in_progress("Installing", "Install in progress")
}
