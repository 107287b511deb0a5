//! What an upload may change, what it may not, and what becomes of it then.

use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use orbit_plane::api::{EnvironmentOverlay, HelmChart, ImageUpload, annotation, reason};
use serde_json::json;

use crate::{
    cluster::with_namespace,
    plane::{Controller, Plane, Stores, image::Image, reference_spec, registry::Registry},
};

struct Scene {
    plane: Plane,
    registry: Registry,
    _controller: Controller,
}

impl Scene {
    async fn of(client: kube::Client, namespace: &str, arguments: &[&str]) -> Self {
        let plane = Plane::new(client, namespace, Stores::Embedded, arguments).await;
        let controller = plane.start().await;
        Self { plane, registry: Registry::start().await, _controller: controller }
    }

    async fn image(&self, content: &str) -> String {
        self.registry.push(&Image::of(content), "shop/web", &content.replace(' ', "-")).await
    }
}

#[tokio::test]
async fn a_version_with_other_content_is_a_conflict_and_with_the_same_a_twin() {
    with_namespace(|client, namespace| async move {
        let Scene { plane, registry, .. } = &Scene::of(client, &namespace, &[]).await;
        let image = registry.push(&Image::of("one"), "shop/web", "1").await;
        plane.upload("web", "1.0.0", &image, json!({"environments": ["dev"]})).await;
        plane.until_ready::<EnvironmentOverlay>("web.dev").await;
        let journal = plane.journal("web").await;

        // The same bytes by another name: nothing of it is new.
        let elsewhere = registry.push(&Image::of("one"), "mirror/web", "same").await;
        let twin = reference_spec("web", "1.0.0", &elsewhere, json!({"environments": ["dev"]}));
        plane.apply::<ImageUpload>("twin", twin).await;
        plane.until_ready::<ImageUpload>("twin").await;

        let other = registry.push(&Image::of("two"), "shop/web", "2").await;
        for (name, spec) in [
            ("other-image", reference_spec("web", "1.0.0", &other, json!({}))),
            ("other-config", reference_spec("web", "1.0.0", &image, json!({"config": {"LOG_LEVEL": "debug"}}))),
            ("other-workload", reference_spec("web", "1.0.0", &image, json!({"workload": {"replicas": 2}}))),
        ] {
            plane.apply::<ImageUpload>(name, spec).await;
            let message = plane.until_stalled::<ImageUpload>(name, reason::VERSION_CONFLICT).await;
            assert!(message.contains("1.0.0"), "{name}: {message}");
            plane.until_told_of(name, reason::VERSION_CONFLICT).await;
        }
        assert_eq!(plane.journal("web").await, journal);
        // A new version is the way out.
        plane.apply::<ImageUpload>("other-image", reference_spec("web", "1.1.0", &other, json!({}))).await;
        plane.until_ready::<ImageUpload>("other-image").await;
        // Each of the twins has an end of its own.
        plane.delete::<ImageUpload>("twin").await;
        plane.delete::<ImageUpload>("web").await;
        let journal = plane.journal("web").await;
        assert_eq!(journal.iter().filter(|line| *line == "deleted 1.0.0 Retain").count(), 2, "{journal:?}");
    })
    .await;
}

#[tokio::test]
async fn what_is_stored_is_frozen_and_what_is_said_of_it_is_not() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client, &namespace, &[]).await;
        let plane = &scene.plane;
        let image = scene.image("one").await;
        plane.upload("web", "1.0.0", &image, json!({"config": {"A": "1"}})).await;
        plane.until_ready::<ImageUpload>("web").await;
        let refused = plane
            .try_apply::<ImageUpload>("web", reference_spec("web", "1.0.0", &image, json!({"config": {"A": "2"}})))
            .await
            .unwrap_err();
        assert!(refused.to_string().contains("give spec.version a new value"), "{refused}");
        let said = json!({"config": {"A": "1"}, "environments": ["dev"], "owner": "maria@shop.example"});
        plane.upload("web", "1.0.0", &image, said).await;
        plane.until_ready::<EnvironmentOverlay>("web.dev").await;
        let expected = [
            "stored 1.0.0",
            "described 1.0.0 []",
            "charted 1.0.0",
            "described 1.0.0 [dev]",
            "selected dev 1.0.0",
            "rendered dev 1.0.0",
        ];
        assert_eq!(plane.journal("web").await, expected);
    })
    .await;
}

