//! What is read, by whom, from real stores.

use std::sync::atomic::Ordering;

use axum::{
    body::Body,
    http::{Request, header},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::SignedDuration;
use serde_json::json;

use super::shelf::{Answer, OCI_INDEX, OCI_MANIFEST, Shelf};
use crate::{
    chart_store::Fact,
    digest::Digest,
    registry::readers::testing::{BELA, CARLA, MARIA, ROBOT},
};

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

async fn full() -> (Shelf, Vec<String>) {
    let shelf = Shelf::new().await;
    let image = shelf.image("shop/web", "1.0.0").await;
    let chart = shelf.chart("shop/web", "1.0.0").await;
    let overlay = shelf.overlay("shop/web", "prod", "a: 1\n").await;
    let rendered: serde_json::Value = serde_json::from_slice(&overlay).unwrap();
    let rendered = rendered["layers"][0]["digest"].as_str().unwrap();
    let paths = vec![
        "/v2/shop/web/manifests/1.0.0".to_owned(),
        format!("/v2/shop/web/manifests/{}", Digest::of(&image.index)),
        format!("/v2/shop/web/blobs/{}", Digest::of(&image.layer)),
        "/v2/shop/web/tags/list".to_owned(),
        format!("/v2/shop/web/referrers/{}", Digest::of(&image.manifest)),
        "/v2/shop/charts/web/manifests/1.0.0".to_owned(),
        format!("/v2/shop/charts/web/blobs/{}", Digest::of(&chart.package)),
        "/v2/shop/charts/web/tags/list".to_owned(),
        format!("/v2/shop/charts/web/referrers/{}", Digest::of(&chart.manifest)),
        "/v2/shop/overlays/web/manifests/prod".to_owned(),
        format!("/v2/shop/overlays/web/manifests/{}", Digest::of(&overlay)),
        format!("/v2/shop/overlays/web/blobs/{rendered}"),
        "/v2/shop/overlays/web/tags/list".to_owned(),
    ];
    (shelf, paths)
}

#[tokio::test]
async fn every_endpoint_asks_who_it_is() {
    let (shelf, paths) = full().await;
    let readers = shelf.registry.readers();
    let hour = SignedDuration::from_hours(1);
    let foreign = shelf.cluster.readers().token_of("shop/web", SignedDuration::ZERO);
    for path in paths {
        let repository = path.trim_start_matches("/v2/").split("/manifests").next().unwrap();
        let repository = repository.split("/blobs").next().unwrap().split("/tags").next().unwrap();
        let repository = repository.split("/referrers").next().unwrap();
        for (who, authorization, status, code) in [
            ("nobody", None, 401, "UNAUTHORIZED"),
            ("another scheme", Some("Digest abc".to_owned()), 401, "UNAUTHORIZED"),
            ("expired", Some(bearer(&readers.token_of(repository, hour))), 401, "UNAUTHORIZED"),
            ("of another process", Some(bearer(&foreign)), 401, "UNAUTHORIZED"),
            (
                "for another repository",
                Some(bearer(&readers.token_of("shop/api", SignedDuration::ZERO))),
                401,
                "UNAUTHORIZED",
            ),
            ("of another namespace", Some(bearer(BELA)), 403, "DENIED"),
            ("of another namespace, by Basic", Some(basic("bela", BELA)), 403, "DENIED"),
            ("user", Some(bearer(MARIA)), 200, ""),
            ("user by Basic", Some(basic("whoever", MARIA)), 200, ""),
            ("robot", Some(basic(ROBOT.0, ROBOT.1)), 200, ""),
            ("token", Some(bearer(&readers.token_of(repository, SignedDuration::ZERO))), 200, ""),
        ] {
            for method in ["GET", "HEAD"] {
                let answer = shelf.ask(method, &path, authorization.as_deref()).await;
                assert_eq!(answer.status.as_u16(), status, "{who}: {method} {path}: {answer:?}");
                assert_eq!(answer.header("docker-distribution-api-version"), "registry/2.0");
                if method == "GET" && status != 200 {
                    answer.refused(status, code);
                }
                if status == 401 {
                    let expected = format!(
                        r#"Bearer realm="http://127.0.0.1:8480/v2/token",service="127.0.0.1",scope="repository:{repository}:pull""#
                    );
                    assert_eq!(answer.header("www-authenticate"), expected);
                }
            }
        }
    }
}

#[tokio::test]
async fn wrong_credentials_are_refused_everywhere_and_not_repeated() {
    let (shelf, paths) = full().await;
    for path in &paths {
        for authorization in [
            bearer("wrong-token"),
            basic("maria", "wrong-token"),
            basic(ROBOT.0, "wrong-token"),
            // A robot's password under another name is a wrong Kubernetes token.
            basic("robot", ROBOT.1),
            bearer(ROBOT.1),
        ] {
            let answer = shelf.ask("GET", path, Some(&authorization)).await;
            answer.refused(401, "UNAUTHORIZED");
            assert!(!answer.json().to_string().contains("token-"), "{path}: {answer:?}");
            assert_eq!(shelf.ask("HEAD", path, Some(&authorization)).await.status.as_u16(), 401, "{path}");
        }
    }
}

#[tokio::test]
async fn nothing_tells_strangers_what_there_is() {
    let (shelf, paths) = full().await;
    for path in paths {
        let missing = path.replace("/web/", "/nothing/").replace("1.0.0", "9.9.9");
        for authorization in [None, Some(bearer(BELA))] {
            let mut there = shelf.ask("GET", &path, authorization.as_deref()).await;
            let mut not_there = shelf.ask("GET", &missing, authorization.as_deref()).await;
            // The challenge repeats what was asked for.
            there.headers.remove("www-authenticate");
            not_there.headers.remove("www-authenticate");
            assert_eq!(there, not_there, "{path}");
        }
    }
}

#[tokio::test]
async fn charts_open_no_images() {
    let shelf = Shelf::new().await;
    let image = shelf.image("shop/web", "1.0.0").await;
    let chart = shelf.chart("shop/web", "1.0.0").await;
    let index = Digest::of(&image.index);
    let carla = bearer(CARLA);
    let read = async |path: &str| shelf.ask("GET", path, Some(&carla)).await;
    assert_eq!(read("/v2/shop/charts/web/manifests/1.0.0").await.body, chart.manifest);
    read("/v2/shop/web/manifests/1.0.0").await.refused(403, "DENIED");
    // A chart names the image by digest; that digest opens nothing here, and no layer is learnt of.
    read(&format!("/v2/shop/charts/web/manifests/{index}")).await.refused(404, "MANIFEST_UNKNOWN");
    read(&format!("/v2/shop/charts/web/blobs/{index}")).await.refused(404, "BLOB_UNKNOWN");
    shelf
        .get(&format!("/v2/shop/web/manifests/{}", Digest::of(&chart.manifest)))
        .await
        .refused(404, "MANIFEST_UNKNOWN");
}

#[tokio::test]
async fn manifests_come_byte_for_byte() {
    let shelf = Shelf::new().await;
    let image = shelf.image("shop/web", "1.0.0").await;
    for (reference, bytes, media_type) in [
        ("1.0.0".to_owned(), &image.index, OCI_INDEX),
        (Digest::of(&image.index).to_string(), &image.index, OCI_INDEX),
        (Digest::of(&image.manifest).to_string(), &image.manifest, OCI_MANIFEST),
        (Digest::of(&image.attestation).to_string(), &image.attestation, OCI_MANIFEST),
    ] {
        let path = format!("/v2/shop/web/manifests/{reference}");
        let got = shelf.get(&path).await;
        let head = shelf.ask("HEAD", &path, Some(&bearer(MARIA))).await;
        assert_eq!((&got.body, head.body.len()), (bytes, 0), "{reference}");
        for answer in [got, head] {
            assert_eq!(answer.header("content-type"), media_type);
            assert_eq!(answer.header("content-length"), bytes.len().to_string());
            assert_eq!(answer.header("docker-content-digest"), Digest::of(bytes).to_string());
        }
    }
    for reference in ["1.0.1", &Digest::of("nothing").to_string(), &Digest::of(&image.layer).to_string()] {
        shelf.get(&format!("/v2/shop/web/manifests/{reference}")).await.refused(404, "MANIFEST_UNKNOWN");
    }
    shelf.get("/v2/shop/web/manifests/sha256:00").await.refused(400, "DIGEST_INVALID");
}

#[tokio::test]
async fn blobs_come_whole_and_in_part() {
    let shelf = Shelf::new().await;
    let layer = shelf.image("shop/web", "1.0.0").await.layer;
    let package = shelf.chart("shop/web", "1.0.0").await.package;
    for (repository, blob) in [("shop/web", layer), ("shop/charts/web", package)] {
        let path = format!("/v2/{repository}/blobs/{}", Digest::of(&blob));
        let size = blob.len();
        let ask = async |method: &str, range: &str| {
            let request = Request::builder().method(method).uri(&path).header(header::AUTHORIZATION, bearer(MARIA));
            shelf.send(request.header(header::RANGE, range).body(Body::empty()).unwrap()).await
        };
        let whole = shelf.get(&path).await;
        assert_eq!((whole.status.as_u16(), &whole.body), (200, &blob));
        let head = ask("HEAD", "bytes=0-3").await;
        assert_eq!((head.status.as_u16(), head.header("content-length")), (200, size.to_string().as_str()));
        let request = Request::builder().uri(&path).header(header::AUTHORIZATION, bearer(MARIA));
        let request = request.header(header::RANGE, "bytes=0-3").header(header::IF_RANGE, "\"another\"");
        let whole_again = shelf.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!((whole_again.status.as_u16(), &whole_again.body), (200, &blob));
        assert_eq!(
            (whole.header("accept-ranges"), whole.header("content-length")),
            ("bytes", size.to_string().as_str())
        );
        assert_eq!(whole.header("docker-content-digest"), Digest::of(&blob).to_string());
        for (range, first, last) in [
            ("bytes=0-3", 0, 3),
            ("bytes=4-", 4, size - 1),
            ("bytes=-5", size - 5, size - 1),
            ("bytes=2-9999", 2, size - 1),
        ] {
            let part = ask("GET", range).await;
            assert_eq!((part.status.as_u16(), &part.body[..]), (206, &blob[first..=last]), "{range}");
            assert_eq!(part.header("content-range"), format!("bytes {first}-{last}/{size}"));
            assert_eq!(part.header("content-length"), (last - first + 1).to_string());
        }
        let beyond = ask("GET", &format!("bytes={size}-")).await;
        beyond.refused(416, "RANGE_INVALID");
        assert_eq!(beyond.header("content-range"), format!("bytes */{size}"));
        let head = shelf.ask("HEAD", &path, Some(&bearer(MARIA))).await;
        assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
        assert_eq!(head.header("content-length"), size.to_string());
    }
}

#[tokio::test]
async fn blobs_are_of_their_application_only() {
    let shelf = Shelf::new().await;
    let layer = Digest::of(shelf.image("shop/web", "1.0.0").await.layer);
    let package = Digest::of(shelf.chart("shop/web", "1.0.0").await.package);
    shelf.image("shop/api", "1.0.0").await;
    for path in [
        format!("/v2/shop/api/blobs/{layer}"),
        format!("/v2/shop/charts/api/blobs/{package}"),
        format!("/v2/shop/web/blobs/{package}"),
        format!("/v2/shop/overlays/web/blobs/{package}"),
    ] {
        shelf.get(&path).await.refused(404, "BLOB_UNKNOWN");
    }
}

#[tokio::test]
async fn tags_come_in_pages() {
    let shelf = Shelf::new().await;
    for version in ["1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0"] {
        shelf.image("shop/web", version).await;
    }
    shelf.purge("shop/web", "1.1.0").await;
    shelf.chart("shop/web", "1.2.0").await;
    let list = async |path: &str| {
        let answer = shelf.get(&format!("/v2/shop/{path}")).await;
        let link = answer.headers.get(header::LINK).map(|link| link.to_str().unwrap().to_owned());
        (answer.json()["tags"].clone(), link)
    };
    assert_eq!(list("web/tags/list").await, (json!(["1.0.0", "1.2.0", "1.3.0", "1.4.0"]), None));
    let next = r#"</v2/shop/web/tags/list?n=2&last=1.2.0>; rel="next""#.to_owned();
    assert_eq!(list("web/tags/list?n=2").await, (json!(["1.0.0", "1.2.0"]), Some(next)));
    assert_eq!(list("web/tags/list?n=2&last=1.2.0").await, (json!(["1.3.0", "1.4.0"]), None));
    assert_eq!(list("web/tags/list?last=1.3.0").await, (json!(["1.4.0"]), None));
    assert_eq!(list("web/tags/list?n=0").await, (json!([]), None));
    assert_eq!(list("charts/web/tags/list").await, (json!(["1.2.0"]), None));
    assert_eq!(list("overlays/web/tags/list").await, (json!([]), None));
    assert_eq!(shelf.get("/v2/shop/charts/web/tags/list").await.json()["name"], "shop/charts/web");
    shelf.get("/v2/shop/nothing/tags/list").await.refused(404, "NAME_UNKNOWN");
    shelf.get("/v2/shop/web/tags/list?n=many").await.refused(400, "PAGINATION_NUMBER_INVALID");
}

#[tokio::test]
async fn a_purged_release_is_gone() {
    let shelf = Shelf::new().await;
    let image = shelf.image("shop/web", "1.0.0").await;
    let chart = shelf.chart("shop/web", "1.0.0").await;
    shelf.purge("shop/web", "1.0.0").await;
    for path in [
        "web/manifests/1.0.0".to_owned(),
        format!("web/manifests/{}", Digest::of(&image.index)),
        format!("web/blobs/{}", Digest::of(&image.layer)),
        "charts/web/manifests/1.0.0".to_owned(),
        format!("charts/web/manifests/{}", Digest::of(&chart.manifest)),
        format!("charts/web/blobs/{}", Digest::of(&chart.package)),
    ] {
        assert_eq!(shelf.get(&format!("/v2/shop/{path}")).await.status.as_u16(), 404, "{path}");
    }
}

#[tokio::test]
async fn an_environment_is_a_tag_as_long_as_it_is_there() {
    let shelf = Shelf::new().await;
    let first = shelf.overlay("shop/web", "prod", "a: 1\n").await;
    let second = shelf.overlay("shop/web", "prod", "a: 2\n").await;
    assert_eq!(shelf.get("/v2/shop/overlays/web/manifests/prod").await.body, second);
    // Whoever runs an older one can still read it.
    assert_eq!(shelf.get(&format!("/v2/shop/overlays/web/manifests/{}", Digest::of(&first))).await.body, first);
    assert_eq!(shelf.get("/v2/shop/overlays/web/tags/list").await.json()["tags"], json!(["prod"]));
    let removed = Fact::EnvironmentRemoved { environment: "prod".into() };
    shelf.record(&crate::release::ApplicationKey::new("shop", "web"), removed, None).await;
    shelf.get("/v2/shop/overlays/web/manifests/prod").await.refused(404, "MANIFEST_UNKNOWN");
    assert_eq!(shelf.get("/v2/shop/overlays/web/tags/list").await.json()["tags"], json!([]));
}

#[tokio::test]
async fn referrers_are_found_and_never_missing() {
    let shelf = Shelf::new().await;
    let image = shelf.image("shop/web", "1.0.0").await;
    let ask = async |path: String| {
        let answer = shelf.get(&format!("/v2/shop/{path}")).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, OCI_INDEX));
        (answer.json()["manifests"].clone(), answer.headers.contains_key("oci-filters-applied"))
    };
    let manifest = Digest::of(&image.manifest);
    let expected = json!([{
        "mediaType": OCI_MANIFEST, "digest": Digest::of(&image.attestation), "size": image.attestation.len(),
        "artifactType": "application/vnd.example.sbom", "annotations": {"made": "by hand"},
    }]);
    // The second time from what is known by then.
    for _ in 0..2 {
        assert_eq!(ask(format!("web/referrers/{manifest}")).await, (expected.clone(), false));
    }
    let of_type = |name: &str| format!("web/referrers/{manifest}?artifactType=application%2Fvnd.example.{name}");
    assert_eq!(ask(of_type("sbom")).await, (expected, true));
    assert_eq!(ask(of_type("signature")).await, (json!([]), true));
    assert_eq!(ask(format!("web/referrers/{}", Digest::of("nothing"))).await, (json!([]), false));
    assert_eq!(ask(format!("nothing/referrers/{manifest}")).await, (json!([]), false));
}

