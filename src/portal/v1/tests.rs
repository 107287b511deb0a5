//! The portal in process: every route with every kind of credentials, on an embedded Viewport and a cluster of few words.

mod artifacts;
mod bearer;
pub mod bench;
mod journal;
mod watch;

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use serde_json::{Value, json};

use self::bench::*;
use crate::{
    digest::Digest,
    portal::testing::{MARIA, NOBODY, VERA},
};

/// Every route with what it answers nobody, somebody who may nothing, a viewer and a developer; and of somewhere else,
/// the developer.
#[tokio::test]
async fn every_route_asks_who_it_is_and_what_they_may() {
    let bench = Bench::new().await;
    let (nobody, vera, maria) = (bench.sign_in(NOBODY).await, bench.sign_in(VERA).await, bench.sign_in(MARIA).await);
    assert_eq!(bench.write(&maria, &Method::POST, OVERLAYS, None, &overlay(1)).await.status, StatusCode::CREATED);
    bench.publish().await;
    let digest = Digest::of("image");
    let mut routes: Vec<(Method, String, [u16; 3])> = [
        "/applications",
        "/applications/web/lifecycle",
        &format!("/images/{digest}"),
        &format!("/images/{digest}/releases"),
        &format!("/images/{digest}/deployments"),
        "/clusters",
        "/clusters/fleet/eu-1",
        "/environments/prod",
        "/uploads",
        "/reports",
        "/audit",
        "/audit?format=csv",
        "/audit?requests=true",
        "/audit?type=request&format=jsonl",
        "/charts/web/1.0.0",
        "/charts/web/1.0.0/archive",
        "/overlays/web/prod/manifests",
        "/overlays/web/prod/manifests?format=yaml",
        "/objects/environmentoverlays",
        "/objects/environmentoverlays/web.dev",
    ]
    .map(|path| (Method::GET, format!("/api/v1/namespaces/shop{path}"), [403, 200, 200]))
    .into();
    for (method, path, expected) in [
        (Method::GET, "/api/v1/session", [200, 200, 200]),
        (Method::GET, "/api/v1/namespaces", [200, 200, 200]),
        (Method::GET, "/api/v1/nowhere", [404, 404, 404]),
        // Who may see it is told that what it compares is not kept.
        (Method::GET, "/api/v1/namespaces/shop/applications/web/diff?from=1.0.0&to=1.1.0", [403, 404, 404]),
        // What belongs to no namespace is for those who may see all.
        (Method::GET, "/api/v1/audit", [403, 403, 403]),
        (Method::GET, "/api/v1/namespaces/shop/objects/secrets", [404, 404, 404]),
        (Method::GET, "/api/v1/namespaces/shop/objects/imageuploads/none", [403, 404, 404]),
        (Method::PATCH, "/api/v1/session", [405, 405, 405]),
        (Method::POST, "/api/v1/namespaces/shop/objects/environmentoverlays?dryRun=true", [403, 403, 409]),
        (Method::PUT, "/api/v1/namespaces/shop/objects/environmentoverlays/web.dev?dryRun=true", [403, 403, 200]),
        (Method::DELETE, "/api/v1/namespaces/shop/objects/environmentoverlays/web.dev?dryRun=true", [403, 403, 202]),
        // What opens it is the upload's key, which none of these have.
        (Method::GET, UPLOAD, [401, 401, 401]),
        (Method::PATCH, UPLOAD, [401, 401, 401]),
    ] {
        routes.push((method, path.to_owned(), expected));
    }
    let known: Vec<String> = crate::portal::openapi()["paths"].as_object().unwrap().keys().cloned().collect();
    for path in &known {
        let tried = routes.iter().any(|(_, tried, _)| fits(tried, path));
        // How one signs in is no secret, and a stream has no end: `watch` has its own tests.
        assert!(tried || path.ends_with("/sign-in") || path.ends_with("/watch"), "{path} is not tried");
    }
    let tag = bench.get(&maria, OVERLAY).await.header("etag").to_owned();
    for (method, path, expected) in routes {
        let of = |browser: Browser, path: String| {
            let (bench, method, tag) = (&bench, method.clone(), tag.clone());
            async move {
                let answer = match method {
                    Method::GET => bench.get(&browser, &path).await,
                    _ => bench.write(&browser, &method, &path, Some(&tag), &overlay(2)).await,
                };
                let is_registrys = path.starts_with("/v2/") && answer.text.contains("errors");
                if !answer.status.is_success() && !is_registrys {
                    assert_eq!(answer.header("content-type"), "application/problem+json", "{path}: {answer:?}");
                    assert_eq!(answer.json()["status"], answer.status.as_u16());
                }
                answer.status.as_u16()
            }
        };
        for (stranger, who) in [
            (Browser::default(), "no session"),
            (Browser { cookie: "__Host-orbit=guessed".into(), csrf: maria.csrf.clone() }, "a session that never was"),
            (Browser { cookie: maria.cookie.replace("__Host-", ""), csrf: maria.csrf.clone() }, "another cookie"),
        ] {
            assert_eq!(of(stranger, path.clone()).await, 401, "{method} {path} with {who}");
        }
        for (browser, expected) in [&nobody, &vera, &maria].into_iter().zip(expected) {
            assert_eq!(of(browser.clone(), path.clone()).await, expected, "{method} {path} of {}", browser.cookie);
        }
        if path.contains("/namespaces/shop/") && expected[2] < 300 {
            let elsewhere = path.replace("/namespaces/shop/", "/namespaces/bank/");
            assert_eq!(of(maria.clone(), elsewhere.clone()).await, 403, "{method} {elsewhere}");
        }
    }
}

