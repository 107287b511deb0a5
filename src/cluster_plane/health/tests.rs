use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{HealthState::*, *};

fn now() -> Timestamp {
    "2026-11-24T15:00:00Z".parse().unwrap()
}

fn health(group: &str, kind: &str, object: Value) -> Health {
    let gvk = GroupVersionKind::gvk(group, "v1", kind);
    let mut whole = json!({"apiVersion": "x/v1", "kind": kind, "metadata": {"name": "web", "generation": 1}});
    for (field, value) in object.as_object().unwrap() {
        whole[field] = value.clone();
    }
    status(&gvk, &serde_json::from_value(whole).unwrap(), now())
}

/// Each case is an object without its name, and what is said of it.
fn table(group: &str, kind: &str, cases: impl IntoIterator<Item = (Value, HealthState, &'static str, &'static str)>) {
    for (object, state, reason, message) in cases {
        assert_eq!(health(group, kind, object.clone()), Health::new(state, reason, message), "{kind} {object}");
    }
}

fn condition(kind: &str, status: &str, reason: &str) -> Value {
    json!({"type": kind, "status": status, "reason": reason, "message": format!("{kind} is {status}")})
}

#[test]
fn what_all_kinds_have_in_common_comes_first() {
    table(
        "example.com",
        "Widget",
        [
            (json!({}), Current, "Current", "Resource is current"),
            (json!({"status": {"conditions": "none"}}), Current, "Current", "Resource is current"),
            (
                json!({"metadata": {"name": "web", "deletionTimestamp": "2026-11-24T14:00:00Z"}}),
                Terminating,
                "Terminating",
                "Resource scheduled for deletion",
            ),
            (
                json!({"metadata": {"name": "web", "generation": 3}, "status": {"observedGeneration": 2}}),
                InProgress,
                "LatestGenerationNotObserved",
                "Widget generation is 3, but latest observed generation is 2",
            ),
            (
                json!({"status": {"observedGeneration": 1, "conditions": [
                    condition("Ready", "True", "Fine"), condition("Reconciling", "True", "Busy"),
                ]}}),
                InProgress,
                "Busy",
                "Reconciling is True",
            ),
            (
                json!({"status": {"conditions": [condition("Stalled", "True", "Broken")]}}),
                Failed,
                "Broken",
                "Stalled is True",
            ),
            (
                json!({"status": {"conditions": [
                    condition("Reconciling", "False", "Idle"), condition("Ready", "False", "NotYet"),
                ]}}),
                InProgress,
                "NotYet",
                "Ready is False",
            ),
            (
                json!({"status": {"conditions": [condition("Ready", "Unknown", "Lost")]}}),
                InProgress,
                "Lost",
                "Ready is Unknown",
            ),
            (
                json!({"status": {"conditions": [condition("Ready", "True", "Fine")]}}),
                Current,
                "Current",
                "Resource is Ready",
            ),
        ],
    );
}

#[test]
fn some_kinds_are_current_by_being_there() {
    for (group, kind) in [("", "ConfigMap"), ("", "Secret"), ("batch", "CronJob")] {
        assert_eq!(health(group, kind, json!({})).message, "Resource is always ready");
    }
    for (group, kind) in [
        ("autoscaling", "HorizontalPodAutoscaler"),
        ("networking.k8s.io", "Ingress"),
        ("networking.k8s.io", "NetworkPolicy"),
        ("", "ServiceAccount"),
        ("", "Namespace"),
        // Not the one of the batch group.
        ("example.com", "Job"),
    ] {
        assert_eq!(health(group, kind, json!({})).state, Current, "{kind}");
    }
    assert_eq!(health("policy", "PodDisruptionBudget", json!({})).state, Current);
}