#[tokio::test]
async fn a_token_is_to_be_had_for_what_may_be_read() {
    let (shelf, _) = full().await;
    let maria = basic("maria", MARIA);
    let token = async |query: &str| {
        let answer = shelf.ask("GET", &format!("/v2/token?service=127.0.0.1&{query}"), Some(&maria)).await;
        assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (200, "no-store"));
        let said = answer.json();
        assert_eq!((&said["token"], &said["expires_in"]), (&said["access_token"], &json!(300)));
        (bearer(said["token"].as_str().unwrap()), said["scope"].as_str().unwrap().to_owned())
    };
    let (both, scope) = token("scope=repository:shop/web:pull,push&scope=repository:bank/web:pull").await;
    assert_eq!(scope, "repository:shop/web:pull");
    let read = async |path: &str, token: &str| shelf.ask("GET", path, Some(token)).await;
    assert_eq!(read("/v2/", &both).await.status.as_u16(), 200);
    assert_eq!(read("/v2/shop/web/manifests/1.0.0", &both).await.status.as_u16(), 200);
    read("/v2/shop/charts/web/manifests/1.0.0", &both).await.refused(401, "UNAUTHORIZED");
    read("/v2/bank/web/manifests/1.0.0", &both).await.refused(403, "DENIED");
    let (none, _) = token("account=maria&offline_token=true").await;
    assert_eq!(read("/v2/", &none).await.status.as_u16(), 200, "docker login asks for no more");
    read("/v2/shop/web/manifests/1.0.0", &none).await.refused(401, "UNAUTHORIZED");

    let form = format!("grant_type=password&username=maria&password={MARIA}&scope=repository%3Ashop%2Fweb%3Apull");
    let post = Request::builder().method("POST").uri("/v2/token");
    let post = post.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(Body::from(form)).unwrap();
    let by_form = bearer(shelf.send(post).await.json()["access_token"].as_str().unwrap());
    assert_eq!(read("/v2/shop/web/manifests/1.0.0", &by_form).await.status.as_u16(), 200);

    for wrong in [None, Some(basic("maria", "wrong")), Some(both)] {
        let answer = shelf.ask("GET", "/v2/token?scope=repository:shop/web:pull", wrong.as_deref()).await;
        answer.refused(401, "UNAUTHORIZED");
        assert!(answer.header("www-authenticate").starts_with("Basic "));
    }
}

