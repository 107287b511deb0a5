//! What the charts render to.

use std::collections::BTreeMap;

use orbit_plane::{api::Workload, digest::Digest};
use serde_json::{Value, json};

use crate::{
    helm::{ChartDir, container, of_kind},
    samples::{sample, samples},
};

#[test]
fn every_chart_lints_and_renders() {
    let overlays = [
        json!({}),
        json!({"image": {"registry": "registry.example:5000"}, "imagePullSecrets": [{"name": "regcred"}]}),
        json!({"autoscaling": {"enabled": true}, "podDisruptionBudget": {"enabled": true, "minAvailable": 0},
            "networkPolicy": {"enabled": true, "ingressFrom": [{"podSelector": {}}], "egress": [{}]}}),
        json!({"config": {"LOG_LEVEL": null}, "volumes": [], "ports": [], "replicas": 0,
            "podDisruptionBudget": {"enabled": true, "maxUnavailable": "50%"}, "networkPolicy": {"enabled": true}}),
        json!({"resources": {"limits": {"memory": "256Mi", "cpu": 1}}, "service": {"enabled": false},
            "serviceAccount": {"create": false}, "podLabels": {"a": "b"}, "podAnnotations": {"c": "d"},
            "nodeSelector": {"disk": "ssd"}, "tolerations": [{"operator": "Exists"}], "securityContext": {"readOnlyRootFilesystem": true}}),
    ];
    for sample in samples() {
        let chart = ChartDir::new(&sample.chart());
        chart.lint().unwrap_or_else(|e| panic!("{}: {e}", sample.name));
        for values in &overlays {
            let objects = chart.template(values).unwrap_or_else(|e| panic!("{}: {e}", sample.name));
            of_kind(&objects, "Deployment").unwrap();
        }
        let with_autoscaling = chart.template(&overlays[2]).unwrap();
        assert_eq!(of_kind(&with_autoscaling, "Deployment").unwrap()["spec"].get("replicas"), None);
        for kind in ["HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy"] {
            assert!(of_kind(&with_autoscaling, kind).is_some(), "{kind}");
        }
        assert_eq!(of_kind(&with_autoscaling, "PodDisruptionBudget").unwrap()["spec"]["minAvailable"], 0);
        assert_eq!(
            of_kind(&chart.template(&overlays[3]).unwrap(), "Deployment").unwrap()["spec"]["replicas"],
            0,
            "{}",
            sample.name
        );
    }
}

#[test]
fn the_image_is_pinned_and_served_from_the_host_of_the_day() {
    let chart = ChartDir::new(&sample("named").chart());
    let image = |values| container(&chart.template(&values).unwrap())["image"].as_str().unwrap().to_owned();
    let digest = Digest::of("image");
    assert_eq!(image(json!({})), format!("shop/web@{digest}"));
    assert_eq!(image(json!({"image": {"registry": "r.example:5000"}})), format!("r.example:5000/shop/web@{digest}"));
}

