//! A registry made by hand: token flow, credentials, faults.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::{
    api::reason,
    image_harbor::ingest::{
        document::media_type::{DOCKER_INDEX, OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST},
        testing::{MemoryHarbor, config, descriptor, gzip, layer},
    },
};

/// What the registry does instead of serving as it should.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Well,
    NeedsToken,
    Status(u16),
    LyingDigest,
    OtherBlobs,
    EndlessManifest,
}

#[derive(Clone)]
struct Registry {
    host: String,
    mood: Mood,
    /// By path below `/v2/shop/web/`, with a media type.
    contents: Arc<BTreeMap<String, (String, Vec<u8>)>>,
}

async fn serve(State(registry): State<Registry>, request: Request) -> Response {
    let authorization = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let path = request.uri().path();
    if path == "/token" {
        let known = format!("Basic {}", STANDARD.encode("maria:s3cret"));
        let asked = request.uri().query().unwrap_or_default().contains("scope=repository%3Ashop%2Fweb%3Apull");
        return match authorization == known && asked {
            true => axum::Json(json!({"token": "granted"})).into_response(),
            false => StatusCode::UNAUTHORIZED.into_response(),
        };
    }
    if registry.mood == Mood::NeedsToken && authorization != "Bearer granted" {
        let challenge = format!(r#"Bearer realm="http://{}/token",service="test""#, registry.host);
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response();
    }
    if let Mood::Status(status) = registry.mood {
        let body = axum::Json(json!({"errors": [{"code": "X", "message": "the registry's words"}]}));
        return (StatusCode::from_u16(status).unwrap(), body).into_response();
    }
    let object = path.strip_prefix("/v2/shop/web/").unwrap_or_default();
    let Some((media_type, bytes)) = registry.contents.get(object) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let bytes = match registry.mood {
        Mood::OtherBlobs if object.starts_with("blobs/") => vec![b'x'; bytes.len()],
        Mood::EndlessManifest => vec![b' '; 5 << 20],
        _ => bytes.clone(),
    };
    let said = if registry.mood == Mood::LyingDigest { Digest::of("lie") } else { Digest::of(&bytes) };
    let headers = [
        (header::CONTENT_TYPE, media_type.clone()),
        (header::HeaderName::from_static("docker-content-digest"), said.to_string()),
    ];
    (headers, bytes).into_response()
}

/// Starts a registry that has an image for two platforms as `shop/web:1`.
async fn start(mood: Mood) -> (String, Digest, AbortOnDropHandle<()>) {
    let mut contents = BTreeMap::new();
    let mut manifests = Vec::new();
    for platform in ["linux/amd64", "linux/arm64/v8"] {
        let layers = [layer("base"), layer(platform)];
        let config = config(platform, &layers).to_string();
        let mut descriptors = Vec::new();
        for content in &layers {
            let compressed = gzip(content).await;
            descriptors.push(descriptor(OCI_LAYER_GZIP, &compressed));
            contents.insert(format!("blobs/{}", Digest::of(&compressed)), (String::new(), compressed));
        }
        let manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": descriptor(OCI_CONFIG, &config), "layers": descriptors})
        .to_string();
        contents.insert(format!("blobs/{}", Digest::of(&config)), (String::new(), config.into_bytes()));
        manifests.push(descriptor(OCI_MANIFEST, &manifest));
        contents.insert(format!("manifests/{}", Digest::of(&manifest)), (OCI_MANIFEST.into(), manifest.into_bytes()));
    }
    let index = json!({"schemaVersion": 2, "mediaType": DOCKER_INDEX, "manifests": manifests}).to_string();
    let digest = Digest::of(&index);
    for object in ["1".to_owned(), digest.to_string()] {
        contents.insert(format!("manifests/{object}"), (DOCKER_INDEX.into(), index.clone().into_bytes()));
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let state = Registry { host: host.clone(), mood, contents: Arc::new(contents) };
    let router = Router::new().fallback(serve).with_state(state);
    let server = AbortOnDropHandle::new(tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }));
    (host, digest, server)
}

async fn pull(reference: &str, auth: &RegistryAuth) -> (Arc<MemoryHarbor>, Result<StoredImage, IngestError>) {
    pull_within(&Limits::default(), reference, auth).await
}

async fn pull_within(
    limits: &Limits,
    reference: &str,
    auth: &RegistryAuth,
) -> (Arc<MemoryHarbor>, Result<StoredImage, IngestError>) {
    let harbor = Arc::new(MemoryHarbor::default());
    let store: Arc<dyn ImageHarbor> = harbor.clone();
    let image = from_reference(&store, "main", reference, auth, limits).await;
    (harbor, image)
}