#[test]
fn deployments() {
    let rollout = |replicas: i64, counts: [i64; 4], progressing: Value, available: &str| {
        let [all, updated, ready, usable] = counts;
        json!({"spec": {"replicas": replicas, "progressDeadlineSeconds": 600}, "status": {
            "observedGeneration": 1, "replicas": all, "updatedReplicas": updated, "readyReplicas": ready,
            "availableReplicas": usable, "conditions": [progressing, condition("Available", available, "Minimum")],
        }})
    };
    let done = || condition("Progressing", "True", "NewReplicaSetAvailable");
    let busy = || condition("Progressing", "True", "ReplicaSetUpdated");
    let late = || condition("Progressing", "False", "ProgressDeadlineExceeded");
    table(
        "apps",
        "Deployment",
        [
            (json!({}), InProgress, "LessReplicas", "Replicas: 0/1"),
            (rollout(3, [1, 1, 0, 0], busy(), "False"), InProgress, "LessReplicas", "Replicas: 1/3"),
            (rollout(3, [3, 1, 3, 3], busy(), "True"), InProgress, "LessUpdated", "Updated: 1/3"),
            (rollout(3, [4, 3, 4, 4], busy(), "True"), InProgress, "ExtraPods", "Pending termination: 1"),
            (rollout(3, [3, 3, 3, 2], busy(), "False"), InProgress, "LessAvailable", "Available: 2/3"),
            (rollout(3, [3, 3, 2, 3], busy(), "True"), InProgress, "LessReady", "Ready: 2/3"),
            (
                rollout(1, [1, 1, 1, 1], busy(), "True"),
                InProgress,
                "ReplicaSetNotAvailable",
                "ReplicaSet not Available",
            ),
            (
                rollout(1, [1, 1, 1, 1], done(), "False"),
                InProgress,
                "DeploymentNotAvailable",
                "Deployment not Available",
            ),
            (rollout(3, [3, 3, 3, 3], done(), "True"), Current, "Current", "Deployment is available. Replicas: 3"),
            (rollout(0, [0, 0, 0, 0], done(), "True"), Current, "Current", "Deployment is available. Replicas: 0"),
            (
                rollout(3, [4, 1, 3, 3], late(), "True"),
                Failed,
                "ProgressDeadlineExceeded",
                "Progress deadline exceeded",
            ),
        ],
    );
    let mut without_deadline = rollout(1, [1, 1, 1, 1], busy(), "True");
    without_deadline["spec"]["progressDeadlineSeconds"] = json!(i32::MAX);
    assert_eq!(health("apps", "Deployment", without_deadline).state, Current);
    let mut unobserved = rollout(1, [1, 1, 1, 1], done(), "True");
    unobserved["metadata"] = json!({"name": "web", "generation": 2});
    assert_eq!(health("apps", "Deployment", unobserved).reason, "LatestGenerationNotObserved");
}

#[test]
fn replica_sets() {
    let set = |labelled: i64, available: i64, ready: i64, all: i64| {
        json!({"spec": {"replicas": 2}, "status": {"replicas": all, "fullyLabeledReplicas": labelled,
            "availableReplicas": available, "readyReplicas": ready}})
    };
    table(
        "apps",
        "ReplicaSet",
        [
            (set(1, 0, 0, 1), InProgress, "LessLabelled", "Labelled: 1/2"),
            (set(2, 1, 2, 2), InProgress, "LessAvailable", "Available: 1/2"),
            (set(2, 2, 1, 2), InProgress, "LessReady", "Ready: 1/2"),
            (set(2, 2, 2, 3), InProgress, "ExtraPods", "Pending termination: 1"),
            (set(2, 2, 2, 2), Current, "Current", "ReplicaSet is available. Replicas: 2"),
            (
                json!({"status": {"conditions": [condition("ReplicaFailure", "True", "FailedCreate")]}}),
                InProgress,
                "ReplicaFailure",
                "Replica Failure condition. Check Pods",
            ),
        ],
    );
}

