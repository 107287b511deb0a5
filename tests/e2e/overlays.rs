//! Which release an environment runs, and what happens when it cannot be rendered.

use orbit_plane::api::{EnvironmentOverlay, ImageUpload, condition_type, reason};
use serde_json::{Value, json};

use crate::{
    cluster::with_namespace,
    plane::{Controller, Plane, Stores, condition, image::Image, registry::Registry},
};

struct Scene {
    plane: Plane,
    registry: Registry,
    _controller: Controller,
}

impl Scene {
    async fn of(client: kube::Client, namespace: &str) -> Self {
        let plane = Plane::new(client, namespace, Stores::Embedded, &[]).await;
        let controller = plane.start().await;
        Self { plane, registry: Registry::start().await, _controller: controller }
    }

    /// Has a version of `web` stored and charted.
    async fn release(&self, version: &str, environments: &[&str]) {
        let image = self.registry.push(&Image::of(version), "shop/web", version).await;
        self.plane.upload("web", version, &image, json!({"environments": environments})).await;
        self.plane
            .until("web", &format!("ready with {version}"), |upload: &ImageUpload| {
                let stored = upload.status.as_ref().and_then(|status| status.release.as_ref());
                condition(upload, condition_type::READY).is_some_and(|ready| ready.reason == reason::SUCCEEDED)
                    && stored.is_some_and(|release| release.version == version)
            })
            .await;
    }

    async fn overlay(&self, more: Value) -> EnvironmentOverlay {
        let mut spec = json!({"application": "web", "environment": "dev"});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.plane.apply("web.dev", spec).await
    }

    async fn until_runs(&self, version: &str) -> EnvironmentOverlay {
        self.plane
            .until("web.dev", &format!("running {version}"), |overlay: &EnvironmentOverlay| {
                let selected = overlay.status.as_ref().and_then(|status| status.selected.as_ref());
                condition(overlay, condition_type::READY).is_some_and(|ready| ready.reason == reason::SUCCEEDED)
                    && selected.is_some_and(|selected| selected.version == version)
            })
            .await
    }

    /// What the environment came to run, one after the other.
    async fn selections(&self) -> Vec<String> {
        let journal = self.plane.journal("web").await;
        journal.iter().filter_map(|line| line.strip_prefix("selected dev ")).map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn selection_moves_upward_and_back_only_when_it_is_told_to() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client, &namespace).await;
        scene.release("1.0.0", &["dev"]).await;
        scene.until_runs("1.0.0").await;
        scene.release("1.2.0", &["dev"]).await;
        scene.until_runs("1.2.0").await;
        // An older one comes late, and one that may not go there.
        scene.release("1.1.0", &["dev"]).await;
        scene.release("2.0.0", &["prod"]).await;
        scene.plane.until_ready::<EnvironmentOverlay>("web.prod").await;
        // A prerelease of something newer may go where no range says otherwise.
        scene.release("1.3.0-rc.1", &["dev"]).await;
        scene.until_runs("1.3.0-rc.1").await;
        // A range of the user's own: the spec changed, so it may go down.
        scene.overlay(json!({"version": {"range": "~1.1"}})).await;
        scene.until_runs("1.1.0").await;
        scene.overlay(json!({"version": {"pin": "1.0.0"}})).await;
        let overlay = scene.until_runs("1.0.0").await;
        let selected = overlay.status.unwrap().selected.unwrap();
        assert_eq!(serde_json::to_value(selected.reason).unwrap(), "Pinned");
        scene.overlay(json!({"version": {"range": ">=1.0.0 <2.0.0"}})).await;
        scene.until_runs("1.2.0").await;
        assert_eq!(scene.selections().await, ["1.0.0", "1.2.0", "1.3.0-rc.1", "1.1.0", "1.0.0", "1.2.0"]);
        // Neither a deletion nor an environment taken back takes anything from where it runs.
        scene.plane.delete::<ImageUpload>("web").await;
        scene.until_runs("1.2.0").await;
        assert_eq!(scene.selections().await.len(), 6);
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_selected_says_why() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client, &namespace).await;
        let plane = &scene.plane;
        scene.release("1.0.0", &["dev"]).await;
        scene.until_runs("1.0.0").await;
        scene.overlay(json!({"version": {"range": "not a range"}})).await;
        plane.until_stalled::<EnvironmentOverlay>("web.dev", reason::RANGE_INVALID).await;
        plane.until_told_of("web.dev", reason::RANGE_INVALID).await;
        scene.overlay(json!({"version": {"pin": "3.0.0"}})).await;
        let message = plane.until_reason::<EnvironmentOverlay>("web.dev", reason::VERSION_NOT_FOUND).await;
        assert!(message.contains("3.0.0"), "{message}");
        // It waits, and the upload wakes it.
        scene.release("3.0.0", &["dev"]).await;
        scene.until_runs("3.0.0").await;
    })
    .await;
}

#[tokio::test]
async fn an_overlay_of_an_unknown_application_waits_for_the_upload() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client, &namespace).await;
        scene.overlay(json!({"values": {"replicas": 2}})).await;
        let message = scene.plane.until_reason::<EnvironmentOverlay>("web.dev", reason::AWAITING_RELEASE).await;
        assert!(message.contains("ImageUpload"), "{message}");
        scene.release("1.0.0", &["dev"]).await;
        scene.until_runs("1.0.0").await;
    })
    .await;
}