/// Whether this is a path of a template, as in `/a/{b}`.
fn fits(path: &str, template: &str) -> bool {
    let (path, template) = (path.split('?').next().unwrap().split('/'), template.split('/'));
    path.clone().count() == template.clone().count()
        && path.zip(template).all(|(one, other)| one == other || other.starts_with('{'))
}

#[tokio::test]
async fn what_changes_something_has_to_be_meant() {
    let bench = Bench::new().await;
    let (maria, other) = (bench.sign_in(MARIA).await, bench.sign_in(MARIA).await);
    for (csrf, site) in [
        ("", None),
        (other.csrf.as_str(), None),
        (maria.csrf.as_str(), Some("cross-site")),
        (maria.csrf.as_str(), Some("none")),
    ] {
        let browser = Browser { cookie: maria.cookie.clone(), csrf: csrf.to_owned() };
        for (method, path) in [
            (Method::POST, OVERLAYS),
            (Method::DELETE, OVERLAY),
            (Method::DELETE, "/api/v1/session"),
            (Method::PATCH, UPLOAD),
        ] {
            let request = browser.request(&method, path).header(header::CONTENT_TYPE, "application/json");
            let request = site.into_iter().fold(request, |request, site| request.header("sec-fetch-site", site));
            let answer = bench.send(request.body(Body::from(overlay(1).to_string())).unwrap()).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path} {csrf:?} {site:?}");
        }
    }
    assert!(!bench.cluster.asked().iter().any(|asked| asked.contains("POST /apis/orbit")), "nothing came through");
    // Signing somebody in under another name is as bad.
    for (kind, site) in [("text/plain", "same-origin"), ("application/json", "cross-site")] {
        let request =
            Request::post("/api/v1/session").header(header::CONTENT_TYPE, kind).header("sec-fetch-site", site);
        let answer = bench.send(request.body(Body::from(json!({"token": MARIA}).to_string())).unwrap()).await;
        assert_eq!((answer.status, answer.headers.get("set-cookie")), (StatusCode::FORBIDDEN, None));
    }
}

