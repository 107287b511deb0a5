//! A cluster that knows some tokens, for tests.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use axum::http::{Request, Response};
use jiff::Timestamp;
use kube::client::Body;
use serde_json::{Value, json};

use super::*;

/// May read everything in namespace shop.
pub const MARIA: &str = "token-of-maria";
/// May read charts in namespace shop.
pub const CARLA: &str = "token-of-carla";
/// May read everything in namespace bank.
pub const BELA: &str = "token-of-bela";
/// The robot that may read in namespace shop, and its password.
pub const ROBOT: (&str, &str) = ("orbit-cluster.fleet.eu-1", "password-of-the-robot");

/// What the fake API server was asked, and whether it answers.
#[derive(Debug, Default)]
pub struct Cluster {
    /// How many tokens it was asked about.
    pub token_reviews: AtomicUsize,
    /// Whether it is down.
    pub down: AtomicBool,
}

impl Cluster {
    /// Readers whom this cluster knows.
    pub fn readers(self: &Arc<Self>) -> Readers {
        let cluster = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let cluster = cluster.clone();
            async move { Ok::<_, Infallible>(cluster.answer(request).await) }
        });
        let place = Place { public_url: "http://127.0.0.1:8480".parse().unwrap(), tls: false };
        Readers::new(kube::Client::new(service, "default"), Some(Arc::new(OneRobot)), place)
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        if self.down.load(Ordering::SeqCst) {
            let status = json!({"kind": "Status", "status": "Failure", "code": 503, "message": "down", "reason": ""});
            return Response::builder().status(503).body(Body::from(status.to_string().into_bytes())).unwrap();
        }
        let (parts, body) = request.into_parts();
        let mut review: Value = serde_json::from_slice(&body.collect_bytes().await.unwrap()).unwrap();
        review["status"] = match parts.uri.path().rsplit('/').next().unwrap() {
            "tokenreviews" => {
                self.token_reviews.fetch_add(1, Ordering::SeqCst);
                let token = review["spec"]["token"].as_str().unwrap();
                match [MARIA, CARLA, BELA].contains(&token) {
                    true => json!({"authenticated": true, "user": {"username": token, "groups": ["people"]}}),
                    false => json!({"authenticated": false, "error": "invalid bearer token"}),
                }
            }
            "subjectaccessreviews" => {
                let asked = &review["spec"]["resourceAttributes"];
                let is_read = asked["verb"] == "get" && asked["subresource"] == "content";
                assert!(is_read && asked["group"] == "orbit.k8or.io", "{review}");
                assert_eq!(review["spec"]["groups"], json!(["people"]));
                let (namespace, resource) = (&asked["namespace"], &asked["resource"]);
                let allowed = match review["spec"]["user"].as_str().unwrap() {
                    MARIA => namespace == "shop",
                    CARLA => namespace == "shop" && resource == "helmcharts",
                    BELA => namespace == "bank",
                    _ => false,
                };
                json!({"allowed": allowed})
            }
            other => panic!("nobody asks for {other}"),
        };
        Response::builder().status(201).body(Body::from(review.to_string().into_bytes())).unwrap()
    }
}

#[derive(Debug)]
struct OneRobot;

#[async_trait::async_trait]
impl Robots for OneRobot {
    async fn authenticate(&self, user: &str, password: &Secret) -> anyhow::Result<Option<Access>> {
        let is_it = user == ROBOT.0 && password.matches(&Secret::new(ROBOT.1));
        Ok(is_it.then(|| Access::Namespaces(["shop".to_owned()].into())))
    }
}

impl Readers {
    /// A token for one repository, as it was given out so long ago.
    pub fn token_of(&self, repository: &str, age: jiff::SignedDuration) -> String {
        let grant = tokens::Grant { granted: [repository.parse().unwrap()].into(), ..tokens::Grant::default() };
        self.0.tokens.issue(grant, Timestamp::now() - age).token.expose().to_owned()
    }
}
