//! Why a pod does not run, and whose it is.

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod, PodStatus};
use kube::ResourceExt;

use super::trouble::Trouble;
use crate::cluster_plane::objects::ObjectId;

/// What a container runtime says of a container that never ran. Other messages are the application's own words, which
/// do not belong into conditions and histories.
const RUNTIME_REASONS: [&str; 3] = ["StartError", "ContainerCannotRun", "RunContainerError"];
/// Reasons for which a container's image is not there.
const IMAGE_REASONS: [&str; 7] = [
    "ImagePullBackOff",
    "ErrImagePull",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
];
/// Reasons for which a container with an image does not start.
const START_REASONS: [&str; 6] = [
    "CreateContainerConfigError",
    "CreateContainerError",
    "PreCreateHookError",
    "PreStartHookError",
    "PostStartHookError",
    "RunContainerError",
];
/// How many digits the time has that a CronJob puts behind its name: minutes since 1970.
const CRON_DIGITS: usize = 8;

/// What keeps this pod from running; none while it is merely on its way.
pub fn trouble(pod: &Pod) -> Option<Trouble> {
    let status = pod.status.as_ref()?;
    lost(status).or_else(|| unschedulable(status)).or_else(|| {
        let never = pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()) == Some("Never");
        let statuses = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
        statuses.into_iter().find_map(|container| {
            container_trouble(container, never).map(|trouble| trouble.of_container(container.name.as_str()))
        })
    })
}

/// The pod was taken from its node, or its node from the cluster.
fn lost(status: &PodStatus) -> Option<Trouble> {
    let reason = status.reason.as_deref().filter(|reason| !reason.is_empty())?;
    if reason != "NodeLost" && status.phase.as_deref() != Some("Failed") {
        return None;
    }
    Some(Trouble::new(reason, status.message.as_deref().unwrap_or("the pod was ended by its node")))
}

fn unschedulable(status: &PodStatus) -> Option<Trouble> {
    let condition = status.conditions.iter().flatten().find(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && condition.reason.as_deref() == Some("Unschedulable")
    })?;
    Some(Trouble::new("Unschedulable", condition.message.as_deref().unwrap_or("no node takes the pod")))
}

fn container_trouble(container: &ContainerStatus, never_restarted: bool) -> Option<Trouble> {
    let state = container.state.as_ref()?;
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref()?;
        let message = waiting.message.as_deref().unwrap_or_default();
        return if IMAGE_REASONS.contains(&reason) {
            Some(image_trouble(reason, message, &container.image))
        } else if START_REASONS.contains(&reason) {
            Some(Trouble::new(reason, format!("the container cannot be started: {message}")))
        } else if reason == "CrashLoopBackOff" {
            let last = container.last_state.as_ref().and_then(|last| last.terminated.as_ref());
            Some(crash(last))
        } else {
            None
        };
    }
    let ended = state.terminated.as_ref().filter(|ended| ended.exit_code != 0)?;
    if never_restarted {
        return Some(Trouble::new("ContainerFailed", format!("the container ended {}", how(ended))));
    }
    // Between two starts a container that crashes again and again is for a moment just ended.
    (container.restart_count > 0).then(|| crash(Some(ended)))
}

/// The kubelet alternates between trying and waiting to try: both are said in the same words.
fn image_trouble(reason: &str, message: &str, image: &str) -> Trouble {
    let reason = if reason == "ErrImagePull" { "ImagePullBackOff" } else { reason };
    let cause = match message.strip_prefix("Back-off pulling image ") {
        Some(rest) => rest.split_once(": ").map_or("", |(_, cause)| cause),
        None => message,
    };
    let cause = cause.strip_prefix("ErrImagePull: ").unwrap_or(cause);
    match cause.is_empty() {
        true => Trouble::new(reason, format!("the image {image} cannot be pulled")),
        false => Trouble::new(reason, format!("the image {image} cannot be pulled: {cause}")),
    }
}

pub(super) fn crash(last: Option<&ContainerStateTerminated>) -> Trouble {
    let message = match last {
        Some(last) => format!("the container ends again and again, last {}", how(last)),
        None => "the container ends again and again".to_owned(),
    };
    Trouble::new("CrashLoopBackOff", message)
}

