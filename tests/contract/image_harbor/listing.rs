//! Listings of many keys, and of servers that give them in pages of their own choice.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, http::Uri};
use futures::{StreamExt, stream};
use orbit_plane::{
    aws,
    digest::Digest,
    image_harbor::{ImageHarbor, S3Harbor, S3Limits, stream_of},
};

use super::setting;

/// A page of a listing in S3's words.
fn page(keys: &[String], next: Option<&str>) -> String {
    let keys: String = keys.iter().map(|key| format!("<Contents><Key>{key}</Key></Contents>")).collect();
    let token = next.filter(|token| !token.is_empty());
    let token = token.map(|token| format!("<NextContinuationToken>{token}</NextContinuationToken>"));
    format!(
        "<ListBucketResult><IsTruncated>{}</IsTruncated>{}{keys}</ListBucketResult>",
        next.is_some(),
        token.unwrap_or_default()
    )
}

/// A Harbor on a server that answers every GET by a rule.
async fn on(rule: impl Fn(&Uri) -> String + Clone + Send + Sync + 'static) -> S3Harbor {
    // The SDK signs its requests, whoever answers them.
    setting("AWS_SECRET_ACCESS_KEY");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let server = Router::new().fallback(async move |uri: Uri| rule(&uri));
    tokio::spawn(async { axum::serve(listener, server).await });
    let config = aws::sdk_config(Some(&endpoint)).await;
    S3Harbor::new(&config, "bucket", "plane", S3Limits::default()).unwrap()
}

#[tokio::test]
async fn a_short_page_is_not_the_last_one() {
    let digests = {
        let mut digests = ["a", "b", "c"].map(Digest::of);
        digests.sort();
        digests
    };
    let keys = digests.map(|digest| format!("plane/blobs/sha256/{}", digest.hex()));
    let harbor = on(move |uri| {
        let asked = uri.to_string();
        if !asked.contains("list-type=2") {
            return r#"{"key":"plane/data/x","size":7}"#.to_owned();
        }
        match asked.split("continuation-token=").nth(1).map(|token| token.split('&').next().unwrap_or_default()) {
            None => page(&keys[..1], Some("second")),
            Some("second") => page(&[], Some("third")),
            Some("third") => page(&keys[1..], None),
            Some(other) => panic!("{other}"),
        }
    })
    .await;
    assert_eq!(harbor.blobs(None, 10).await.unwrap(), digests.map(|digest| (digest, 7)));
}

#[tokio::test]
async fn a_listing_that_cannot_end_is_an_error() {
    for token in ["same", ""] {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let harbor = on(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            page(&[], Some(token))
        })
        .await;
        let error = harbor.blobs(None, 10).await.unwrap_err().to_string();
        assert!(error.contains("listing failed"), "{error}");
        assert!(asked.load(Ordering::SeqCst) <= 2);
    }
}

#[tokio::test]
async fn a_session_of_more_pieces_than_a_page_holds_is_discarded() {
    let under = super::s3().await;
    let harbor = &*under.harbor;
    let pieces: Vec<_> = stream::iter(0..1003)
        .map(|n: usize| harbor.stage("session", stream_of(n.to_string())))
        .buffered(16)
        .map(Result::unwrap)
        .collect()
        .await;
    harbor.discard_session("session").await.unwrap();
    let left: Vec<_> = stream::iter(&pieces)
        .map(async |piece| harbor.read_staged("session", piece, None).await.is_ok())
        .buffered(16)
        .collect()
        .await;
    assert_eq!(left.iter().filter(|there| **there).count(), 0);
}