#[test]
fn ports_and_service() {
    let objects = ChartDir::new(&sample("UDP").chart()).template(&json!({})).unwrap();
    let ports: Vec<_> = of_kind(&objects, "Service").unwrap()["spec"]["ports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| (p["name"].as_str().unwrap(), p["port"].as_i64().unwrap(), p["protocol"].as_str().unwrap()))
        .collect();
    assert_eq!(ports, [("tcp-53", 53, "TCP"), ("udp-53", 53, "UDP"), ("sctp-9000", 9000, "SCTP")]);

    let none = ChartDir::new(&sample("no EXPOSE").chart());
    let objects = none.template_with_tests();
    assert!(of_kind(&objects, "Service").is_none());
    assert!(of_kind(&objects, "Pod").is_none(), "nothing to connect to");
    assert!(of_kind(&ChartDir::new(&sample("named").chart()).template_with_tests(), "Pod").is_some());
}

#[test]
fn security_follows_the_user() {
    let pod = |name: &str| {
        let objects = ChartDir::new(&sample(name).chart()).template(&json!({})).unwrap();
        of_kind(&objects, "Deployment").unwrap()["spec"]["template"]["spec"].clone()
    };
    let numeric = pod("numeric");
    assert_eq!(numeric["securityContext"]["runAsUser"], 1_000_660_000, "no exponent, no string");
    assert_eq!(numeric["securityContext"]["sysctls"][0]["value"], "80");
    assert_eq!(numeric["containers"][0]["securityContext"]["capabilities"]["drop"], json!(["ALL"]));
    assert_eq!(pod("named")["securityContext"]["runAsGroup"], 1001);
    assert_eq!(pod("named")["automountServiceAccountToken"], false);
    for name in ["root", "no USER"] {
        assert_eq!(pod(name)["securityContext"].get("runAsNonRoot"), None, "{name}");
        assert!(sample(name).chart().unrestricted.unwrap().contains("runs as root"), "{name}");
    }
    assert_eq!(sample("named").chart().unrestricted, None);
}

#[test]
fn healthcheck_and_volumes() {
    let objects = ChartDir::new(&sample("HEALTHCHECK").chart()).template(&json!({})).unwrap();
    let main = container(&objects);
    let command = json!(["/bin/sh", "-c", "wget -qO- \"http://localhost:8080/{{ healthz }}\" || exit 1"]);
    assert_eq!(
        main["readinessProbe"],
        json!({"exec": {"command": command}, "periodSeconds": 10, "timeoutSeconds": 2, "failureThreshold": 4})
    );
    assert_eq!(main["livenessProbe"], main["readinessProbe"]);
    assert_eq!(main["startupProbe"]["periodSeconds"], 5);
    assert_eq!(main["startupProbe"]["failureThreshold"], 12);

    let objects = ChartDir::new(&sample("VOLUME").chart()).template(&json!({})).unwrap();
    let mounts = &container(&objects)["volumeMounts"];
    assert_eq!(mounts[0]["mountPath"], "/data");
    assert_eq!(mounts[1]["mountPath"], "/var/cache/web");
    assert_eq!(mounts.as_array().unwrap().len(), 2);
    let volumes = &of_kind(&objects, "Deployment").unwrap()["spec"]["template"]["spec"]["volumes"];
    assert_eq!(volumes[0], json!({"name": "volume-0", "emptyDir": {}}));
}

#[test]
fn the_user_has_the_last_word() {
    let workload: Workload = serde_json::from_value(json!({
        "replicas": 3, "command": ["/web", "--flag=yes"], "args": ["0644", "on"],
        "ports": [{"name": "http", "containerPort": 9000}],
        "secretRefs": [{"name": "web-db"}],
        "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "256Mi"}},
        "probes": {"readiness": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 3}},
    }))
    .unwrap();
    let chart = sample("HEALTHCHECK").chart_with(&BTreeMap::new(), &workload).unwrap();
    let chart = ChartDir::new(&chart);
    chart.lint().unwrap();
    let objects = chart.template(&json!({})).unwrap();
    let main = container(&objects);
    assert_eq!(of_kind(&objects, "Deployment").unwrap()["spec"]["replicas"], 3);
    assert_eq!(main["command"], json!(["/web", "--flag=yes"]));
    assert_eq!(main["args"], json!(["0644", "on"]));
    assert_eq!(main["ports"], json!([{"name": "http", "containerPort": 9000, "protocol": "TCP"}]));
    assert_eq!(main["envFrom"], json!([{"secretRef": {"name": "web-db"}}]));
    assert_eq!(main["readinessProbe"], json!({"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 3}));
    assert_eq!((main.get("livenessProbe"), main.get("startupProbe")), (None, None));
    assert!(of_kind(&objects, "ConfigMap").is_none());
}

#[test]
fn a_pod_that_no_probe_vouches_for_has_to_stay_ready_to_count() {
    let seconds = |name, values: Value| {
        let objects = ChartDir::new(&sample(name).chart()).template(&values).unwrap();
        of_kind(&objects, "Deployment").unwrap()["spec"].get("minReadySeconds").cloned()
    };
    assert_eq!(seconds("no EXPOSE", json!({})), Some(json!(10)));
    assert_eq!(seconds("HEALTHCHECK", json!({})), None);
    let probe = json!({"probes": {"readiness": {"exec": {"command": ["true"]}}}});
    assert_eq!(seconds("no EXPOSE", probe), None, "a probe that comes with an overlay counts");
    for name in ["no EXPOSE", "HEALTHCHECK"] {
        assert_eq!(seconds(name, json!({"minReadySeconds": 3})), Some(json!(3)));
        assert_eq!(seconds(name, json!({"minReadySeconds": 0})), None);
    }
}

#[test]
fn what_kubernetes_would_refuse_is_a_sentence() {
    let refused = |workload: Value| {
        let workload: Workload = serde_json::from_value(workload).unwrap();
        sample("UDP").chart_with(&BTreeMap::new(), &workload).unwrap_err().to_string()
    };
    let tcp = |name: &str, port: i32| json!({"name": name, "containerPort": port});
    let cases = [
        (json!({"ports": [tcp("8080", 1)]}), "spec.workload.ports[0].name is \"8080\""),
        (json!({"ports": [tcp("a", 1), tcp("a", 2)]}), "spec.workload.ports[1].name is \"a\""),
        (json!({"ports": [tcp("a", 1), tcp("b", 1)]}), "spec.workload.ports[1] repeats port 1/TCP"),
        (json!({"probes": {"liveness": {"tcpSocket": {"port": "http"}}}}), "it has tcp-53"),
        (json!({"probes": {"liveness": {"tcpSocket": {"port": "udp-53"}}}}), "no TCP port"),
        (json!({"probes": {"startup": {}}}), "spec.workload.probes.startup needs exactly one"),
    ];
    for (workload, expected) in cases {
        let error = refused(workload);
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_wrong_value_is_refused_with_its_path() {
    let chart = ChartDir::new(&sample("named").chart());
    for (values, path) in [
        (json!({"replicas": "three"}), "/replicas"),
        (json!({"replica": 3}), "replica"),
        (json!({"minReadySeconds": 600}), "/minReadySeconds"),
        (json!({"config": {"PORT": 8080}}), "/config/PORT"),
        (json!({"image": {"digest": "latest"}}), "/image/digest"),
        (json!({"resources": {"limits": {"memory": "much"}}}), "/resources/limits/memory"),
        (json!({"service": {"type": "Cluster"}}), "/service/type"),
        (json!({"securityContext": {"runAsNonRot": true}}), "/securityContext"),
        (json!({"probes": {"liveness": {"periodSeconds": 3}}}), "/probes/liveness"),
        (json!({"ports": [{"name": "http", "containerPort": 70000}]}), "/ports/0/containerPort"),
    ] {
        let error = chart.template(&values).expect_err(&values.to_string());
        assert!(error.contains(path), "{values}: {error}");
    }
}

#[test]
fn long_versions_are_valid_labels() {
    let version = format!("1.4.0-{}", "a-".repeat(28) + "xy");
    let mut chart = sample("named").chart();
    let yaml = chart.files.get_mut("Chart.yaml").unwrap();
    *yaml = yaml.replace("1.4.0", &version);
    let chart = ChartDir::new(&chart);
    chart.lint().unwrap();
    for object in chart.template(&json!({})).unwrap() {
        for (name, value) in object["metadata"]["labels"].as_object().unwrap() {
            let value = value.as_str().unwrap();
            assert!(value.len() <= 63 && value.ends_with(|c: char| c.is_ascii_alphanumeric()), "{name}: {value}");
        }
    }
}
