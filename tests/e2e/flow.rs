//! From one ImageUpload to a stored image, a chart, rendered environments and a record.

use orbit_plane::{
    api::{EnvironmentOverlay, HelmChart, ImageUpload},
    image_harbor,
};
use serde_json::json;

use crate::{
    cluster::{client_as, with_namespace},
    plane::{Plane, Stores, image::Image, registry::Registry},
};

const WHOLE: [&str; 7] = [
    "stored 1.4.0",
    "described 1.4.0 [dev prod]",
    "charted 1.4.0",
    "selected dev 1.4.0",
    "rendered dev 1.4.0",
    "selected prod 1.4.0",
    "rendered prod 1.4.0",
];

fn sorted<T: Ord>(lines: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut lines: Vec<_> = lines.into_iter().collect();
    lines.sort();
    lines
}

async fn until_all_ready(plane: &Plane) {
    plane.until_ready::<ImageUpload>("web").await;
    plane.until_ready::<HelmChart>("web.1.4.0").await;
    for environment in ["web.dev", "web.prod"] {
        plane.until_ready::<EnvironmentOverlay>(environment).await;
    }
}

async fn an_image_in_a_registry(stores: Stores) {
    with_namespace(move |client, namespace| async move {
        let plane = Plane::new(client, &namespace, stores, &[]).await;
        let controller = plane.start().await;
        let registry = Registry::start().await;
        let image = registry.push(&Image::of("web 1.4.0"), "shop/web", "1.4.0").await;
        plane.upload("web", "1.4.0", &image, json!({"environments": ["dev", "prod"]})).await;
        until_all_ready(&plane).await;

        assert_eq!(sorted(plane.journal("web").await), sorted(WHOLE.map(str::to_owned)));
        let upload = plane.api::<ImageUpload>().get("web").await.unwrap();
        let status = upload.status.unwrap();
        assert_eq!(status.images[0].repository, format!("{namespace}/web"));
        assert_eq!(status.images[0].platforms, ["linux/amd64"]);
        assert_eq!(status.chart_ref.unwrap().name, "web.1.4.0");
        let overlay = plane.api::<EnvironmentOverlay>().get("web.prod").await.unwrap();
        let artifact = overlay.status.unwrap().artifact.unwrap();
        let rendered: Vec<_> = artifact.images.iter().map(|image| (image.digest, image.tracked)).collect();
        assert_eq!(rendered, [(Some(status.images[0].digest), true)]);
        let harbor = image_harbor::open(&plane.stores).await.unwrap();
        assert!(harbor.stat(&artifact.digest).await.unwrap().is_some(), "the artifact is in the Harbor");
        plane.verify().await;
        controller.stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_image_in_a_registry_goes_all_the_way_on_embedded_stores() {
    an_image_in_a_registry(Stores::Embedded).await;
}

#[tokio::test]
async fn an_image_in_a_registry_goes_all_the_way_on_s3_dynamodb_and_mysql() {
    an_image_in_a_registry(Stores::Servers).await;
}

#[tokio::test]
async fn an_archive_goes_all_the_way() {
    with_namespace(|client, namespace| async move {
        let plane = Plane::new(client, &namespace, Stores::Embedded, &[]).await;
        let _controller = plane.start().await;
        let archive = plane.file("web.tar", &Image::of("web 1.4.0").archive());
        let send = ["upload", &archive, "-a", "web", "-V", "1.4.0", "-e", "dev", "-e", "prod", "-n", &namespace];
        let outcome = plane.orbit(&send).await;
        assert!(outcome.good, "{}", outcome.text);
        until_all_ready(&plane).await;
        assert_eq!(sorted(plane.journal("web").await), sorted(WHOLE.map(str::to_owned)));
        // Once more is no more.
        let again = plane.orbit(&send).await;
        assert!(again.good, "{}", again.text);
        assert_eq!(plane.journal("web").await.len(), WHOLE.len());
        plane.verify().await;
    })
    .await;
}

#[tokio::test]
async fn the_journal_says_who_it_was() {
    with_namespace(|client, namespace| async move {
        let mut plane = Plane::new(client, &namespace, Stores::Embedded, &[]).await;
        let _controller = plane.start().await;
        let registry = Registry::start().await;
        let image = registry.push(&Image::of("web"), "shop/web", "1").await;
        plane.user = Some(client_as(Some("maria@shop.example")).await);
        plane.upload("web", "1.4.0", &image, json!({})).await;
        plane.until_ready::<ImageUpload>("web").await;
        plane.user = Some(client_as(Some("jonas@shop.example")).await);
        plane.upload("web", "1.4.0", &image, json!({"environments": ["dev"]})).await;
        plane.until_ready::<EnvironmentOverlay>("web.dev").await;
        let events = plane.events("web").await;
        let actor = |transition: &str| {
            let event = events.iter().rfind(|event| event.fact.transition() == transition);
            event.map(|event| event.actor.clone()).unwrap_or_default()
        };
        assert_eq!(actor("stored"), "maria@shop.example");
        assert_eq!(actor("described"), "jonas@shop.example");
    })
    .await;
}
