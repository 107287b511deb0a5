//! What the journal says of requests.

use axum::http::{Method, StatusCode};
use tokio_util::sync::CancellationToken;

use super::bench::*;
use crate::{
    portal::testing::MARIA,
    requests::Writer,
    viewport::{AuditEvent, AuditFilter, PageRequest, Projector},
};

/// What is recorded of the requests so far, once it is written and projected.
async fn recorded(bench: &Bench) -> Vec<AuditEvent> {
    let end = CancellationToken::new();
    end.cancel();
    Writer::new(bench.requests.clone(), bench.charts.clone()).run(end).await;
    Projector::new(bench.charts.clone(), bench.viewport.clone()).catch_up().await.unwrap();
    let filter = AuditFilter { kind: Some("request".into()), ..AuditFilter::default() };
    let mut events = Vec::new();
    for namespace in ["shop", ""] {
        events.extend(bench.viewport.audit(namespace, &filter, &PageRequest::default()).await.unwrap().items);
    }
    events
}

#[tokio::test]
async fn every_request_is_in_the_journal_and_none_of_its_secrets() {
    let bench = Bench::new().await;
    let maria = bench.sign_in(MARIA).await;
    let wrong = bench.send(signing_in("hunter2-is-no-token", &Browser::default())).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    let audit = "/api/v1/namespaces/shop/audit?actor=secret-in-a-query";
    assert_eq!(bench.get(&Browser::default(), audit).await.status, StatusCode::UNAUTHORIZED);
    for _ in 0..5 {
        assert_eq!(bench.get(&maria, audit).await.status, StatusCode::OK);
    }
    let made = bench.write(&maria, &Method::POST, OVERLAYS, None, &overlay(1)).await;
    let tag = made.header("etag").to_owned();
    let without_csrf = Browser { csrf: String::new(), ..maria.clone() };
    for (browser, tag, expected) in
        [(&without_csrf, tag.as_str(), 403), (&maria, "\"0\"", 412), (&maria, tag.as_str(), 200)]
    {
        let answer = bench.write(browser, &Method::PUT, OVERLAY, Some(tag), &overlay(2)).await;
        assert_eq!(answer.status.as_u16(), expected, "{answer:?}");
    }
    // A stranger begins no journal of a namespace that the plane does not know.
    bench.get(&Browser::default(), "/api/v1/namespaces/made-up/audit").await;
    bench.get(&maria, "/index.html").await;

    let events = recorded(&bench).await;
    let of = |method: &str, path: &str, status: i64| {
        let is_so = |event: &&AuditEvent| {
            let request = event.request.as_ref().unwrap();
            (request.method.as_str(), request.path.as_str(), request.status) == (method, path, Some(status))
        };
        let found: Vec<_> = events.iter().filter(is_so).collect();
        assert_eq!(found.len(), 1, "{method} {path} {status}: {events:#?}");
        let event = found[0];
        assert_eq!(event.address.as_deref(), Some("192.0.2.1"));
        (
            event.actor.as_str(),
            event.journal.as_str(),
            event.namespace.as_deref(),
            event.request.as_ref().unwrap().count,
        )
    };
    let (audit, made_up) = ("/api/v1/namespaces/shop/audit", "/api/v1/namespaces/made-up/audit");
    let shop = Some("shop");
    for (method, path, status, expected) in [
        ("POST", "/api/v1/session", 200, ("maria", "_requests", None, 1)),
        ("POST", "/api/v1/session", 401, ("", "_requests", None, 1)),
        ("GET", audit, 401, ("", "_requests", shop, 1)),
        ("GET", audit, 200, ("maria", "_requests", shop, 5)),
        ("POST", OVERLAYS, 201, ("maria", "_requests", shop, 1)),
        ("PUT", OVERLAY, 403, ("maria", "_requests", shop, 1)),
        ("PUT", OVERLAY, 412, ("maria", "_requests", shop, 1)),
        ("PUT", OVERLAY, 200, ("maria", "_requests", shop, 1)),
        ("GET", made_up, 401, ("", "_requests", Some("made-up"), 1)),
    ] {
        assert_eq!(of(method, path, status), expected, "{method} {path} {status}");
    }
    assert!(!events.iter().any(|event| event.request.as_ref().unwrap().path.contains("index")));
    let journals: Vec<String> =
        bench.charts.all_heads().await.unwrap().iter().map(|head| head.key.to_string()).collect();
    assert!(!journals.iter().any(|journal| journal.starts_with("made-up")), "{journals:?}");
    let written = serde_json::to_string(&events).unwrap();
    for secret in [MARIA, "hunter2", "secret-in-a-query", &maria.csrf, maria.cookie.split_once('=').unwrap().1] {
        assert!(!written.contains(secret), "{secret}");
    }
    // The page shows them when it is asked to.
    let shown = bench.get(&maria, "/api/v1/namespaces/shop/audit").await.json();
    assert!(shown["items"].as_array().unwrap().iter().all(|event| event["type"] != "request"));
    let shown = bench.get(&maria, "/api/v1/namespaces/shop/audit?type=request&actor=maria").await.json();
    assert_eq!(shown["items"][0]["request"]["status"], 200, "{shown}");
    // Nobody asks: nothing is written.
    recorded(&bench).await;
    let heads = bench.charts.all_heads().await.unwrap();
    recorded(&bench).await;
    assert_eq!(bench.charts.all_heads().await.unwrap(), heads);
}
