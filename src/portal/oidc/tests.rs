//! Signing in with a provider of this test's own, in process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::*;
use crate::portal::v1::tests::bench::{Answer, Bench, Browser};

/// How a test's provider is used.
pub fn settings(issuer: &str) -> Settings {
    Settings {
        name: "Shop".into(),
        issuer: issuer.into(),
        client_id: "orbit".into(),
        client_secret: Some(Secret::new("s3cret")),
        scopes: vec!["openid".into(), "email".into()],
        username_claim: "email".into(),
        username_prefix: String::new(),
        groups_claim: "groups".into(),
        groups_prefix: String::new(),
        redirect_uri: "https://portal.example/auth/callback".parse().unwrap(),
    }
}

/// A provider with one key, which signs in whomever the test says.
#[derive(Clone)]
struct Fake(Arc<Inner>);

struct Inner {
    issuer: String,
    key: EcdsaKeyPair,
    /// The challenge and nonce that the browser brought, and the claims that the token gets besides.
    asked: Mutex<(String, String, Value)>,
}

impl Fake {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
        let fake = Self(Arc::new(Inner { issuer, key, asked: Mutex::default() }));
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks", get(jwks))
            .route("/token", post(token))
            .with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        fake
    }

    fn sign(&self, claims: &Value) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(&json!({"alg": "ES256", "kid": "k"})), encode(claims));
        let signature = self.0.key.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

async fn discovery(State(fake): State<Fake>) -> Json<Value> {
    let issuer = &fake.0.issuer;
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize?tenant=shop"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks"),
    }))
}

async fn jwks(State(fake): State<Fake>) -> Json<Value> {
    let point = fake.0.key.public_key().as_ref();
    let [x, y] = [&point[1..33], &point[33..65]].map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
    Json(json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "k", "use": "sig", "x": x, "y": y}]}))
}

