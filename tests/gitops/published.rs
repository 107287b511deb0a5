//! The samples for Flux, with the address and the names of a plane that runs: what they ask for comes to run.

use kube::api::ListParams;
use orbit_plane::api::{Delivery, EnvironmentOverlay, HelmChart};
use serde_json::{Value, json};

use crate::{cluster::with_namespace, flux::Flux, scene::Scene, tools};

#[tokio::test]
async fn flux_applies_rendered_overlays() {
    with_namespace(|client, namespace| async move {
        let scene = scene(client.clone(), &namespace).await;
        let flux = Flux::start(&client, &namespace).await;
        let [source, kustomization] = samples("flux.yaml", &scene).await;
        flux.apply(&source).await;
        flux.apply(&kustomization).await;
        until_applied(&flux, &scene, &kustomization).await;
        scene.must_answer(&scene.clusters[0], "1.0.0").await;

        scene.release("1.1.0").await;
        scene
            .plane
            .until("web.dev", "rendered with 1.1.0", |overlay: &EnvironmentOverlay| version(overlay) == Some("1.1.0"))
            .await;
        flux.look_again(&source).await;
        until_applied(&flux, &scene, &kustomization).await;
        scene.must_answer(&scene.clusters[0], "1.1.0").await;
        let deliveries = scene.plane.api::<Delivery>().list(&ListParams::default()).await.unwrap().items;
        assert!(deliveries.is_empty(), "the plane leaves it to Flux: {deliveries:?}");
        flux.delete(&kustomization).await;
        scene.end().await;
    })
    .await;
}

#[tokio::test]
async fn flux_installs_charts() {
    with_namespace(|client, namespace| async move {
        let scene = scene(client.clone(), &namespace).await;
        let flux = Flux::start(&client, &namespace).await;
        let [source, release] = samples("flux-helm.yaml", &scene).await;
        flux.apply(&source).await;
        flux.apply(&release).await;
        // Flux adds the start of the chart's digest: 1.0.0+53ccf79efa42.
        let is_at = |version: &'static str| {
            move |status: &Value| {
                let installed = status["history"][0]["chartVersion"].as_str();
                installed.and_then(|installed| installed.split_once('+')).is_some_and(|(of, _)| of == version)
            }
        };
        flux.until(&release, "at 1.0.0", is_at("1.0.0")).await;
        scene.must_answer(&scene.clusters[0], "1.0.0").await;

        scene.release("1.1.0").await;
        scene.plane.until_ready::<HelmChart>("web.1.1.0").await;
        flux.look_again(&source).await;
        flux.until(&release, "at 1.1.0", is_at("1.1.0")).await;
        scene.must_answer(&scene.clusters[0], "1.1.0").await;
        flux.delete(&release).await;
        scene.end().await;
    })
    .await;
}

/// A plane that leaves `dev` to others, with a release.
async fn scene(client: kube::Client, namespace: &str) -> Scene {
    let scene = Scene::of(client, namespace).await;
    let spec = json!({"application": "web", "environment": "dev", "delivery": {"mode": "None"}});
    scene.plane.apply::<EnvironmentOverlay>("web.dev", spec).await;
    scene.release("1.0.0").await;
    scene
        .plane
        .until("web.dev", "rendered with 1.0.0", |overlay: &EnvironmentOverlay| version(overlay) == Some("1.0.0"))
        .await;
    scene
}

/// What is rendered of an overlay.
fn version(overlay: &EnvironmentOverlay) -> Option<&str> {
    let status = overlay.status.as_ref()?;
    status.artifact.as_ref()?;
    Some(&status.selected.as_ref()?.version)
}

/// Waits until what the overlay has rendered is applied.
async fn until_applied(flux: &Flux, scene: &Scene, kustomization: &Value) {
    let overlay: EnvironmentOverlay = scene.plane.until_ready("web.dev").await;
    let digest = overlay.status.unwrap().artifact.unwrap().digest.to_string();
    let is_applied =
        |status: &Value| status["lastAppliedRevision"].as_str().is_some_and(|revision| revision.ends_with(&digest));
    flux.until(kustomization, &format!("at {digest}"), is_applied).await;
}

/// The objects of a sample, changed as a user changes them, and the Secrets that they name.
async fn samples<const COUNT: usize>(file: &str, scene: &Scene) -> [Value; COUNT] {
    let (plane, cluster) = (&scene.plane, &scene.clusters[0]);
    plane.secret(&format!("{}-kubeconfig", cluster.name), json!({"value": cluster.kubeconfig})).await;
    let authority = std::fs::read_to_string(plane.folder().join("certificates/ca.crt")).unwrap();
    plane.secret("plane-ca", json!({"ca.crt": authority})).await;
    let namespace = &plane.namespace;
    let objects = tools::samples().into_iter().filter(|(of, _)| of == file).map(|(_, object)| {
        let text = object.to_string();
        let text = text.replace("registry.example", &plane.registry()).replace("/shop/", &format!("/{namespace}/"));
        let text =
            ["\"shop\"", "\"fleet\""].iter().fold(text, |text, name| text.replace(name, &format!("\"{namespace}\"")));
        let mut object: Value = serde_json::from_str(&text.replace("\"tag\":\"gitops\"", "\"tag\":\"dev\"")).unwrap();
        if object["kind"] == "OCIRepository" {
            object["spec"]["certSecretRef"] = json!({"name": "plane-ca"});
        }
        object
    });
    objects.collect::<Vec<_>>().try_into().expect("the sample has so many objects")
}
