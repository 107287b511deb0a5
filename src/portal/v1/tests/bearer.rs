//! A token with every request, which is how programs ask.

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use serde_json::Value;

use super::bench::*;
use crate::portal::testing::{MARIA, NOBODY, VERA};

const HISTORY: &str = "/api/v1/namespaces/shop/applications/web/lifecycle";

fn asked(method: &Method, path: &str, token: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path).header(header::AUTHORIZATION, format!("Bearer {token}"))
}

async fn get(bench: &Bench, path: &str, token: &str) -> Answer {
    bench.send(asked(&Method::GET, path, token).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn programs_ask_with_a_token() {
    let bench = Bench::new().await;
    for (token, expected) in [(MARIA, 200), (VERA, 200), (NOBODY, 403), ("guessed", 401), ("", 401)] {
        assert_eq!(get(&bench, HISTORY, token).await.status.as_u16(), expected, "{token}");
    }
    assert_eq!(get(&bench, HISTORY, "guessed").await.header("www-authenticate"), "Bearer");
    // Nobody else's page can send it along, so there is nothing more to prove.
    for (token, expected) in [(MARIA, 201), (VERA, 403)] {
        let request = asked(&Method::POST, OVERLAYS, token).header(header::CONTENT_TYPE, "application/json");
        let answer = bench.send(request.body(Body::from(overlay(1).to_string())).unwrap()).await;
        assert_eq!(answer.status.as_u16(), expected, "{answer:?}");
    }
    // Who the token is of is asked once, not with every request.
    let reviews = bench.cluster.asked().iter().filter(|asked| asked.ends_with("/selfsubjectreviews")).count();
    assert_eq!(reviews, 5, "the two guesses are asked about each");
}

#[tokio::test]
async fn what_is_no_token_signs_nobody_in() {
    let bench = Bench::new().await;
    let with = |values: &[&str]| {
        let request =
            values.iter().fold(Request::get(HISTORY), |request, value| request.header("authorization", *value));
        request.body(Body::empty()).unwrap()
    };
    let good = format!("Bearer {MARIA}");
    for values in [&[good.as_str(), good.as_str()][..], &["Bearer"], &[MARIA], &["Basic bWFyaWE6eA=="], &["Bearer a b"]]
    {
        assert_eq!(bench.send(with(values)).await.status, StatusCode::UNAUTHORIZED, "{values:?}");
    }
    assert_eq!(bench.send(with(&[&good.replace("Bearer", "bearer")])).await.status, StatusCode::OK);
    // What the cookie holds is no token, nor is a token what a cookie holds.
    let browser = bench.sign_in(MARIA).await;
    let id = browser.cookie.split_once('=').unwrap().1;
    assert_eq!(get(&bench, HISTORY, id).await.status, StatusCode::UNAUTHORIZED);
    let cookie = Browser { cookie: format!("__Host-orbit={MARIA}"), ..Browser::default() };
    assert_eq!(bench.get(&cookie, HISTORY).await.status, StatusCode::UNAUTHORIZED);
    // Whoever is signed in by cookie has to mean what she sends, whatever comes with it.
    let request = asked(&Method::DELETE, OVERLAY, MARIA).header(header::COOKIE, &browser.cookie);
    assert_eq!(bench.send(request.body(Body::empty()).unwrap()).await.status, StatusCode::FORBIDDEN);
    // On the portal's address an upload's key is in this header: it is no token, and the session is another matter.
    assert_eq!(get(&bench, UPLOAD, MARIA).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_token_that_is_no_longer_good_opens_nothing_more() {
    let bench = Bench::new().await;
    assert_eq!(get(&bench, OVERLAYS, MARIA).await.status, StatusCode::OK);
    bench.cluster.revoke(MARIA);
    for _ in 0..2 {
        assert_eq!(get(&bench, OVERLAYS, MARIA).await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn guessing_becomes_slow() {
    let bench = Bench::new().await;
    let mut refused = 0;
    while get(&bench, HISTORY, &format!("guess-{refused}")).await.status == StatusCode::UNAUTHORIZED {
        refused += 1;
        assert!(refused < 20, "it never becomes slow");
    }
    // Who is known already does not wait for others' guesses; who is not, does.
    assert_eq!(get(&bench, HISTORY, MARIA).await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn lists_go_on_where_they_stopped() {
    let bench = Bench::new().await;
    let page = async |rest: &str| {
        let answer = get(&bench, &format!("/api/v1/namespaces/shop/uploads?limit=1{rest}"), VERA).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json()
    };
    let first = page("").await;
    let second = page(&format!("&continue={}", first["continue"].as_str().unwrap())).await;
    assert_eq!((&first["items"][0]["version"], &second["items"][0]["version"]), (&"1.1.0".into(), &"1.0.0".into()));
    assert_eq!(second["continue"], Value::Null);
}