/// As in "with exit code 137 (OOMKilled: it needs more memory than its limit)".
fn how(ended: &ContainerStateTerminated) -> String {
    let code = ended.exit_code;
    match ended.reason.as_deref() {
        Some("OOMKilled") => format!("with exit code {code} (OOMKilled: it needs more memory than its limit)"),
        Some(reason) if RUNTIME_REASONS.contains(&reason) => {
            format!("with exit code {code} ({reason}: {})", ended.message.as_deref().unwrap_or("no more is known"))
        }
        Some(reason) if reason != "Error" => format!("with exit code {code} ({reason})"),
        _ => format!("with exit code {code}"),
    }
}

/// Whether it takes requests.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Itself and what it may belong to, nearest first: what a Delivery applied is one of them.
///
/// Only the nearest is known for certain. Beyond it, names tell: a ReplicaSet is called after its Deployment and the
/// hash of its pod template, a Job after its CronJob and a time.
pub fn owners(pod: &Pod) -> Vec<ObjectId> {
    let namespace = pod.namespace().unwrap_or_default();
    let id = |group: &str, kind: &str, name: &str| ObjectId {
        group: group.to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.clone(),
        name: name.to_owned(),
    };
    let mut owners = vec![id("", "Pod", &pod.name_any())];
    let Some(owner) = pod.owner_references().iter().find(|owner| owner.controller == Some(true)) else {
        return owners;
    };
    let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
    owners.push(id(group, &owner.kind, &owner.name));
    match (group, owner.kind.as_str()) {
        ("apps", "ReplicaSet") => {
            let hash = pod.labels().get("pod-template-hash");
            if let Some(name) = hash.and_then(|hash| owner.name.strip_suffix(hash.as_str())?.strip_suffix('-')) {
                owners.push(id("apps", "Deployment", name));
            }
        }
        ("batch", "Job") => {
            if let Some((name, time)) = owner.name.rsplit_once('-')
                && time.len() >= CRON_DIGITS
                && time.bytes().all(|byte| byte.is_ascii_digit())
            {
                owners.push(id("batch", "CronJob", name));
            }
        }
        _ => {}
    }
    owners
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "web-1", "namespace": "shop"}, "status": status})).unwrap()
    }

    fn container(state: Value) -> Value {
        json!({"name": "web", "image": "r.example/shop/web@sha256:1", "imageID": "", "ready": false, "restartCount": 3,
               "state": state, "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}})
    }

    fn waiting(reason: &str, message: &str) -> Pod {
        let state = json!({"waiting": {"reason": reason, "message": message}});
        pod(json!({"phase": "Pending", "containerStatuses": [container(state)]}))
    }

    fn of_web(reason: &str, message: &str) -> Option<Trouble> {
        Some(Trouble::new(reason, message).of_container("web"))
    }

    #[test]
    fn an_image_that_cannot_be_pulled_is_told_alike_whether_tried_or_waited_for() {
        let cause = "failed to pull and unpack image \"r.example/shop/web\": not found";
        let expected =
            of_web("ImagePullBackOff", &format!("the image r.example/shop/web@sha256:1 cannot be pulled: {cause}"));
        assert_eq!(trouble(&waiting("ErrImagePull", cause)), expected);
        let backing_off = format!("Back-off pulling image \"r.example/shop/web\": ErrImagePull: {cause}");
        assert_eq!(trouble(&waiting("ImagePullBackOff", &backing_off)), expected);
        let old = waiting("ImagePullBackOff", "Back-off pulling image \"r.example/shop/web\"");
        assert_eq!(trouble(&old), of_web("ImagePullBackOff", "the image r.example/shop/web@sha256:1 cannot be pulled"));
        assert_eq!(trouble(&waiting("InvalidImageName", "couldn't parse")).unwrap().reason, "InvalidImageName");
    }

    #[test]
    fn a_crash_tells_how_the_container_ended() {
        let backing_off = "back-off 5m0s restarting failed container=web pod=web-1_shop(uid)";
        let expected = of_web(
            "CrashLoopBackOff",
            "the container ends again and again, last with exit code 137 (OOMKilled: it needs more memory than its limit)",
        );
        assert_eq!(trouble(&waiting("CrashLoopBackOff", backing_off)), expected);

        let ended = |state: Value| trouble(&pod(json!({"phase": "Running", "containerStatuses": [container(state)]})));
        assert_eq!(ended(json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}})), expected);
        assert_eq!(
            ended(json!({"terminated": {"exitCode": 1, "reason": "Error", "message": "password=hunter2"}})),
            of_web("CrashLoopBackOff", "the container ends again and again, last with exit code 1"),
            "what the application wrote is not repeated"
        );
        assert_eq!(
            ended(
                json!({"terminated": {"exitCode": 128, "reason": "StartError", "message": "exec: \"/srv\": not found"}})
            ),
            of_web(
                "CrashLoopBackOff",
                "the container ends again and again, last with exit code 128 (StartError: exec: \"/srv\": not found)"
            )
        );
        assert_eq!(ended(json!({"terminated": {"exitCode": 0, "reason": "Completed"}})), None);
        assert_eq!(ended(json!({"running": {}})), None);
    }

    #[test]
    fn what_is_missing_for_a_container_is_named() {
        assert_eq!(
            trouble(&waiting("CreateContainerConfigError", "secret \"web-db\" not found")),
            of_web("CreateContainerConfigError", "the container cannot be started: secret \"web-db\" not found")
        );
    }

    #[test]
    fn a_pod_on_its_way_is_in_no_trouble() {
        for reason in ["ContainerCreating", "PodInitializing"] {
            assert_eq!(trouble(&waiting(reason, "")), None);
        }
        assert_eq!(trouble(&pod(json!({"phase": "Pending"}))), None);
        assert_eq!(trouble(&Pod::default()), None);
    }

    #[test]
    fn init_containers_come_first() {
        let state = |reason: &str| json!({"waiting": {"reason": reason}});
        let mut init = container(state("CreateContainerError"));
        init["name"] = json!("migrate");
        let pod = pod(json!({"phase": "Pending", "initContainerStatuses": [init],
            "containerStatuses": [container(state("PodInitializing"))]}));
        assert_eq!(trouble(&pod).unwrap().container.as_deref(), Some("migrate"));
    }

    #[test]
    fn a_job_of_one_attempt_fails_with_its_container() {
        let state = json!({"terminated": {"exitCode": 3, "reason": "Error"}});
        let mut pod = pod(json!({"phase": "Failed", "containerStatuses": [container(state)]}));
        pod.spec = Some(serde_json::from_value(json!({"containers": [], "restartPolicy": "Never"})).unwrap());
        assert_eq!(trouble(&pod), of_web("ContainerFailed", "the container ended with exit code 3"));
    }

    #[test]
    fn nodes_and_their_lack_are_told() {
        let message = "0/3 nodes are available: 3 Insufficient memory.";
        let unschedulable = json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message},
        ]});
        assert_eq!(trouble(&pod(unschedulable)), Some(Trouble::new("Unschedulable", message)));
        let gated = json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"},
        ]});
        assert_eq!(trouble(&pod(gated)), None);
        let evicted =
            json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."});
        assert_eq!(trouble(&pod(evicted)), Some(Trouble::new("Evicted", "The node was low on resource: memory.")));
        let lost = json!({"phase": "Running", "reason": "NodeLost", "message": "Node n1 is gone"});
        assert_eq!(trouble(&pod(lost)), Some(Trouble::new("NodeLost", "Node n1 is gone")));
    }

    #[test]
    fn a_pod_is_traced_to_what_was_applied() {
        let names = |labels: Value, owner: Value| {
            let pod: Pod = serde_json::from_value(json!({"metadata": {
                "name": "web-1", "namespace": "shop", "labels": labels, "ownerReferences": [owner],
            }}))
            .unwrap();
            owners(&pod).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let owner = |api: &str, kind: &str, name: &str| json!({"apiVersion": api, "kind": kind, "name": name, "uid": "1", "controller": true});
        let hash = json!({"pod-template-hash": "7d4f9c5b6"});
        let pod = "Pod web-1 in namespace shop";
        let replica_set = owner("apps/v1", "ReplicaSet", "web-7d4f9c5b6");
        let set = "ReplicaSet.apps web-7d4f9c5b6 in namespace shop";
        assert_eq!(names(hash.clone(), replica_set.clone()), [pod, set, "Deployment.apps web in namespace shop"]);
        assert_eq!(names(json!({}), replica_set), [pod, set]);
        assert_eq!(
            names(json!({}), owner("batch/v1", "Job", "backup-29400000")),
            [pod, "Job.batch backup-29400000 in namespace shop", "CronJob.batch backup in namespace shop"]
        );
        assert_eq!(names(json!({}), owner("batch/v1", "Job", "migrate-2")).len(), 2);
        assert_eq!(
            names(json!({}), owner("apps/v1", "StatefulSet", "db")),
            [pod, "StatefulSet.apps db in namespace shop"]
        );
        let mut not_in_control = owner("apps/v1", "StatefulSet", "db");
        not_in_control["controller"] = json!(false);
        assert_eq!(names(json!({}), not_in_control), [pod]);
    }
}
