//! `values.yaml`: every decision of the Manifestor, commented, for an overlay to change.

use serde_json::{Value, json};

use super::{
    ChartInput, RunAs,
    yaml::{self, entry, map},
};
use crate::api::{ContainerPort, Probes};

/// Ports below are reserved for root unless the pod says otherwise.
const FIRST_UNPRIVILEGED_PORT: i32 = 1024;

/// The chart's `values.yaml`. `ports` and `probes` are what was decided for this release.
pub(super) fn values_yaml(input: &ChartInput<'_>, ports: &[ContainerPort], probes: &Probes) -> String {
    let workload = input.workload;
    yaml::document(&[
        map(
            "image",
            "The image. registry is the host that serves it, set when the chart is rendered; the digest pins it.",
            vec![
                entry("registry", "", ""),
                entry("repository", "", input.repository.as_str()),
                entry("digest", "", input.image_digest.to_string()),
                entry("pullPolicy", "", "IfNotPresent"),
            ],
        ),
        entry("imagePullSecrets", "Secrets to pull the image with, as in [{name: regcred}].", json!([])),
        entry("replicas", "Pods to run. Not used while autoscaling is enabled.", workload.replicas.unwrap_or(1)),
        entry("command", "Replaces the image's ENTRYPOINT. Empty leaves it as it is.", json!(workload.command)),
        entry("args", "Replaces the image's CMD. Empty leaves it as it is.", json!(workload.args)),
        entry("config", "Environment variables, from a ConfigMap. A change restarts the pods.", json!(input.config)),
        entry(
            "secretRefs",
            "Secrets of the namespace whose entries become environment variables. They win over config.",
            json!(workload.secret_refs),
        ),
        entry(
            "ports",
            "Ports the container listens on. servicePort is the Service's, when it is another one.",
            json!(ports),
        ),
        map(
            "service",
            "The Service in front of the ports. There is none without ports.",
            vec![entry("enabled", "", true), entry("type", "", "ClusterIP"), entry("annotations", "", json!({}))],
        ),
        entry(
            "probes",
            "What Kubernetes asks the container: startup, liveness and readiness, as in a container's spec.",
            json!(probes),
        ),
        entry(
            "minReadySeconds",
            "Seconds a pod has to be ready until it counts and the next one is replaced. Left open, 10 without a readiness\n\
             probe, since every container is ready then that merely starts, and 0 with one.",
            Value::Null,
        ),
        entry(
            "resources",
            "Compute resources of the container.",
            json!(workload.resources.clone().unwrap_or_default()),
        ),
        entry("volumes", volumes_comment(input), volumes(input)),
        entry("podSecurityContext", pod_security_comment(input), pod_security_context(input, ports)),
        entry(
            "securityContext",
            "Security of the container. Set readOnlyRootFilesystem to true where the image writes to its volumes only:\n\
             an image does not say whether it does.",
            security_context(input),
        ),
        map(
            "serviceAccount",
            "The ServiceAccount of the pods. It has no token: set automountToken where the program calls Kubernetes.",
            vec![
                entry("create", "", true),
                entry("name", "", ""),
                entry("automountToken", "", false),
                entry("annotations", "", json!({})),
            ],
        ),
        entry("terminationGracePeriodSeconds", stop_comment(input), 30),
        map(
            "autoscaling",
            "A HorizontalPodAutoscaler. It needs resources.requests.cpu.",
            vec![
                entry("enabled", "", false),
                entry("minReplicas", "", 2),
                entry("maxReplicas", "", 10),
                entry("targetCPUUtilizationPercentage", "", 80),
            ],
        ),
        map(
            "podDisruptionBudget",
            "A PodDisruptionBudget. minAvailable, when set, takes the place of maxUnavailable.",
            vec![entry("enabled", "", false), entry("maxUnavailable", "", 1), entry("minAvailable", "", Value::Null)],
        ),
        map(
            "networkPolicy",
            "A NetworkPolicy that lets in nothing but the ports. ingressFrom names the peers (empty: all),\n\
             egress the rules for what goes out (empty: everything).",
            vec![entry("enabled", "", false), entry("ingressFrom", "", json!([])), entry("egress", "", json!([]))],
        ),
        entry("podAnnotations", "Further annotations of the pods.", json!({})),
        entry("podLabels", "Further labels of the pods.", json!({})),
        entry("nodeSelector", "Where the pods run.", json!({})),
        entry("tolerations", "", json!([])),
        entry("affinity", "", json!({})),
        entry("topologySpreadConstraints", "", json!([])),
        map(
            "connectionTest",
            "The image that `helm test` connects from; it needs nc.",
            vec![entry("image", "", "busybox:1.37")],
        ),
    ])
}