#[test]
fn stateful_sets() {
    let set = |counts: [i64; 4], strategy: Value, revisions: [&str; 2]| {
        let [all, ready, current, updated] = counts;
        json!({"spec": {"replicas": 4, "updateStrategy": strategy}, "status": {
            "observedGeneration": 1, "replicas": all, "readyReplicas": ready, "currentReplicas": current,
            "updatedReplicas": updated, "currentRevision": revisions[0], "updateRevision": revisions[1],
        }})
    };
    let rolling = || json!({"type": "RollingUpdate"});
    let partition = |at: i64| json!({"type": "RollingUpdate", "rollingUpdate": {"partition": at}});
    table(
        "apps",
        "StatefulSet",
        [
            (set([2, 2, 2, 2], rolling(), ["a", "a"]), InProgress, "LessReplicas", "Replicas: 2/4"),
            (set([4, 3, 4, 4], rolling(), ["a", "a"]), InProgress, "LessReady", "Ready: 3/4"),
            (set([5, 4, 4, 4], rolling(), ["a", "a"]), InProgress, "ExtraPods", "Pending termination: 1"),
            (set([4, 4, 3, 1], rolling(), ["a", "b"]), InProgress, "LessCurrent", "current: 3/4"),
            (
                set([4, 4, 4, 4], rolling(), ["a", "b"]),
                InProgress,
                "RevisionMismatch",
                "Waiting for updated revision to match current",
            ),
            (
                set([4, 4, 4, 4], rolling(), ["a", "a"]),
                Current,
                "Current",
                "All replicas scheduled as expected. Replicas: 4",
            ),
            (set([4, 4, 3, 1], partition(2), ["a", "b"]), InProgress, "PartitionRollout", "updated: 1/2"),
            (set([4, 4, 2, 2], partition(2), ["a", "b"]), Current, "Current", "Partition rollout complete. updated: 2"),
            (set([4, 4, 3, 1], partition(0), ["a", "b"]), InProgress, "PartitionRollout", "updated: 1/4"),
            (
                set([0, 0, 0, 0], json!({"type": "OnDelete"}), ["a", "b"]),
                Current,
                "Current",
                "StatefulSet is using the ondelete update strategy",
            ),
        ],
    );
}

#[test]
fn daemon_sets() {
    let set = |wanted: i64, current: i64, updated: i64, available: i64, ready: i64| {
        json!({"status": {"observedGeneration": 1, "desiredNumberScheduled": wanted, "currentNumberScheduled": current,
            "updatedNumberScheduled": updated, "numberAvailable": available, "numberReady": ready}})
    };
    table(
        "apps",
        "DaemonSet",
        [
            (
                json!({"metadata": {"name": "web"}}),
                InProgress,
                "NoGeneration",
                "DaemonSet metadata.generation not found",
            ),
            (json!({}), InProgress, "NoObservedGeneration", "DaemonSet status.observedGeneration not found"),
            (
                json!({"status": {"observedGeneration": 1}}),
                InProgress,
                "NoDesiredNumber",
                "Missing .status.desiredNumberScheduled",
            ),
            (set(3, 2, 3, 3, 3), InProgress, "LessCurrent", "Current: 2/3"),
            (set(3, 3, 1, 3, 3), InProgress, "LessUpdated", "Updated: 1/3"),
            (set(3, 3, 3, 2, 3), InProgress, "LessAvailable", "Available: 2/3"),
            (set(3, 3, 3, 3, 0), InProgress, "LessReady", "Ready: 0/3"),
            (set(3, 3, 3, 3, 3), Current, "Current", "All replicas scheduled as expected. Replicas: 3"),
            (set(0, 0, 0, 0, 0), Current, "Current", "All replicas scheduled as expected. Replicas: 0"),
        ],
    );
}

