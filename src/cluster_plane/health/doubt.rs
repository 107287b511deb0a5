//! Whether a pod has shown that it runs, or only that it starts.
//!
//! Kubernetes takes a container without a readiness probe for ready as soon as it is started, and with it kstatus takes
//! its workload for current: a program that ends at once is healthy for a moment at each of its starts. So before
//! something counts as healthy for the first time, its pods have to show more: a readiness probe that was passed at the
//! first start, or that they have run for a while. Afterwards kstatus alone is asked; a pod that is replaced later is
//! no reason for doubt.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod};

use super::{pods, trouble::Trouble};
use crate::api::reason;

/// So long a container has to run that no probe vouches for. The chart's own `minReadySeconds` is the same.
const STEADY: SignedDuration = SignedDuration::from_secs(10);

/// Why a pod that is ready may not be taken for one that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// Until when it may not; none for as long as the pod stays as it is.
    pub until: Option<Timestamp>,
    /// Why.
    pub trouble: Trouble,
}

impl Doubt {
    /// Whether it stands at a time.
    pub fn stands(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// The doubt about a pod that lasts longest. There is none about pods that are to end, or are about to.
pub fn doubt(pod: &Pod) -> Option<Doubt> {
    let spec = pod.spec.as_ref()?;
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let ends = spec.restart_policy.as_deref().is_some_and(|policy| policy != "Always");
    if ends || pod.metadata.deletion_timestamp.is_some() || matches!(phase, Some("Succeeded" | "Failed")) {
        return None;
    }
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    let doubts = spec.containers.iter().filter_map(|container| {
        let status = statuses.iter().find(|status| status.name == container.name);
        let doubt = of_container(container, status)?;
        Some(Doubt { trouble: doubt.trouble.of_container(container.name.as_str()), ..doubt })
    });
    doubts.max_by_key(|doubt| doubt.until.unwrap_or(Timestamp::MAX))
}

fn of_container(container: &Container, status: Option<&ContainerStatus>) -> Option<Doubt> {
    let running = status.filter(|status| status.ready).and_then(|status| {
        let running = status.state.as_ref()?.running.as_ref()?;
        // Every kubelet says since when. What stands in for one and does not is taken at its word.
        Some((status, running.started_at.as_ref().map_or(Timestamp::UNIX_EPOCH, |since| since.0)))
    });
    let Some((status, since)) = running else {
        let trouble = Trouble::new(reason::PROGRESSING, "the container is not ready");
        return Some(Doubt { until: None, trouble });
    };
    let trouble = if status.restart_count > 0 {
        pods::crash(status.last_state.as_ref().and_then(|last| last.terminated.as_ref()))
    } else if container.readiness_probe.is_none() {
        let seconds = STEADY.as_secs();
        let why = format!("without a readiness probe it has to run for {seconds} s to count as healthy");
        Trouble::new(reason::PROGRESSING, why)
    } else {
        return None;
    };
    Some(Doubt { until: Some(since.saturating_add(STEADY).unwrap_or(since)), trouble })
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::{Value, json};

    use super::*;

    const STARTED: &str = "2026-11-24T15:00:00Z";
    const PROVEN: &str = "2026-11-24T15:00:10Z";

    fn pod(container: Value, status: Value) -> Value {
        let mut container = container;
        container["name"] = json!("web");
        json!({
            "metadata": {"name": "web-1", "namespace": "shop"},
            "spec": {"containers": [container], "restartPolicy": "Always"},
            "status": {"phase": "Running", "containerStatuses": [status]},
        })
    }

    fn status(ready: bool, restarts: u32, state: Value) -> Value {
        json!({
            "name": "web", "image": "web", "imageID": "", "ready": ready, "restartCount": restarts, "state": state,
            "lastState": if restarts > 0 { json!({"terminated": {"exitCode": 1, "reason": "Error"}}) } else { json!({}) },
        })
    }

    fn running(restarts: u32) -> Value {
        status(true, restarts, json!({"running": {"startedAt": STARTED}}))
    }

    fn of(pod: Value) -> Option<Doubt> {
        doubt(&serde_json::from_value(pod).unwrap())
    }

    /// Until when there is which doubt: nothing is none, and "" is until the pod changes.
    fn said(pod: Value) -> Option<(String, String)> {
        of(pod).map(|doubt| (doubt.until.map_or_else(String::new, |until| until.to_string()), doubt.trouble.reason))
    }

    fn some(until: &str, reason: &str) -> Option<(String, String)> {
        Some((until.to_owned(), reason.to_owned()))
    }

    fn probe() -> Value {
        json!({"readinessProbe": {"tcpSocket": {"port": 8080}}})
    }

    #[test]
    fn a_passed_probe_or_a_while_of_running_is_what_counts() {
        assert_eq!(said(pod(probe(), running(0))), None);
        assert_eq!(said(pod(json!({}), running(0))), some(PROVEN, "Progressing"));
        assert_eq!(said(pod(json!({}), running(2))), some(PROVEN, "CrashLoopBackOff"));
        assert_eq!(said(pod(probe(), running(2))), some(PROVEN, "CrashLoopBackOff"), "it may end again");
        let unprobed = of(pod(json!({}), running(0))).unwrap();
        assert_eq!(unprobed.trouble.container.as_deref(), Some("web"));
        assert!(unprobed.stands("2026-11-24T15:00:09Z".parse().unwrap()) && !unprobed.stands(PROVEN.parse().unwrap()));
    }

    #[test]
    fn a_crash_is_told_in_the_words_in_which_it_is_told_while_it_is_waited_for() {
        let waiting = status(false, 2, json!({"waiting": {"reason": "CrashLoopBackOff"}}));
        let waiting: Pod = serde_json::from_value(pod(json!({}), waiting)).unwrap();
        assert_eq!(of(pod(json!({}), running(2))).map(|doubt| doubt.trouble), pods::trouble(&waiting));
    }

    #[test]
    fn what_does_not_run_is_in_doubt_until_it_does() {
        let ended = status(false, 0, json!({"terminated": {"exitCode": 1}}));
        let waiting = status(false, 1, json!({"waiting": {"reason": "CrashLoopBackOff"}}));
        let unready = status(false, 0, json!({"running": {"startedAt": STARTED}}));
        for status in [ended, waiting, unready] {
            assert_eq!(said(pod(probe(), status)), some("", "Progressing"));
        }
        let mut new = pod(json!({}), json!({}));
        new["status"] = json!({"phase": "Pending"});
        assert_eq!(said(new), some("", "Progressing"));
    }

    #[test]
    fn the_longest_doubt_of_several_containers_is_the_pods() {
        let mut sidecar = running(0);
        sidecar["name"] = json!("sidecar");
        let mut two = pod(probe(), running(0));
        two["spec"]["containers"].as_array_mut().unwrap().push(json!({"name": "sidecar"}));
        assert_eq!(said(two.clone()), some("", "Progressing"), "nothing is known of the other");
        two["status"]["containerStatuses"].as_array_mut().unwrap().push(sidecar);
        assert_eq!(said(two.clone()), some(PROVEN, "Progressing"));
        assert_eq!(of(two).unwrap().trouble.container.as_deref(), Some("sidecar"));
    }

    #[test]
    fn what_is_to_end_or_is_about_to_is_in_no_doubt() {
        let of_job = |policy: &str| {
            let mut pod = pod(json!({}), running(1));
            pod["spec"]["restartPolicy"] = json!(policy);
            pod
        };
        assert_eq!((said(of_job("Never")), said(of_job("OnFailure"))), (None, None));
        let mut leaving = pod(json!({}), running(1));
        leaving["metadata"]["deletionTimestamp"] = json!(STARTED);
        assert_eq!(said(leaving), None);
        let mut evicted = pod(json!({}), running(1));
        evicted["status"]["phase"] = json!("Failed");
        assert_eq!(said(evicted), None);
    }
}