async fn token(State(fake): State<Fake>, headers: HeaderMap, form: String) -> Response {
    let form: HashMap<String, String> = url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    let field = |name: &str| form[name].as_str();
    assert_eq!(headers[header::AUTHORIZATION], format!("Basic {}", STANDARD.encode("orbit:s3cret")));
    assert_eq!(field("redirect_uri"), "https://portal.example/auth/callback");
    let (challenge, nonce, claims) = fake.0.asked.lock().unwrap().clone();
    let proven = URL_SAFE_NO_PAD.encode(Sha256::digest(field("code_verifier"))) == challenge;
    if !proven || field("code") != "the-code" {
        return (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"}))).into_response();
    }
    let now = Timestamp::now().as_second();
    let mut all = json!({
        "iss": fake.0.issuer, "aud": "orbit", "exp": now + 300, "iat": now, "nonce": nonce,
        "email": "maria@shop.example", "email_verified": true, "groups": ["dev", "system:masters"],
    });
    all.as_object_mut().unwrap().extend(claims.as_object().cloned().unwrap_or_default());
    Json(json!({"id_token": fake.sign(&all), "access_token": "a", "token_type": "Bearer"})).into_response()
}

/// The portal with such a provider.
async fn bench() -> (Bench, Fake) {
    let fake = Fake::start().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let provider = Provider::new(settings(&fake.0.issuer), reqwest::Client::new()).unwrap();
    (Bench::with(Some(provider)).await, fake)
}

fn cookie(answer: &Answer, name: &str) -> Option<String> {
    let all = answer.headers.get_all(header::SET_COOKIE).iter().map(|value| value.to_str().unwrap());
    let found = all.filter_map(|value| value.split(';').next()).find(|pair| pair.starts_with(&format!("{name}=")));
    found.filter(|pair| !pair.ends_with('=')).map(str::to_owned)
}

/// Begins to sign in; the browser's cookie and the state.
async fn begin(bench: &Bench, fake: &Fake, back: &str, claims: Value) -> (Browser, String) {
    let started = bench.get(&Browser::default(), &format!("/auth/start?return={back}")).await;
    assert_eq!(started.status, StatusCode::SEE_OTHER, "{started:?}");
    let location: Url = started.header("location").parse().unwrap();
    assert!(location.as_str().starts_with(&format!("{}/authorize?tenant=shop&", fake.0.issuer)), "{location}");
    let query = |name: &str| location.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
    assert_eq!((query("response_type").as_str(), query("code_challenge_method").as_str()), ("code", "S256"));
    assert_eq!((query("client_id").as_str(), query("scope").as_str()), ("orbit", "openid email"));
    *fake.0.asked.lock().unwrap() = (query("code_challenge"), query("nonce"), claims);
    let browser = Browser { cookie: cookie(&started, "__Host-orbit-sign-in").unwrap(), csrf: String::new() };
    (browser, query("state"))
}

#[tokio::test]
async fn one_signs_in_with_a_provider_and_acts_by_impersonation() {
    let (bench, fake) = bench().await;
    let ways = bench.get(&Browser::default(), "/api/v1/sign-in").await.json();
    assert_eq!(ways["methods"][0], json!({"type": "oidc", "name": "Shop", "url": "/auth/start"}));
    let (browser, state) = begin(&bench, &fake, "/ns/shop/apps/web%3Fversion=1.0.0", json!({})).await;
    let done = bench.get(&browser, &format!("/auth/callback?code=the-code&state={state}")).await;
    assert_eq!((done.status, done.header("location")), (StatusCode::SEE_OTHER, "/ns/shop/apps/web?version=1.0.0"));
    let signed_in = Browser { cookie: cookie(&done, "__Host-orbit").unwrap(), csrf: String::new() };
    let list = bench.get(&signed_in, "/api/v1/namespaces/shop/objects/imageuploads").await;
    assert_eq!(list.status, StatusCode::OK, "{list:?}");
    let last = bench.cluster.asked().pop().unwrap();
    // Its word on the cluster's own groups is worth nothing.
    assert!(last.starts_with("impersonated maria@shop.example [\"dev\"] GET /apis/"), "{last}");
    // A second time it is good for nothing.
    let again = bench.get(&browser, &format!("/auth/callback?code=the-code&state={state}")).await;
    assert_eq!(again.header("location"), "/sign-in?problem=expired");
    assert_eq!(cookie(&again, "__Host-orbit"), None);
}

#[tokio::test]
async fn what_a_provider_or_somebody_else_sends_is_not_just_believed() {
    let (bench, fake) = bench().await;
    for (claims, query, problem) in [
        (json!({}), "code=another", "failed"),
        (json!({}), "error=access_denied", "refused"),
        (json!({}), "", "failed"),
        (json!({"nonce": "another"}), "code=the-code", "failed"),
        (json!({"aud": "another"}), "code=the-code", "failed"),
        (json!({"exp": 1}), "code=the-code", "failed"),
        (json!({"email_verified": false}), "code=the-code", "failed"),
        (json!({"email": "system:admin"}), "code=the-code", "name"),
        (json!({"email": " "}), "code=the-code", "name"),
        (json!({"email": "lost@shop.example"}), "code=the-code", "failed"),
        (json!({"email": "a\r\nImpersonate-Group: x"}), "code=the-code", "name"),
    ] {
        let (browser, state) = begin(&bench, &fake, "/", claims.clone()).await;
        let answer = bench.get(&browser, &format!("/auth/callback?{query}&state={state}")).await;
        assert_eq!(answer.header("location"), format!("/sign-in?problem={problem}"), "{claims} {query}");
        assert_eq!(cookie(&answer, "__Host-orbit"), None, "{claims} {query}");
    }
    // A sign-in that was begun elsewhere, as an attacker would have somebody end it.
    let (_, state) = begin(&bench, &fake, "/", json!({})).await;
    let (other, _) = begin(&bench, &fake, "/", json!({})).await;
    for browser in [other, Browser::default()] {
        let answer = bench.get(&browser, &format!("/auth/callback?code=the-code&state={state}")).await;
        assert_eq!(answer.header("location"), "/sign-in?problem=expired");
    }
    let nowhere = bench.get(&Browser::default(), "/auth/callback?code=the-code&state=guessed").await;
    assert_eq!(nowhere.header("location"), "/sign-in?problem=expired");
    // And nobody is sent elsewhere afterwards.
    let (browser, state) = begin(&bench, &fake, "//evil.example/", json!({})).await;
    let done = bench.get(&browser, &format!("/auth/callback?code=the-code&state={state}")).await;
    assert_eq!(done.header("location"), "/");
}

#[test]
fn a_provider_is_reached_safely() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    for (issuer, fine) in [
        ("https://id.example", true),
        ("http://127.0.0.1:5556", true),
        ("http://id.example", false),
        ("http://127.0.0.1.id.example", false),
        ("id.example", false),
    ] {
        assert_eq!(Provider::new(settings(issuer), reqwest::Client::new()).is_ok(), fine, "{issuer}");
    }
}