#[tokio::test]
async fn a_session_is_of_one_sign_in() {
    let bench = Bench::new().await;
    // An id that somebody planted is not taken over, nor is one that was.
    let planted = Browser { cookie: "__Host-orbit=planted".into(), csrf: String::new() };
    let first = browser(&bench.send(signing_in(VERA, &planted)).await);
    assert_ne!(first.cookie, planted.cookie);
    let answer = bench.send(signing_in(MARIA, &first)).await;
    let second = browser(&answer);
    assert_ne!(second.cookie, first.cookie);
    assert_eq!(bench.get(&first, "/api/v1/session").await.status, StatusCode::UNAUTHORIZED);
    let shown = bench.get(&second, "/api/v1/session").await.json();
    assert_eq!((&shown["user"]["name"], &shown["user"]["groups"][0]), (&json!("maria"), &json!("people")));
    assert!(!answer.text.contains(MARIA) && !shown.to_string().contains(MARIA), "the token is not told");
    let set = answer.header("set-cookie");
    assert!(set.contains("HttpOnly") && set.contains("Secure") && set.contains("SameSite=Lax"), "{set}");

    assert_eq!(
        bench.write(&second, &Method::DELETE, "/api/v1/session", None, &Value::Null).await.status,
        StatusCode::NO_CONTENT
    );
    let ended = bench.get(&second, "/api/v1/session").await;
    let never = bench.get(&Browser::default(), "/api/v1/session").await;
    assert_eq!((ended.status, ended.text), (StatusCode::UNAUTHORIZED, never.text), "nobody is told that there was one");
}

