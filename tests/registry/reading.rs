//! Images, charts and overlays, each with what people read such things with.

use orbit_plane::{
    api::{EnvironmentOverlay, HelmChart},
    digest::Digest,
};

use reqwest::{Method, StatusCode};

use crate::{clients::Clients, cluster::with_namespace, plane::Stores, scene::Scene};

#[tokio::test]
async fn crane_and_skopeo_read_images() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client, &namespace, Stores::Embedded, &[]).await;
        let clients = Clients::new();
        let (host, web) = (scene.plane.registry(), scene.repository("web"));
        let image = format!("{web}:1.0.0");

        let refusal = clients.must_not("crane", &["manifest", &image]).await;
        assert!(refusal.contains("UNAUTHORIZED"), "{refusal}");
        // It does not try them yet.
        clients.must("crane", &["auth", "login", &host, "-u", "anybody", "-p", "wrong"]).await;
        let refusal = clients.must_not("crane", &["manifest", &image]).await;
        assert!(refusal.contains("UNAUTHORIZED"), "{refusal}");

        clients.must("crane", &["auth", "login", &host, "-u", "anybody", "-p", &scene.stranger]).await;
        let refusal = clients.must_not("crane", &["manifest", &image]).await;
        assert!(refusal.contains("DENIED"), "{refusal}");
        let elsewhere = clients.must_not("crane", &["manifest", &format!("{host}/nowhere/nothing:1")]).await;
        assert!(elsewhere.contains("DENIED"), "{elsewhere}");

        clients.must("crane", &["auth", "login", &host, "-u", "anybody", "-p", &scene.reader]).await;
        assert_eq!(clients.must("crane", &["ls", &web]).await.trim(), "1.0.0");
        assert_eq!(clients.must("crane", &["manifest", &image]).await.as_bytes(), scene.image.manifest);
        assert_eq!(
            clients.must("crane", &["digest", &image]).await.trim(),
            Digest::of(&scene.image.manifest).to_string()
        );
        clients.must("crane", &["validate", "--remote", &image]).await;
        clients.must("crane", &["pull", &image, "web.tar"]).await;
        let refusal = clients.must_not("crane", &["tag", &image, "other"]).await;
        assert!(refusal.contains("UNSUPPORTED"), "{refusal}");

        let login = format!("anybody:{}", scene.reader);
        let source = format!("docker://{image}");
        let skopeo = ["copy", "--src-tls-verify=false", "--src-creds", &login, &source, "oci:layout:web"];
        clients.must("skopeo", &skopeo).await;
        let layer =
            std::fs::read(clients.path(&format!("layout/blobs/sha256/{}", Digest::of(&scene.image.layer).hex())));
        assert_eq!(layer.unwrap(), scene.image.layer);
        let inspected = clients.must("skopeo", &["inspect", "--tls-verify=false", "--creds", &login, &source]).await;
        assert!(inspected.contains(&Digest::of(&scene.image.manifest).to_string()), "{inspected}");
        let strange = format!("anybody:{}", scene.stranger);
        clients.must_not("skopeo", &["inspect", "--tls-verify=false", "--creds", &strange, &source]).await;
    })
    .await;
}