#[tokio::test]
async fn a_suspended_upload_is_left_alone_until_it_is_not() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client, &namespace, &[]).await;
        let plane = &scene.plane;
        let image = scene.image("one").await;
        plane.upload("web", "1.0.0", &image, json!({"suspend": true})).await;
        plane.until_reason::<ImageUpload>("web", reason::SUSPENDED).await;
        assert_eq!(plane.journal("web").await, [""; 0]);
        plane.upload("web", "1.0.0", &image, json!({})).await;
        plane.until_ready::<ImageUpload>("web").await;
        assert_eq!(plane.journal("web").await, ["stored 1.0.0", "described 1.0.0 []", "charted 1.0.0"]);
    })
    .await;
}

#[tokio::test]
async fn a_new_look_is_taken_when_it_is_asked_for() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client, &namespace, &[]).await;
        let plane = &scene.plane;
        let missing = format!("{}/shop/web:late", scene.registry.host);
        plane.upload("web", "1.0.0", &missing, json!({})).await;
        plane.until_stalled::<ImageUpload>("web", reason::IMAGE_NOT_FOUND).await;
        // The image comes, and nobody tells the plane but the annotation.
        scene.registry.push(&Image::of("late"), "shop/web", "late").await;
        let ask = json!({"metadata": {"annotations": {annotation::REQUESTED_AT: "now, please"}}});
        plane.patch::<ImageUpload>("web", ask).await;
        let upload = plane.until_ready::<ImageUpload>("web").await;
        assert_eq!(upload.status.unwrap().last_handled_reconcile_at.as_deref(), Some("now, please"));
    })
    .await;
}

#[tokio::test]
async fn an_upload_that_comes_back_is_the_same_release() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client, &namespace, &[]).await;
        let plane = &scene.plane;
        let image = scene.image("one").await;
        for _ in 0..2 {
            plane.upload("web", "1.0.0", &image, json!({"environments": ["dev"]})).await;
            plane.until_ready::<ImageUpload>("web").await;
            plane.until_ready::<EnvironmentOverlay>("web.dev").await;
            plane.delete::<ImageUpload>("web").await;
        }
        let journal = plane.journal("web").await;
        let of = |fact: &str| journal.iter().filter(|line| line.starts_with(fact)).count();
        assert_eq!((of("stored"), of("charted"), of("selected"), of("rendered")), (1, 1, 1, 1), "{journal:?}");
        assert_eq!((of("described"), of("deleted")), (2, 2), "it came and went twice: {journal:?}");
        plane.verify().await;
    })
    .await;
}

#[tokio::test]
async fn old_charts_leave_the_cluster_and_stay_in_the_store() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client, &namespace, &["--chart-history", "2"]).await;
        let plane = &scene.plane;
        for version in ["1.0.0", "1.1.0", "1.2.0"] {
            let image = scene.image(version).await;
            plane.upload("web", version, &image, json!({"environments": ["dev"]})).await;
            plane.until_ready::<ImageUpload>("web").await;
        }
        plane.until_gone::<HelmChart>("web.1.0.0").await;
        assert_eq!(plane.names::<HelmChart>().await, ["web.1.1.0", "web.1.2.0"]);
        let releases = plane.chart_store().await.releases(&plane.key("web"), None, 10).await.unwrap().items;
        assert!(releases.iter().all(|record| record.chart.is_some()) && releases.len() == 3);
        // What has left the cluster can still be pinned.
        let pinned = json!({"application": "web", "environment": "dev", "version": {"pin": "1.0.0"}});
        plane.apply::<EnvironmentOverlay>("web.dev", pinned).await;
        plane
            .until("web.dev", "running 1.0.0", |overlay: &EnvironmentOverlay| {
                overlay.status.as_ref().and_then(|s| s.selected.as_ref()).is_some_and(|s| s.version == "1.0.0")
            })
            .await;
        plane.until_ready::<EnvironmentOverlay>("web.dev").await;
    })
    .await;
}