#[tokio::test]
async fn who_pulled_from_which_repository_is_recorded() {
    let (shelf, paths) = full().await;
    let robot = basic(ROBOT.0, ROBOT.1);
    let scope = "/v2/token?scope=repository:shop/web:pull";
    let token = shelf.ask("GET", scope, Some(&robot)).await.json();
    let token = bearer(token["token"].as_str().unwrap());
    shelf.ask("GET", "/v2/", None).await;
    // Tokens of the registry's own are their holder's.
    for path in &paths[..3] {
        assert!(shelf.ask("GET", path, Some(&token)).await.status.is_success(), "{path}");
    }
    shelf.ask("GET", &paths[0], Some(&bearer(BELA))).await;
    shelf.ask("GET", "/v2/_catalog", Some(&bearer(MARIA))).await;
    let mut recorded: Vec<_> = shelf
        .requests
        .taken()
        .into_iter()
        .map(|(who, request)| (who, request.path, request.status.unwrap(), request.count))
        .collect();
    recorded.sort();
    let expected = [
        ("", "/v2/", 401, 1),
        (ROBOT.0, "/v2/shop/web/*", 200, 3),
        (ROBOT.0, "/v2/token", 200, 1),
        (BELA, "/v2/shop/web/*", 403, 1),
        (MARIA, "/v2/*", 404, 1),
    ];
    assert_eq!(recorded, expected.map(|(who, path, status, count)| (who.to_owned(), path.to_owned(), status, count)));
}