/// A directory of its own for every VOLUME.
fn volumes(input: &ChartInput<'_>) -> Value {
    let mounts =
        mountable(input).enumerate().map(|(i, path)| json!({"name": format!("volume-{i}"), "mountPath": path}));
    Value::Array(mounts.collect())
}

/// Kubernetes refuses a colon in a mount path.
fn mountable<'a>(input: &'a ChartInput<'_>) -> impl Iterator<Item = &'a String> {
    input.image.volumes.iter().filter(|path| !path.contains(':'))
}

fn volumes_comment(input: &ChartInput<'_>) -> String {
    let mut comment =
        "Empty directories, one for each VOLUME of the image. They live as long as the pod and hide what the image\n\
                       has at their paths; sizeLimit bounds one."
            .to_owned();
    for path in input.image.volumes.iter().filter(|path| path.contains(':')) {
        comment.push_str(&format!("\nLeft out, because Kubernetes takes no colon in a path: {path:?}"));
    }
    comment
}

fn pod_security_comment(input: &ChartInput<'_>) -> &'static str {
    match input.run_as {
        RunAs::Numeric { .. } => "Security of the pod, as Pod Security \"restricted\" asks.",
        RunAs::Root => "Security of the pod. The image runs as root, which Pod Security \"restricted\" does not admit.",
        RunAs::Unresolved { .. } => {
            "Security of the pod. The number of the image's user is unknown, hence Pod Security \"restricted\" does not admit it."
        }
    }
}

fn pod_security_context(input: &ChartInput<'_>, ports: &[ContainerPort]) -> Value {
    let mut context = json!({"seccompProfile": {"type": "RuntimeDefault"}});
    if let RunAs::Numeric { uid, gid } = input.run_as {
        context["runAsNonRoot"] = json!(true);
        context["runAsUser"] = json!(uid);
        if let Some(gid) = gid {
            context["runAsGroup"] = json!(gid);
        }
        // A capability would not help: without privilege escalation a process of another user never gets it.
        // This sysctl is a safe one, which "restricted" admits.
        let lowest = ports.iter().map(|port| port.container_port).min().filter(|port| *port < FIRST_UNPRIVILEGED_PORT);
        if let Some(port) = lowest {
            context["sysctls"] = json!([{"name": "net.ipv4.ip_unprivileged_port_start", "value": port.to_string()}]);
        }
    }
    context
}

/// For an image that cannot run restricted: what Docker gives it too, so that what runs there runs here.
fn security_context(input: &ChartInput<'_>) -> Value {
    match input.run_as {
        RunAs::Numeric { .. } => json!({
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": false,
        }),
        RunAs::Root | RunAs::Unresolved { .. } => json!({"readOnlyRootFilesystem": false}),
    }
}

fn stop_comment(input: &ChartInput<'_>) -> String {
    let comment = "Seconds a pod has to end before it is killed.";
    match &input.image.stop_signal {
        // The container runtime reads STOPSIGNAL from the image by itself; lifecycle.stopSignal is a feature gate.
        Some(signal) => format!("{comment} The image's STOPSIGNAL {signal:?} is what it is asked with."),
        None => comment.to_owned(),
    }
}