#[tokio::test]
async fn a_token_that_is_no_longer_good_ends_its_session() {
    let bench = Bench::new().await;
    let maria = bench.sign_in(MARIA).await;
    bench.cluster.revoke(MARIA);
    assert_eq!(bench.get(&maria, OVERLAYS).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(bench.get(&maria, "/api/v1/session").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn guessing_tokens_becomes_slow() {
    let bench = Bench::new().await;
    for token in ["", " ", "a b", "x\r\nImpersonate-User: root"] {
        let answer = bench.send(signing_in(token, &Browser::default())).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{token:?}");
    }
    let long = bench.send(signing_in(&"a".repeat(64 << 10), &Browser::default())).await;
    assert_eq!(long.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(bench.cluster.asked(), Vec::<String>::new(), "these are nobody's token, and not sent on");
    let mut refused = 0;
    while bench.send(signing_in("guess", &Browser::default())).await.status == StatusCode::UNAUTHORIZED {
        refused += 1;
        assert!(refused < 20, "it never becomes slow");
    }
    let slow = bench.send(signing_in("guess", &Browser::default())).await;
    assert_eq!(slow.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(slow.header("retry-after").parse::<u64>().unwrap() >= 1);
}

#[tokio::test]
async fn two_people_overwrite_nothing_of_each_other() {
    let bench = Bench::new().await;
    let maria = bench.sign_in(MARIA).await;
    let made = bench.write(&maria, &Method::POST, OVERLAYS, None, &overlay(1)).await;
    assert_eq!(made.json()["metadata"].get("managedFields"), None);
    let read = bench.get(&maria, OVERLAY).await;
    let tag = read.header("etag").to_owned();
    bench.cluster.change("/apis/orbit.k8or.io/v1alpha1/namespaces/shop/environmentoverlays/web.dev", |object| {
        object["spec"]["values"]["replicas"] = json!(5);
    });
    let refused = bench.write(&maria, &Method::PUT, OVERLAY, Some(&tag), &overlay(3)).await;
    assert_eq!(refused.status, StatusCode::PRECONDITION_FAILED, "{refused:?}");
    assert_eq!(refused.json()["changed"], json!([{"path": "spec.values.replicas", "yours": 3, "theirs": 5}]));
    let stands = bench.get(&maria, OVERLAY).await;
    assert_eq!(stands.json()["spec"]["values"]["replicas"], 5);
    let tag = stands.header("etag").to_owned();
    // To see what would become of it changes nothing.
    let dry = bench.write(&maria, &Method::PUT, &format!("{OVERLAY}?dryRun=true"), Some(&tag), &overlay(3)).await;
    assert_eq!((dry.status, &dry.json()["spec"]["values"]["replicas"]), (StatusCode::OK, &json!(3)));
    assert_eq!(bench.get(&maria, OVERLAY).await.header("etag"), tag);
    let put = bench.write(&maria, &Method::PUT, OVERLAY, Some(&tag), &overlay(3)).await;
    assert_eq!(put.status, StatusCode::OK, "{put:?}");
    assert_eq!(
        bench.write(&maria, &Method::PUT, OVERLAY, None, &overlay(4)).await.status,
        StatusCode::PRECONDITION_REQUIRED
    );
    assert_eq!(
        bench.write(&maria, &Method::PUT, OVERLAY, Some("*"), &overlay(4)).await.status,
        StatusCode::BAD_REQUEST
    );
    let stale = bench.write(&maria, &Method::DELETE, OVERLAY, Some(&tag), &Value::Null).await;
    assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(bench.write(&maria, &Method::DELETE, OVERLAY, None, &Value::Null).await.status, StatusCode::ACCEPTED);
    assert_eq!(bench.get(&maria, OVERLAY).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_cannot_be_understood_is_told() {
    let bench = Bench::new().await;
    let maria = bench.sign_in(MARIA).await;
    for (path, status, detail) in [
        ("/api/v1/namespaces/shop/applications?limit=0", 400, "from 1 to 200"),
        ("/api/v1/namespaces/shop/applications?serch=x", 400, "serch"),
        ("/api/v1/namespaces/shop/applications?continue=x", 400, "begin without it"),
        ("/api/v1/namespaces/shop/applications/api/lifecycle", 404, "application api"),
        ("/api/v1/namespaces/shop/applications/web/diff?from=1.0.0", 400, "to"),
        ("/api/v1/namespaces/shop/applications/web/diff?from=2.0.0&to=1.0.0", 404, "has no version 2.0.0"),
        ("/api/v1/namespaces/shop/applications/web/diff?from=1.0.0&to=1.1.0", 404, "not published yet"),
        ("/api/v1/namespaces/shop/images/latest", 400, "is not a digest"),
        ("/api/v1/namespaces/shop/reports?from=monday", 400, "as in 2026-01-31"),
        ("/api/v1/namespaces/shop/reports?from=2026-02-01&to=2026-01-01", 400, "to is the last day"),
        ("/api/v1/namespaces/shop/reports?from=2024-01-01&to=2026-01-01", 400, "92 at most"),
        ("/api/v1/namespaces/shop/reports?period=year", 400, "period"),
        ("/api/v1/namespaces/shop/audit?format=pdf", 400, "format"),
        ("/api/v1/namespaces/shop/audit?format=csv&limit=5", 400, "all events"),
        ("/api/v1/namespaces/shop/objects/imageuploads?limit=1000", 400, "from 1 to 500"),
        ("/api/v1/namespaces/..%2Fbank/objects/imageuploads", 400, "cannot be the name"),
        ("/api/v1/namespaces/shop/objects/imageuploads/..%2F..%2Fsecrets", 400, "cannot be the name"),
        ("/api/v1/namespaces/shop/objects/imageuploads/a%0d%0aX:%20y", 400, "cannot be the name"),
    ] {
        let answer = bench.get(&maria, path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {answer:?}");
        assert!(answer.json()["detail"].as_str().unwrap().contains(detail), "{path}: {answer:?}");
    }
    let request = maria.request(&Method::POST, OVERLAYS).header(header::CONTENT_TYPE, "application/json");
    let long = bench.send(request.body(Body::from(format!("\"{}\"", "a".repeat(2 << 20)))).unwrap()).await;
    assert_eq!(long.status, StatusCode::PAYLOAD_TOO_LARGE, "{long:?}");
    let request = maria.request(&Method::POST, OVERLAYS).header(header::CONTENT_TYPE, "text/plain");
    let other = bench.send(request.body(Body::from("{}")).unwrap()).await;
    assert_eq!(other.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let elsewhere = bench
        .write(&maria, &Method::POST, OVERLAYS, None, &json!({"metadata": {"name": "x", "namespace": "bank"}}))
        .await;
    assert_eq!(elsewhere.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_matrix_and_the_journal_are_shown() {
    let bench = Bench::new().await;
    let vera = bench.sign_in(VERA).await;
    let matrix = bench.get(&vera, "/api/v1/namespaces/shop/applications?search=WE").await.json();
    assert_eq!(
        matrix["items"][0],
        json!({
            "application": "web",
            "latest": "1.1.0",
            "environments": [{
                "environment": "prod",
                "version": "1.0.0",
                "clusters": [{
                    "cluster": {"namespace": "fleet", "name": "eu-1", "uid": "uid"},
                    "state": "healthy",
                    "version": "1.0.0",
                    "since": matrix["items"][0]["environments"][0]["clusters"][0]["since"],
                }],
            }],
        })
    );
    let none = bench.get(&vera, "/api/v1/namespaces/shop/applications?search=api").await.json();
    assert_eq!(none, json!({"items": []}));
    let elsewhere = bench.get(&vera, "/api/v1/namespaces/shop/applications?environment=dev").await.json();
    assert_eq!(elsewhere, json!({"items": []}));
    let report = bench.get(&vera, "/api/v1/namespaces/shop/reports?application=web&environment=prod").await.json();
    // Healthy, and never said to be applied.
    assert_eq!((&report["total"]["deployments"], &report["total"]["leadTime"]["arrivals"]), (&json!(0), &json!(1)));
    assert_eq!(report["periods"].as_array().unwrap().len(), 30);
    let audit = bench.get(&vera, "/api/v1/namespaces/shop/audit?actor=jonas&limit=1").await.json();
    assert_eq!(audit["items"][0]["type"], "selected");
    let next =
        format!("/api/v1/namespaces/shop/audit?actor=jonas&limit=1&continue={}", audit["continue"].as_str().unwrap());
    let next = bench.get(&vera, &next).await.json();
    assert_eq!((&next["items"][0]["type"], next.get("continue")), (&json!("stored"), None));
    let file = bench.get(&vera, "/api/v1/namespaces/shop/audit?format=jsonl").await;
    let lines: Vec<Value> = file.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[3]["actor"]), (4, &json!("maria")));
    assert_eq!(lines[0]["prevHash"], lines[1]["hash"]);
    let file = bench.get(&vera, "/api/v1/namespaces/shop/audit?format=csv&type=stored").await;
    assert_eq!(file.text.lines().count(), 3, "{}", file.text);
    assert!(file.text.starts_with("at,actor,type,application"), "{}", file.text);
}

#[tokio::test]
async fn an_archive_arrives_on_the_portals_own_address() {
    let bench = Bench::new().await;
    let maria = bench.sign_in(MARIA).await;
    let send = async |method: Method, path: &str, range: &str, body: &'static str| {
        let request = maria.request(&method, path).header(header::AUTHORIZATION, format!("Bearer {UPLOAD_KEY}"));
        let request = if range.is_empty() { request } else { request.header(header::CONTENT_RANGE, range) };
        bench.send(request.body(Body::from(body)).unwrap()).await
    };
    assert_eq!(send(Method::PATCH, UPLOAD, "0-2", "hel").await.header("orbit-upload-offset"), "3");
    let status = send(Method::GET, UPLOAD, "", "").await;
    assert_eq!((status.status, status.header("orbit-upload-offset")), (StatusCode::NO_CONTENT, "3"));
    assert_eq!(send(Method::PATCH, UPLOAD, "3-4", "lo").await.status, StatusCode::ACCEPTED);
    let path = format!("{UPLOAD}?digest={}", Digest::of("hello"));
    assert_eq!(send(Method::PUT, &path, "", "").await.status, StatusCode::CREATED);
    // Of the registry there is nothing else here.
    for path in ["/v2/", "/v2/shop/web/manifests/1.0.0", "/v2/token"] {
        assert_eq!(bench.get(&maria, path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn pages_have_a_nonce_of_their_own() {
    let bench = Bench::new().await;
    let request = || Request::get("/ns/shop").header(header::ACCEPT, "text/html").body(Body::empty()).unwrap();
    let (one, other) = (bench.send(request()).await, bench.send(request()).await);
    assert_eq!(one.header("cache-control"), "no-store");
    for answer in [&one, &other] {
        let policy = answer.header("content-security-policy");
        assert!(policy.contains(&format!("'nonce-{}'", answer.text)), "{policy}");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe-inline"));
    }
    assert_ne!(one.text, other.text);
    assert_ne!(one.header("x-request-id"), other.header("x-request-id"));
}

#[tokio::test]
async fn nobody_asks_without_end() {
    let bench = Bench::new().await;
    let maria = bench.sign_in(MARIA).await;
    let vera = bench.sign_in(VERA).await;
    let mut answered = 0;
    let slow = loop {
        let answer = bench.get(&maria, "/api/v1/session").await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            break answer;
        }
        answered += 1;
        assert!(answered < 100_000, "she is never told to wait");
    };
    assert!(answered >= 200 && slow.header("retry-after") == "1", "{answered}");
    assert_eq!(bench.get(&vera, "/api/v1/session").await.status, StatusCode::OK);
}

#[test]
fn the_document_names_every_type_that_it_speaks_of() {
    let document = crate::portal::openapi();
    assert_eq!(document["openapi"], "3.1.0");
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    let mut ids: Vec<&str> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|path| path.as_object().unwrap().values())
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "no two requests have one name");
}

/// With ORBIT_WRITE_OPENAPI set, it is made so.
#[test]
fn the_written_document_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/portal/openapi.json");
    let fresh = serde_json::to_string_pretty(&crate::portal::openapi()).unwrap() + "\n";
    if std::env::var_os("ORBIT_WRITE_OPENAPI").is_some() {
        std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/portal")).unwrap();
        std::fs::write(path, &fresh).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == fresh, "portal/openapi.json is stale: run make generate");
}

#[tokio::test]
async fn nothing_of_a_request_becomes_a_header_of_its_answer() {
    let bench = Bench::new().await;
    let maria = bench.sign_in(MARIA).await;
    bench.publish().await;
    let injected = "%0d%0aX-Injected:%20yes%0d%0a%0d%0a";
    for path in [
        format!("/api/v1/namespaces/shop{injected}/applications"),
        format!("/api/v1/namespaces/shop/charts/web{injected}/1.0.0/archive"),
        format!("/api/v1/namespaces/shop/charts/web/1.0.0{injected}/archive"),
        format!("/api/v1/namespaces/shop/overlays/web/prod{injected}/manifests?format=yaml"),
        format!("/api/v1/namespaces/shop/audit?format=csv&actor={injected}"),
        format!("/api/v1/namespaces/shop/applications?search={injected}"),
        format!("/auth/start?return=/{injected}"),
        format!("/sign-in?return={injected}"),
    ] {
        let mut request = maria.request(&Method::GET, &path).body(Body::empty()).unwrap();
        request.headers_mut().insert("x-request-id", "forged".parse().unwrap());
        let answer = bench.send(request).await;
        assert!(!answer.status.is_server_error(), "{path}: {answer:?}");
        assert!(!answer.headers.contains_key("x-injected"), "{path}: {answer:?}");
        assert_ne!(answer.header("x-request-id"), "forged", "{path}");
    }
}

#[tokio::test]
async fn a_page_of_large_objects_has_fewer_of_them() {
    let bench = Bench::new().await;
    let maria = bench.sign_in(MARIA).await;
    // Together some 40 MB.
    bench.cluster.fill("/apis/orbit.k8or.io/v1alpha1/namespaces/shop/environmentoverlays", 30, 1_400_000);
    let (mut path, mut pages) = (format!("{OVERLAYS}?limit=500"), Vec::new());
    loop {
        let page = bench.get(&maria, &path).await.json();
        pages.push(page["items"].as_array().unwrap().len());
        let Some(next) = page["continue"].as_str() else { break };
        path = format!("{OVERLAYS}?limit=500&continue={next}");
    }
    assert_eq!(pages.iter().sum::<usize>(), 30, "{pages:?}");
    assert!(pages.len() > 2 && pages.iter().all(|items| (1..12).contains(items)), "{pages:?}");
}
