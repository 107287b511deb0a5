//! Changes as they happen.

use std::time::Duration;

use axum::http::{Method, StatusCode};

use super::{bench::*, overlay};
use crate::portal::testing::{MARIA, NOBODY, VERA};

const WATCH: &str = "/api/v1/namespaces/shop/watch";

#[tokio::test]
async fn a_stream_is_for_those_who_may_see() {
    let bench = Bench::new().await;
    let (nobody, vera, maria) = (bench.sign_in(NOBODY).await, bench.sign_in(VERA).await, bench.sign_in(MARIA).await);
    for (browser, path, expected) in [
        (&Browser::default(), WATCH, 401),
        (&nobody, WATCH, 403),
        (&vera, WATCH, 200),
        (&maria, WATCH, 200),
        (&maria, "/api/v1/namespaces/bank/watch", 403),
        (&maria, "/api/v1/namespaces/sh%2Fop/watch", 400),
        (&maria, "/api/v1/namespaces/shop/watch?since=x&x=y", 400),
    ] {
        let (status, _) = bench.open(browser, path, None).await;
        assert_eq!(status.as_u16(), expected, "{path} of {}", browser.cookie);
    }
}

#[tokio::test]
async fn whoever_comes_back_misses_nothing() {
    let bench = Bench::new().await;
    let (vera, maria) = (bench.sign_in(VERA).await, bench.sign_in(MARIA).await);
    let (_, mut stream) = bench.open(&vera, WATCH, None).await;
    let (event, _, ready) = stream.next().await.unwrap();
    assert_eq!((event.as_str(), ready["plurals"].as_array().unwrap().len()), ("ready", 5));

    let made = bench.write(&maria, &Method::POST, OVERLAYS, None, &overlay(1)).await;
    let (_, seen, change) = stream.next().await.unwrap();
    assert_eq!((&change["plural"], &change["name"]), (&"environmentoverlays".into(), &"web.dev".into()));
    assert!(change["object"]["metadata"]["managedFields"].is_null(), "{change}");
    drop(stream);

    let tag = made.header("etag").to_owned();
    assert_eq!(bench.write(&maria, &Method::PUT, OVERLAY, Some(&tag), &overlay(2)).await.status, StatusCode::OK);
    let (_, mut stream) = bench.open(&vera, WATCH, Some(&seen)).await;
    assert_eq!(stream.next().await.unwrap().0, "ready");
    let (.., change) = stream.next().await.unwrap();
    assert_eq!(change["object"]["spec"]["values"]["replicas"], 2, "{change}");
}

#[tokio::test]
async fn streams_of_a_session_are_bounded() {
    let bench = Bench::new().await;
    let maria = bench.sign_in(MARIA).await;
    let mut open = Vec::new();
    for _ in 0..8 {
        let (status, stream) = bench.open(&maria, WATCH, None).await;
        assert_eq!(status, StatusCode::OK);
        open.push(stream);
    }
    assert_eq!(bench.open(&maria, WATCH, None).await.0, StatusCode::TOO_MANY_REQUESTS);
    let vera = bench.sign_in(VERA).await;
    assert_eq!(bench.open(&vera, WATCH, None).await.0, StatusCode::OK, "others have their own");
    drop(open);
    // Their places are free again once the plane has seen that nobody listens.
    let free = async {
        while bench.open(&maria, WATCH, None).await.0 != StatusCode::OK {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), free).await.expect("a place is free");
}
