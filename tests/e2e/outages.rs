//! A store that is down delays work, says so, and loses nothing.

use orbit_plane::api::{EnvironmentOverlay, ImageUpload, reason};
use serde_json::json;

use crate::{
    cluster::with_namespace,
    plane::{Plane, Stores, image::Image, line::Line, registry::Registry},
};

const WHOLE: [&str; 5] =
    ["stored 1.0.0", "described 1.0.0 [dev]", "charted 1.0.0", "selected dev 1.0.0", "rendered dev 1.0.0"];

async fn down_and_back(line: fn(&Plane) -> &Line) {
    with_namespace(move |client, namespace| async move {
        let plane = Plane::new(client, &namespace, Stores::ServersOnLines, &[]).await;
        let _controller = plane.start().await;
        let registry = Registry::start().await;
        let image = registry.push(&Image::of("web"), "shop/web", "1").await;
        line(&plane).cut();
        plane.upload("web", "1.0.0", &image, json!({"environments": ["dev"]})).await;
        let message = plane.until_reason::<ImageUpload>("web", reason::STORE_UNAVAILABLE).await;
        assert!(message.contains("goes on"), "{message}");
        plane.until_told_of("web", reason::STORE_UNAVAILABLE).await;
        line(&plane).open();
        plane.until_ready::<ImageUpload>("web").await;
        plane.until_ready::<EnvironmentOverlay>("web.dev").await;
        assert_eq!(plane.journal("web").await, WHOLE);

        // A deletion waits too, and is not forgotten.
        line(&plane).cut();
        let unrecorded = plane.api::<ImageUpload>().delete("web", &Default::default()).await.unwrap();
        assert!(unrecorded.is_left(), "it is held back");
        let waits = plane.until_reason::<ImageUpload>("web", reason::STORE_UNAVAILABLE).await;
        assert!(waits.contains("deletion waits"), "{waits}");
        line(&plane).open();
        plane.until_gone::<ImageUpload>("web").await;
        assert_eq!(plane.journal("web").await.last().map(String::as_str), Some("deleted 1.0.0 Retain"));
        plane.verify().await;
    })
    .await;
}

#[tokio::test]
async fn the_chart_store_goes_and_comes_back() {
    down_and_back(|plane| plane.surroundings.dynamodb.as_ref().unwrap()).await;
}

#[tokio::test]
async fn the_image_harbor_goes_and_comes_back() {
    with_namespace(move |client, namespace| async move {
        let plane = Plane::new(client, &namespace, Stores::ServersOnLines, &[]).await;
        let _controller = plane.start().await;
        let registry = Registry::start().await;
        let image = registry.push(&Image::of("web"), "shop/web", "1").await;
        let line = plane.surroundings.s3.as_ref().unwrap();
        line.cut();
        plane.upload("web", "1.0.0", &image, json!({"environments": ["dev"]})).await;
        let message = plane.until_reason::<ImageUpload>("web", reason::STORE_UNAVAILABLE).await;
        assert!(message.contains("goes on"), "{message}");
        plane.until_told_of("web", reason::STORE_UNAVAILABLE).await;
        assert_eq!(plane.journal("web").await, [""; 0]);
        line.open();
        plane.until_ready::<ImageUpload>("web").await;
        plane.until_ready::<EnvironmentOverlay>("web.dev").await;
        assert_eq!(plane.journal("web").await, WHOLE);
        plane.verify().await;
    })
    .await;
}

#[tokio::test]
async fn releases_go_on_while_mysql_is_silent() {
    with_namespace(|client, namespace| async move {
        let plane = Plane::new(client, &namespace, Stores::ServersOnLines, &[]).await;
        let controller = plane.start().await;
        let registry = Registry::start().await;
        let mysql = plane.surroundings.mysql.as_ref().unwrap();
        for (version, trouble) in [("1.0.0", Line::silence as fn(&Line)), ("1.1.0", Line::cut)] {
            trouble(mysql);
            let image = registry.push(&Image::of(version), "shop/web", version).await;
            plane.upload("web", version, &image, json!({"environments": ["dev"]})).await;
            plane.until_ready::<ImageUpload>("web").await;
        }
        plane
            .until("web.dev", "running 1.1.0", |overlay: &EnvironmentOverlay| {
                overlay.status.as_ref().and_then(|s| s.selected.as_ref()).is_some_and(|s| s.version == "1.1.0")
            })
            .await;
        // Back again, the Viewport learns of all that it missed.
        mysql.open();
        plane.verify().await;
        controller.stop().await;
    })
    .await;
}
