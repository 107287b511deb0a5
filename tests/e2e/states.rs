//! A controller that is killed, and an upload that is deleted, in every state that an upload can be in.

use orbit_plane::{
    api::{EnvironmentOverlay, HelmChart, ImageUpload, reason},
    digest::Digest,
};
use serde_json::{Value, json};

use crate::{
    cluster::with_namespace,
    plane::{Plane, Stores, image::Image, reference_spec, registry::Registry},
};

/// A state of an upload of `web` 1.0.0 with the environment dev.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No controller has seen it.
    Unseen,
    /// Its archive has not been sent.
    Awaiting,
    /// The registry does not have the image.
    Stalled,
    /// It is in the journal, and there is not a word of it in the status yet.
    Stored,
    /// All is done.
    Ready,
}

macro_rules! in_every_state {
    ($($name:ident),* $(,)?) => {
        $(mod $name {
            use super::State;

            #[tokio::test] async fn unseen() { super::$name(State::Unseen).await; }
            #[tokio::test] async fn awaiting_upload() { super::$name(State::Awaiting).await; }
            #[tokio::test] async fn stalled() { super::$name(State::Stalled).await; }
            #[tokio::test] async fn stored() { super::$name(State::Stored).await; }
            #[tokio::test] async fn ready() { super::$name(State::Ready).await; }
        })*
    };
}

in_every_state!(a_killed_controller_goes_on, an_upload_is_deleted, an_upload_is_deleted_with_its_data);

async fn a_killed_controller_goes_on(state: State) {
    with_namespace(move |client, namespace| async move {
        let scene = Scene::of(client, &namespace, state, "Retain").await;
        let _controller = scene.plane.start().await;
        // What is waited for may have been so before: whether it still is shows once there was a look.
        scene.plane.until_reconciled("ImageUpload").await;
        scene.until(state).await;
        assert_eq!(scene.plane.journal("web").await, state.facts());
        scene.plane.verify().await;
    })
    .await;
}

async fn an_upload_is_deleted(state: State) {
    with_namespace(move |client, namespace| async move {
        let scene = Scene::of(client, &namespace, state, "Retain").await;
        let plane = &scene.plane;
        scene.ask_to_delete().await;
        let _controller = plane.start().await;
        plane.until_gone::<ImageUpload>("web").await;
        let expected: Vec<&str> = match state {
            // Nothing had been stored: there is nothing to remember.
            State::Unseen | State::Awaiting | State::Stalled => vec![],
            State::Stored => vec!["stored 1.0.0", "deleted 1.0.0 Retain"],
            State::Ready => [state.facts(), &["deleted 1.0.0 Retain"]].concat(),
        };
        assert_eq!(plane.journal("web").await, expected);
        plane.verify().await;
    })
    .await;
}

async fn an_upload_is_deleted_with_its_data(state: State) {
    with_namespace(move |client, namespace| async move {
        let scene = Scene::of(client, &namespace, state, "Delete").await;
        let plane = &scene.plane;
        scene.ask_to_delete().await;
        let _controller = plane.start().await;
        plane.until_gone::<ImageUpload>("web").await;
        let end = ["deleted 1.0.0 Delete", "purged 1.0.0"];
        let expected: Vec<&str> = match state {
            State::Unseen | State::Awaiting | State::Stalled => vec![],
            State::Stored => [&["stored 1.0.0"], &end[..]].concat(),
            State::Ready => [state.facts(), &end].concat(),
        };
        assert_eq!(plane.journal("web").await, expected);
        plane.until_gone::<HelmChart>("web.1.0.0").await;
        let links = plane.chart_store().await.links(&plane.key("web"), None, 1000).await.unwrap().items;
        let overlay = plane.api::<EnvironmentOverlay>().get_opt("web.dev").await.unwrap();
        let artifact = overlay.and_then(|overlay| overlay.status).and_then(|status| status.artifact);
        assert_eq!(links.is_empty(), artifact.is_none(), "only what an overlay has rendered stays: {links:?}");
        // What was given up does not come back, whatever its content.
        if state == State::Ready {
            plane.apply::<ImageUpload>("web", scene.spec.clone()).await;
            plane.until_stalled::<ImageUpload>("web", reason::VERSION_PURGED).await;
        }
        plane.verify().await;
    })
    .await;
}

/// A plane whose controller is dead, and an upload in a state.
struct Scene {
    plane: Plane,
    spec: Value,
    _registry: Registry,
}

impl Scene {
    async fn of(client: kube::Client, namespace: &str, state: State, retention: &str) -> Self {
        let plane = Plane::new(client, namespace, Stores::Embedded, &[]).await;
        let registry = Registry::start().await;
        let image = registry.push(&Image::of("web"), "shop/web", "1").await;
        let mut spec = state.spec(&registry, &image);
        spec["retentionPolicy"] = json!(retention);
        let scene = Self { plane, spec, _registry: registry };
        scene.bring(state).await;
        scene
    }

    async fn bring(&self, state: State) {
        let plane = &self.plane;
        plane.apply::<ImageUpload>("web", self.spec.clone()).await;
        match state {
            State::Unseen => {}
            State::Awaiting | State::Stalled | State::Ready => {
                let controller = plane.start().await;
                self.until(state).await;
                controller.kill().await;
            }
            State::Stored => {
                while plane.journal("web").await.is_empty() {
                    plane.spawn(&[("ORBIT_DIE_AFTER_WRITES", "1".to_owned())]).died().await;
                }
                let upload = plane.api::<ImageUpload>().get("web").await.unwrap();
                assert!(upload.status.is_none_or(|status| status.release.is_none()));
            }
        }
    }

    async fn until(&self, state: State) {
        match state {
            State::Awaiting => drop(self.plane.until_reason::<ImageUpload>("web", reason::AWAITING_UPLOAD).await),
            State::Stalled => drop(self.plane.until_stalled::<ImageUpload>("web", reason::IMAGE_NOT_FOUND).await),
            State::Unseen | State::Stored | State::Ready => {
                self.plane.until_ready::<ImageUpload>("web").await;
                self.plane.until_ready::<EnvironmentOverlay>("web.dev").await;
            }
        }
    }

    /// Asks the API server to delete the upload, while nobody is there to let it go.
    async fn ask_to_delete(&self) {
        self.plane.api::<ImageUpload>().delete("web", &Default::default()).await.unwrap();
    }
}

impl State {
    fn spec(self, registry: &Registry, image: &str) -> Value {
        let environments = json!({"environments": ["dev"]});
        match self {
            Self::Awaiting => {
                let archive = Image::of("web").archive();
                json!({
                    "application": "web",
                    "version": "1.0.0",
                    "images": [{"name": "main", "source":
                        {"archive": {"sha256": Digest::of(&archive), "size": archive.len()}}}],
                    "environments": ["dev"],
                })
            }
            Self::Stalled => reference_spec("web", "1.0.0", &format!("{}/shop/web:none", registry.host), environments),
            _ => reference_spec("web", "1.0.0", image, environments),
        }
    }

    /// What the journal holds when nothing is left to do.
    fn facts(self) -> &'static [&'static str] {
        match self {
            Self::Awaiting | Self::Stalled => &[],
            Self::Unseen | Self::Stored | Self::Ready => {
                &["stored 1.0.0", "described 1.0.0 [dev]", "charted 1.0.0", "selected dev 1.0.0", "rendered dev 1.0.0"]
            }
        }
    }
}