#[tokio::test]
async fn blobs_are_sent_on_to_s3_but_never_to_the_registrys_own_host() {
    with_namespace(|client, namespace| async move {
        // S3 is at 127.0.0.1 here: who asks for localhost is sent there, who asks for 127.0.0.1 is not.
        let arguments = ["--s3-redirect", "--public-url", "http://localhost"];
        let scene = Scene::of(client, &namespace, Stores::Servers, &arguments).await;
        let registry = scene.plane.registry();
        let (_, port) = registry.rsplit_once(':').unwrap();
        let blob = format!("v2/{namespace}/web/blobs/{}", Digest::of(&scene.image.layer));
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let ask = async |method: Method, host: &str| {
            let request = client.request(method, format!("http://{host}:{port}/{blob}")).bearer_auth(&scene.reader);
            request.send().await.unwrap()
        };
        let sent_on = ask(Method::GET, "localhost").await;
        assert_eq!(sent_on.status(), StatusCode::TEMPORARY_REDIRECT);
        let location = sent_on.headers()["location"].to_str().unwrap();
        // The address is all that it takes.
        let there = reqwest::get(location).await.unwrap().error_for_status().unwrap();
        assert_eq!(there.bytes().await.unwrap(), scene.image.layer);
        let passed_through = ask(Method::GET, "127.0.0.1").await;
        assert_eq!(passed_through.status(), StatusCode::OK);
        assert_eq!(passed_through.bytes().await.unwrap(), scene.image.layer);
        let stranger = client.get(format!("http://localhost:{port}/{blob}")).bearer_auth(&scene.stranger);
        assert_eq!(stranger.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    })
    .await;
}

#[tokio::test]
async fn helm_reads_charts() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client, &namespace, Stores::Embedded, &[]).await;
        let clients = Clients::new();
        let (host, chart) = (scene.plane.registry(), format!("oci://{}", scene.repository("charts/web")));
        let published =
            scene.plane.api::<HelmChart>().get("web.1.0.0").await.unwrap().status.unwrap().artifact.unwrap();
        assert_eq!(published.url, Some(format!("oci://registry.example/{namespace}/charts/web:1.0.0")));

        let pull = ["pull", &chart, "--version", "1.0.0", "--plain-http"];
        clients.must_not("helm", &pull).await;
        let login = ["registry", "login", &host, "--plain-http", "-u", "anybody", "-p", &scene.reader];
        clients.must("helm", &login).await;
        let said = clients.must("helm", &pull).await;
        assert!(said.contains(&published.digest.to_string()), "{said}");
        assert!(std::fs::metadata(clients.path("web-1.0.0.tgz")).unwrap().len() == published.size as u64);
        let rendered = clients.must("helm", &["template", "web", &chart, "--version", "1.0.0", "--plain-http"]).await;
        assert!(rendered.contains("kind: Deployment"), "{rendered}");
        // The newest of the tags, as nothing else is said.
        assert!(clients.must("helm", &["show", "chart", &chart, "--plain-http"]).await.contains("version: 1.0.0"));
    })
    .await;
}

#[tokio::test]
async fn oras_reads_overlays() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client, &namespace, Stores::Embedded, &[]).await;
        let clients = Clients::new();
        let (host, overlay) = (scene.plane.registry(), scene.repository("overlays/web"));
        let rendered = scene.plane.api::<EnvironmentOverlay>().get("web.dev").await.unwrap();
        let rendered = rendered.status.unwrap().artifact.unwrap();
        assert_eq!(rendered.url, Some(format!("oci://registry.example/{namespace}/overlays/web:dev")));

        clients.must_not("oras", &["pull", "--plain-http", &format!("{overlay}:dev")]).await;
        let login = ["login", "--plain-http", &host, "-u", "anybody", "-p", &scene.reader];
        clients.must("oras", &login).await;
        assert_eq!(clients.must("oras", &["repo", "tags", "--plain-http", &overlay]).await.trim(), "dev");
        for reference in [format!("{overlay}:dev"), format!("{overlay}@{}", rendered.digest)] {
            let manifest = clients.must("oras", &["manifest", "fetch", "--plain-http", &reference]).await;
            let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
            let layer = format!("{overlay}@{}", manifest["layers"][0]["digest"].as_str().unwrap());
            clients.must("oras", &["blob", "fetch", "--plain-http", "--output", "overlay.tgz", &layer]).await;
            let manifests = clients.must("tar", &["-xzOf", "overlay.tgz", "manifests.yaml"]).await;
            assert!(manifests.contains("kind: Deployment"), "{manifests}");
        }
        let web = scene.repository("web:1.0.0");
        clients.must("oras", &["discover", "--plain-http", &web]).await;

        scene.plane.delete::<EnvironmentOverlay>("web.dev").await;
        let refusal = clients.must_not("oras", &["pull", "--plain-http", &format!("{overlay}:dev")]).await;
        assert!(refusal.contains("not found") || refusal.contains("MANIFEST_UNKNOWN"), "{refusal}");
    })
    .await;
}