#[tokio::test]
async fn what_looks_like_a_secret_is_stored_nowhere_unless_insisted_on() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client, &namespace, &[]).await;
        let plane = &scene.plane;
        let image = scene.image("one").await;
        let config = json!({"config": {"DATABASE_PASSWORD": "k3Jh8sd9fHs2LmQ0"}});
        plane.upload("web", "1.0.0", &image, config).await;
        let message = plane.until_stalled::<ImageUpload>("web", reason::SECRET_IN_CONFIG).await;
        assert!(message.contains("DATABASE_PASSWORD") && message.contains("secretRefs"), "{message}");
        assert!(!message.contains("k3Jh8sd9fHs2LmQ0"), "{message}");
        plane.until_told_of("web", reason::SECRET_IN_CONFIG).await;
        assert_eq!(plane.journal("web").await, [""; 0]);
        let insist = json!({"metadata": {"annotations": {annotation::SECRETS_IN_CONFIG: "allow"}}});
        plane.patch::<ImageUpload>("web", insist).await;
        plane.until_ready::<ImageUpload>("web").await;
    })
    .await;
}

#[tokio::test]
async fn references_that_lead_nowhere_say_so() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client, &namespace, &[]).await;
        let (plane, registry) = (&scene.plane, &scene.registry);
        scene.image("one").await;
        let guarded = registry.behind_password("robot", "right").await;
        for (name, password) in [("right", "right"), ("wrong", "wrong")] {
            let config = json!({"auths": {&guarded: {"username": "robot", "password": password}}});
            let secret: Secret = serde_json::from_value(json!({
                "metadata": {"name": name},
                "type": "kubernetes.io/dockerconfigjson",
                "stringData": {".dockerconfigjson": config.to_string()},
            }))
            .unwrap();
            let api = kube::Api::<Secret>::namespaced(plane.client.clone(), &namespace);
            api.create(&PostParams::default(), &secret).await.unwrap();
        }
        let behind = format!("{guarded}/shop/web:one");
        let with_secret = |image: &str, secret: &str| {
            let source = json!({"reference": {"image": image, "pullSecretRef": {"name": secret}}});
            json!({"images": [{"name": "main", "source": source}]})
        };
        for (name, image, more, expected) in [
            ("unknown-tag", format!("{}/shop/web:none", registry.host), json!({}), reason::IMAGE_NOT_FOUND),
            ("unknown-repository", format!("{}/shop/none:1", registry.host), json!({}), reason::IMAGE_NOT_FOUND),
            ("no-credentials", behind.clone(), json!({}), reason::REGISTRY_UNAUTHORIZED),
            ("wrong-credentials", behind.clone(), with_secret(&behind, "wrong"), reason::REGISTRY_UNAUTHORIZED),
            ("no-secret", behind.clone(), with_secret(&behind, "absent"), reason::PULL_SECRET_INVALID),
            ("no-reference", "not a reference".into(), json!({}), reason::INVALID_SPEC),
        ] {
            plane.upload(name, "1.0.0", &image, more).await;
            let message = plane.until_stalled::<ImageUpload>(name, expected).await;
            assert!(!message.contains("robot") && message.len() > 20, "{name}: {message}");
            plane.until_told_of(name, expected).await;
        }
        // A registry that is not there may come: this is tried again.
        plane.upload("no-registry", "1.0.0", "127.0.0.1:1/shop/web:1", json!({})).await;
        plane.until_reason::<ImageUpload>("no-registry", reason::REGISTRY_UNAVAILABLE).await;
        // Nobody was delayed by any of it.
        plane.upload("web", "1.0.0", &behind, with_secret(&behind, "right")).await;
        plane.until_ready::<ImageUpload>("web").await;
    })
    .await;
}