#[test]
fn pods() {
    let unschedulable = |created: &str| {
        json!({"metadata": {"name": "web", "creationTimestamp": created}, "status": {
            "phase": "Pending", "conditions": [condition("PodScheduled", "False", "Unschedulable")],
        }})
    };
    let looping = json!([
        {"name": "web", "state": {"waiting": {"reason": "CrashLoopBackOff"}}},
        {"name": "proxy", "state": {"running": {}}},
        {"name": "log", "state": {"waiting": {"reason": "CrashLoopBackOff"}}},
    ]);
    table(
        "",
        "Pod",
        [
            (json!({}), InProgress, "PodNotObserved", "Pod phase not available"),
            (json!({"status": {"phase": "Odd"}}), InProgress, "PodPhaseUnknown", "unknown phase Odd"),
            (json!({"status": {"phase": "Pending"}}), InProgress, "PodPending", "Pod is in the Pending phase"),
            (unschedulable("2026-11-24T14:59:50Z"), InProgress, "PodNotScheduled", "Pod has not been scheduled"),
            (unschedulable("2026-11-24T14:59:45Z"), Failed, "PodUnschedulable", "Pod could not be scheduled"),
            (
                json!({"status": {"phase": "Running", "conditions": [condition("Ready", "True", "")]}}),
                Current,
                "Current",
                "Pod is Ready",
            ),
            (
                json!({"status": {"phase": "Running", "conditions": [condition("Ready", "False", "")]}}),
                InProgress,
                "PodRunningNotReady",
                "Pod is running but is not Ready",
            ),
            (
                json!({"status": {"phase": "Running", "containerStatuses": looping}}),
                Failed,
                "ContainerCrashLooping",
                "Containers in CrashLoop state: web,log",
            ),
            (json!({"status": {"phase": "Succeeded"}}), Current, "Current", "Pod has completed successfully"),
            (json!({"status": {"phase": "Failed"}}), Current, "Current", "Pod has completed, but not successfully"),
        ],
    );
}

#[test]
fn jobs() {
    let job = |conditions: Value| {
        json!({"spec": {"parallelism": 2, "completions": 3}, "status": {"startTime": "2026-11-24T14:00:00Z",
            "succeeded": 1, "active": 2, "failed": 1, "conditions": conditions}})
    };
    table(
        "batch",
        "Job",
        [
            (json!({}), InProgress, "JobNotStarted", "Job not started"),
            (job(json!([])), Current, "Current", "Job in progress. success:1, active: 2, failed: 1"),
            (job(json!([condition("Complete", "True", "")])), Current, "Current", "Job Completed. succeeded: 1/3"),
            (
                job(json!([condition("Failed", "True", "BackoffLimitExceeded")])),
                Failed,
                "JobFailed",
                "Job Failed. failed: 1/3",
            ),
        ],
    );
}

#[test]
fn claims_services_and_definitions() {
    table(
        "",
        "PersistentVolumeClaim",
        [
            (json!({}), InProgress, "NotBound", "PVC is not Bound. phase: unknown"),
            (json!({"status": {"phase": "Pending"}}), InProgress, "NotBound", "PVC is not Bound. phase: Pending"),
            (json!({"status": {"phase": "Bound"}}), Current, "Current", "PVC is Bound"),
        ],
    );
    table(
        "",
        "Service",
        [
            (json!({}), Current, "Current", "Service is ready"),
            (
                json!({"spec": {"type": "LoadBalancer"}}),
                InProgress,
                "NoIPAssigned",
                "ClusterIP not set. Service type: LoadBalancer",
            ),
            (
                json!({"spec": {"type": "LoadBalancer", "clusterIP": "10.0.0.1"}}),
                Current,
                "Current",
                "Service is ready",
            ),
        ],
    );
    let definition = |conditions: Value| json!({"status": {"conditions": conditions}});
    table(
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        [
            (json!({}), InProgress, "Installing", "Install in progress"),
            (
                definition(json!([condition("NamesAccepted", "False", "ListKindConflict")])),
                Failed,
                "ListKindConflict",
                "NamesAccepted is False",
            ),
            (
                definition(json!([condition("Established", "False", "Installing")])),
                InProgress,
                "Installing",
                "Install in progress",
            ),
            (
                definition(json!([condition("Established", "False", "NotAccepted")])),
                Failed,
                "NotAccepted",
                "Established is False",
            ),
            (
                definition(json!([condition("NamesAccepted", "True", ""), condition("Established", "True", "")])),
                Current,
                "Current",
                "CRD is established",
            ),
        ],
    );
}