#[tokio::test]
async fn the_last_good_artifact_stays_while_a_later_one_fails() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client, &namespace).await;
        let plane = &scene.plane;
        scene.release("1.0.0", &["dev"]).await;
        let good = scene.until_runs("1.0.0").await.status.unwrap().artifact;
        let journal = plane.journal("web").await;
        let unmatched = json!({"kustomize": {"patches": [
            {"target": {"kind": "Deployment"}, "patch": "- {op: replace, path: /spec/replicas, value: 2}"},
            {"target": {"kind": "StatefulSet", "name": "db"}, "patch": "- {op: remove, path: /spec/replicas}"},
        ]}});
        let malformed = json!({"kustomize": {"patches": [{"patch": "kind: Deployment\nmetadata: {name: [}"}]}});
        for (spec, expected, says) in [
            (json!({"values": {"replicas": "many"}}), "ValuesInvalid", "replicas"),
            (unmatched, "PatchUnmatched", "StatefulSet"),
            (malformed, "PatchInvalid", "patch"),
            (json!({"kustomize": {"replicas": [{"name": "db", "count": 2}]}}), "ReplicasUnmatched", "db"),
        ] {
            scene.overlay(spec).await;
            let message = plane.until_stalled::<EnvironmentOverlay>("web.dev", expected).await;
            assert!(message.contains(says), "{expected}: {message}");
            plane.until_told_of("web.dev", expected).await;
            let now = plane.api::<EnvironmentOverlay>().get("web.dev").await.unwrap();
            assert_eq!(now.status.unwrap().artifact, good, "{expected}");
        }
        assert_eq!(plane.journal("web").await, journal);
        scene.overlay(json!({"values": {"replicas": 2}})).await;
        assert_ne!(scene.until_runs("1.0.0").await.status.unwrap().artifact, good);
    })
    .await;
}

#[tokio::test]
async fn a_failing_patch_is_found_by_file_and_line() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client, &namespace).await;
        scene.release("1.0.0", &["dev"]).await;
        scene.until_runs("1.0.0").await;
        let patch = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n  name: [\n";
        scene.overlay(json!({"kustomize": {"patches": [{"patch": patch}]}})).await;
        let message = scene.plane.until_stalled::<EnvironmentOverlay>("web.dev", "PatchInvalid").await;
        let place = message.split(": ").next().unwrap_or_default();
        let (file, line) = place.rsplit_once(':').unwrap_or_else(|| panic!("no file and line in {message:?}"));
        assert!(file.ends_with(".yaml") && line.parse::<u32>().is_ok(), "{message}");
    })
    .await;
}

#[tokio::test]
async fn an_overlay_that_is_suspended_or_deleted_is_left_as_it_is() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client, &namespace).await;
        let plane = &scene.plane;
        scene.release("1.0.0", &["dev"]).await;
        scene.until_runs("1.0.0").await;
        scene.overlay(json!({"suspend": true})).await;
        plane.until_reason::<EnvironmentOverlay>("web.dev", reason::SUSPENDED).await;
        scene.release("1.1.0", &["dev"]).await;
        scene.overlay(json!({"suspend": false})).await;
        scene.until_runs("1.1.0").await;
        assert_eq!(scene.selections().await, ["1.0.0", "1.1.0"]);
        // With the upload gone nothing names the environment any more, and what is deleted stays so.
        plane.delete::<ImageUpload>("web").await;
        plane.delete::<EnvironmentOverlay>("web.dev").await;
        assert_eq!(plane.journal("web").await.last().map(String::as_str), Some("removed dev"));
        plane.verify().await;
    })
    .await;
}

#[tokio::test]
async fn manifests_of_the_users_own_need_no_release() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client, &namespace).await;
        let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: motd}\ndata: {text: hello}\n";
        scene.overlay(json!({"base": {"manifests": [manifest]}})).await;
        let overlay = scene.plane.until_ready::<EnvironmentOverlay>("web.dev").await;
        assert_eq!(overlay.status.unwrap().artifact.unwrap().objects, 1);
        assert_eq!(scene.plane.journal("web").await, ["rendered dev -"]);

        // The same once more is another life of the environment.
        scene.plane.delete::<EnvironmentOverlay>("web.dev").await;
        scene.overlay(json!({"base": {"manifests": [manifest]}})).await;
        scene.plane.until_ready::<EnvironmentOverlay>("web.dev").await;
        assert_eq!(scene.plane.journal("web").await, ["rendered dev -", "removed dev", "rendered dev -"]);

        // A chart and manifests of its own take turns: what runs is what was asked for last, and nothing else is selected.
        scene.release("1.0.0", &["dev"]).await;
        let store = scene.plane.chart_store().await;
        for _ in 0..2 {
            scene.overlay(json!({})).await;
            scene.until_runs("1.0.0").await;
            scene.overlay(json!({"base": {"manifests": [manifest]}})).await;
            scene
                .plane
                .until("web.dev", "of its own again", |overlay: &EnvironmentOverlay| {
                    let status = overlay.status.as_ref().unwrap();
                    status.selected.is_none()
                        && condition(overlay, condition_type::READY).is_some_and(|c| c.reason == reason::SUCCEEDED)
                })
                .await;
            let environment = store.environment(&scene.plane.key("web"), "dev").await.unwrap().unwrap();
            assert_eq!(environment.selected, None);
        }
        assert_eq!(scene.selections().await.len(), 2);
        scene.plane.verify_at_rest().await;
    })
    .await;
}