fn maria(password: &str) -> RegistryAuth {
    RegistryAuth::Basic { username: "maria".into(), password: password.into() }
}

#[tokio::test]
async fn an_index_comes_with_all_its_platforms() {
    let (host, digest, _server) = start(Mood::Well).await;
    let (harbor, image) = pull(&format!("{host}/shop/web:1"), &RegistryAuth::Anonymous).await;
    let image = image.unwrap();
    assert_eq!((image.digest, image.media_type.as_str()), (digest, DOCKER_INDEX));
    let platforms: Vec<_> = image.platforms.iter().map(|p| p.platform.as_str()).collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64/v8"]);
    assert_eq!(image.blobs, harbor.held().keys().copied().collect::<Vec<_>>());
    assert_eq!(image.blobs.len(), 1 + 2 + 2 + 3, "index, manifests, configs, layers");
    let by_digest = pull(&format!("{host}/shop/web:other@{digest}"), &RegistryAuth::Anonymous).await.1;
    assert_eq!(by_digest.unwrap(), image);
}

#[tokio::test]
async fn a_token_is_asked_for_with_the_credentials() {
    let (host, _, _server) = start(Mood::NeedsToken).await;
    let reference = format!("{host}/shop/web:1");
    assert!(pull(&reference, &maria("s3cret")).await.1.is_ok());
    for auth in [RegistryAuth::Anonymous, maria("wr0ng")] {
        let error = pull(&reference, &auth).await.1.unwrap_err();
        assert_eq!(error.reason(), reason::REGISTRY_UNAUTHORIZED);
        assert!(!format!("{error} {error:?}").contains("wr0ng"));
    }
}

#[tokio::test]
async fn what_a_registry_does_wrong_has_its_reason() {
    for (mood, expected, transient) in [
        (Mood::Status(401), reason::REGISTRY_UNAUTHORIZED, false),
        (Mood::Status(403), reason::REGISTRY_UNAUTHORIZED, false),
        (Mood::Status(404), reason::IMAGE_NOT_FOUND, false),
        (Mood::Status(429), reason::REGISTRY_UNAVAILABLE, true),
        (Mood::Status(503), reason::REGISTRY_UNAVAILABLE, true),
        (Mood::LyingDigest, reason::IMAGE_INVALID, false),
        (Mood::OtherBlobs, reason::IMAGE_INVALID, false),
        (Mood::EndlessManifest, reason::IMAGE_INVALID, false),
    ] {
        let (host, _, _server) = start(mood).await;
        let (harbor, image) = pull(&format!("{host}/shop/web:1"), &RegistryAuth::Anonymous).await;
        let error = image.unwrap_err();
        assert_eq!((error.reason(), error.is_transient()), (expected, transient), "{error}");
        if matches!(mood, Mood::Status(_)) {
            assert!(error.to_string().contains("the registry's words"), "{error}");
        }
        assert!(harbor.held().is_empty());
    }
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_tried_again_later() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap();
    drop(listener);
    let error = pull(&format!("{host}/shop/web:1"), &RegistryAuth::Anonymous).await.1.unwrap_err();
    assert_eq!((error.reason(), error.is_transient()), (reason::REGISTRY_UNAVAILABLE, true), "{error}");
}

#[test]
fn the_intake_can_run_in_a_task() {
    fn send(_: impl Send) {}
    let harbor: Arc<dyn ImageHarbor> = Arc::new(MemoryHarbor::default());
    let (limits, auth) = (Limits::default(), RegistryAuth::Anonymous);
    send(from_reference(&harbor, "main", "x", &auth, &limits));
    let archive: Vec<u8> = Vec::new();
    send(crate::image_harbor::ingest::from_archive(&harbor, "main", &archive, &Digest::of(""), &limits));
}

#[tokio::test]
async fn a_registry_that_may_not_be_named_is_not_asked() {
    let limits = Limits { pull_from: vec!["registry.example".parse().unwrap()], ..Limits::default() };
    // Nobody listens there: whoever asked would be told of a registry that cannot be reached.
    let (_, refused) = pull_within(&limits, "127.0.0.1:1/shop/web:1", &RegistryAuth::default()).await;
    let error = refused.unwrap_err();
    assert_eq!((error.reason(), error.is_transient()), (reason::INVALID_SPEC, false));
    assert!(error.to_string().contains("images of 127.0.0.1:1 are not taken in here, only those of registry.example"));
}