#[tokio::test]
async fn guessing_is_slow_and_hinders_nobody_who_is_known() {
    let (shelf, _) = full().await;
    let path = "/v2/shop/web/manifests/1.0.0";
    assert_eq!(shelf.get(path).await.status.as_u16(), 200);
    let guess = async |number: usize| shelf.ask("GET", path, Some(&bearer(&format!("guess-{number}")))).await;
    let answers: Vec<Answer> = futures::future::join_all((0..10).map(guess)).await;
    assert!(answers.iter().all(|answer| answer.status.as_u16() == 401), "{answers:?}");
    let reviews = shelf.cluster.token_reviews.load(Ordering::SeqCst);
    let refused = guess(11).await;
    refused.refused(429, "TOOMANYREQUESTS");
    assert!(refused.headers.contains_key(header::RETRY_AFTER));
    assert_eq!(shelf.get(path).await.status.as_u16(), 200);
    assert_eq!(shelf.cluster.token_reviews.load(Ordering::SeqCst), reviews, "nobody was asked any more");
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_opens_nothing() {
    let (shelf, _) = full().await;
    shelf.cluster.down.store(true, Ordering::SeqCst);
    let answer = shelf.get("/v2/shop/web/manifests/1.0.0").await;
    answer.refused(503, "UNAVAILABLE");
    assert!(answer.headers.contains_key(header::RETRY_AFTER));
    shelf.cluster.down.store(false, Ordering::SeqCst);
    assert_eq!(shelf.get("/v2/shop/web/manifests/1.0.0").await.status.as_u16(), 200);
}

#[tokio::test]
async fn the_base_says_whether_credentials_are_good() {
    let shelf = Shelf::new().await;
    for path in ["/v2", "/v2/"] {
        let unknown = shelf.ask("GET", path, None).await;
        unknown.refused(401, "UNAUTHORIZED");
        assert_eq!(
            unknown.header("www-authenticate"),
            r#"Bearer realm="http://127.0.0.1:8480/v2/token",service="127.0.0.1""#
        );
        assert_eq!(shelf.get(path).await.json(), json!({}));
    }
    shelf.get("/v2/_catalog").await.refused(404, "UNSUPPORTED");
    shelf.ask("GET", "/v2/_catalog", None).await.refused(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn nothing_is_pushed() {
    let (shelf, paths) = full().await;
    for path in paths {
        for method in ["PUT", "POST", "PATCH", "DELETE"] {
            let answer = shelf.ask(method, &path, Some(&bearer(MARIA))).await;
            answer.refused(405, "UNSUPPORTED");
            assert_eq!(answer.header("allow"), "GET, HEAD");
        }
    }
    shelf.ask("POST", "/v2/shop/charts/web/blobs/uploads/", Some(&bearer(MARIA))).await.refused(405, "UNSUPPORTED");
    shelf.ask("POST", "/v2/shop/web/blobs/uploads/", Some(&bearer(MARIA))).await.refused(405, "UNSUPPORTED");
}
