//! The generated CRDs: every property is described, and their CEL rules say what they mean.

use kube::core::ObjectMeta;
use orbit_plane::api::{
    EnvironmentOverlay, EnvironmentOverlaySpec, EphemeralCluster, EphemeralClusterSpec, HelmChart, HelmChartSpec,
    ImageUpload, ImageUploadSpec, ImageUploadStatus, ReleaseStatus,
};
use orbit_plane::{cluster_plane::variables, digest::Digest};
use serde_json::Value;

/// The paths of all properties without a description, and of all strings, lists and maps without a bound.
fn defects(schema: &Value, path: &str, found: &mut Vec<String>) {
    let own = schema.as_object().expect("a schema is an object");
    let bounded = match own.get("type").and_then(Value::as_str) {
        Some("string") => own.contains_key("maxLength") || own.contains_key("enum") || own.contains_key("pattern"),
        Some("array") => own.contains_key("maxItems"),
        Some("object") if own.contains_key("additionalProperties") => own.contains_key("maxProperties"),
        _ => true,
    };
    if !bounded {
        found.push(format!("{path}: no bound"));
    }
    for (name, property) in own.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = format!("{path}.{name}");
        if property.get("description").and_then(Value::as_str).is_none_or(str::is_empty) {
            found.push(format!("{path}: no description"));
        }
        defects(property, &path, found);
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(inner_schema) = own.get(inner) {
            defects(inner_schema, &format!("{path}.{inner}"), found);
        }
    }
}

#[test]
fn every_property_is_described_and_bounded() {
    let mut found = Vec::new();
    for crd in orbit_plane::controllers::install::crds() {
        let kind = crd.spec.names.kind.clone();
        let crd = serde_json::to_value(crd).unwrap();
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        for part in ["spec", "status"] {
            defects(&schema["properties"][part], &format!("{kind}.{part}"), &mut found);
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn upload(version: &str, image: &str) -> ImageUpload {
    let spec: ImageUploadSpec = serde_json::from_value(serde_json::json!({
        "application": "web",
        "version": version,
        "images": [{"name": "main", "source": {"reference": {"image": image}}}],
    }))
    .unwrap();
    let mut upload = ImageUpload::new("web", spec);
    upload.metadata = ObjectMeta { namespace: Some("shop".into()), ..upload.metadata };
    upload
}

fn message(result: Result<(), impl std::fmt::Debug>) -> String {
    format!("{:?}", result.expect_err("the rule refuses"))
}

#[test]
fn a_stored_version_is_frozen_until_the_version_changes() {
    let mut stored = upload("1.4.0", "registry.example/web:1.4.0");
    stored.status = Some(ImageUploadStatus {
        release: Some(ReleaseStatus { version: "1.4.0".into(), digest: Digest::of("release") }),
        ..Default::default()
    });
    let changed = upload("1.4.0", "registry.example/web:other");
    assert!(message(changed.validate_cel_update(&stored)).contains("give spec.version a new value"));
    upload("1.5.0", "registry.example/web:1.5.0").validate_cel_update(&stored).unwrap();
    let mut described = upload("1.4.0", "registry.example/web:1.4.0");
    described.spec.environments = vec!["prod".into()];
    described.validate_cel_update(&stored).unwrap();
}

#[test]
fn before_it_is_stored_a_version_may_be_corrected() {
    let wrong = upload("1.4.0", "registry.example/web:typo");
    upload("1.4.0", "registry.example/web:1.4.0").validate_cel_update(&wrong).unwrap();
}

#[test]
fn the_application_of_an_upload_cannot_change() {
    let mut other = upload("1.4.0", "a");
    other.spec.application = "shop".into();
    assert!(message(other.validate_cel_update(&upload("1.4.0", "a"))).contains("create another ImageUpload"));
}

#[test]
fn overlays_and_charts_are_named_after_what_they_are() {
    let spec: EnvironmentOverlaySpec =
        serde_json::from_value(serde_json::json!({"application": "web", "environment": "prod"})).unwrap();
    EnvironmentOverlay::new("web.prod", spec.clone()).validate_cel().unwrap();
    assert!(message(EnvironmentOverlay::new("web", spec).validate_cel()).contains("set metadata.name"));
    let spec: HelmChartSpec = serde_json::from_value(serde_json::json!({
        "application": "web", "version": "1.4.0",
        "source": {"generated": {"releaseDigest": Digest::of("release")}},
    }))
    .unwrap();
    HelmChart::new("web.1.4.0", spec.clone()).validate_cel().unwrap();
    assert!(message(HelmChart::new("web", spec).validate_cel()).contains("set metadata.name"));
}

#[test]
fn a_time_that_the_plane_could_not_read_is_refused() {
    let cluster = |expires_at: &str| {
        let spec: EphemeralClusterSpec = serde_json::from_value(serde_json::json!({
            "connection": {"kubeConfig": {"secretRef": {"name": "eu-1"}}},
            "expiresAt": expires_at,
        }))
        .unwrap();
        EphemeralCluster::new("eu-1", spec)
    };
    cluster("9998-12-31T23:59:59Z").validate_cel().unwrap();
    assert!(message(cluster("9999-01-01T00:00:00Z").validate_cel()).contains("before the year 9999"));
    let mut upload = upload("1.4.0", "a");
    let origin =
        |at: &str| serde_json::from_value(serde_json::json!({"revision": "9f2c1e0", "committedAt": at})).unwrap();
    upload.spec.origin = Some(origin("2026-01-02T00:00:00+02:00"));
    upload.validate_cel().unwrap();
    upload.spec.origin = Some(origin("9999-01-01T00:00:00Z"));
    assert!(message(upload.validate_cel()).contains("before the year 9999"));
}

#[test]
fn a_cluster_takes_only_what_can_be_used() {
    let cluster = |more: serde_json::Value| {
        let mut spec = serde_json::json!({"connection": {"kubeConfig": {"secretRef": {"name": "eu-1"}}}});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        EphemeralCluster::new("eu-1", serde_json::from_value(spec).unwrap()).validate_cel()
    };
    for length in ["1s", "1h", "0h10m", "1h0m"] {
        cluster(serde_json::json!({"lostAfter": length})).unwrap();
    }
    for length in ["0s", "0h0m", ""] {
        assert!(message(cluster(serde_json::json!({"lostAfter": length}))).contains("spec.lostAfter"), "{length:?}");
    }
    let longest = "A".repeat(63);
    for name in ["REGION", "_", "A1", &longest] {
        assert!(variables::is_name(name));
        cluster(serde_json::json!({"variables": {name: "eu"}})).unwrap();
    }
    for name in ["region", "1A", "A-B", "", "A B", "A\n", &format!("{longest}A")] {
        assert!(!variables::is_name(name));
        let refused = message(cluster(serde_json::json!({"variables": {"REGION": "eu", name: "eu"}})));
        assert!(refused.contains("a variable is named"), "{name:?}: {refused}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let printed = std::process::Command::new(env!("CARGO_BIN_EXE_orbit")).arg("crds").stdout(writer).output().unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
}
