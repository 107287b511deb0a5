//! The plane's API over a suite's stores, for the commands that ask it.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use axum::http::{Request, Response};
use kube::{Client, client::Body};
use orbit_plane::{
    portal::{
        Parts, Portal, Stores,
        assets::Assets,
        authority::{Authority, Cluster},
    },
    requests::Requests,
    viewport::Viewport,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The one token that is known; whoever has it may read everything.
pub const TOKEN: &str = "a-token";

/// An API server that knows who has [`TOKEN`], and nothing else: who may what is tried on real ones.
struct OneUser;

impl Cluster for OneUser {
    fn client(&self, authority: &Authority) -> anyhow::Result<Client> {
        let known = matches!(authority, Authority::Token(token) if token.expose() == TOKEN);
        let service = tower::service_fn(move |request: Request<Body>| async move {
            let (status, answer) = answer(known, request.uri().path());
            let body = Body::from(answer.to_string().into_bytes());
            Ok::<_, Infallible>(Response::builder().status(status).body(body).unwrap())
        });
        Ok(Client::new(service, "default"))
    }
}

fn answer(known: bool, path: &str) -> (u16, Value) {
    if !known {
        let status =
            json!({"kind": "Status", "status": "Failure", "code": 401, "reason": "Unauthorized", "message": ""});
        return (401, status);
    }
    let status = match path.rsplit('/').next() {
        Some("selfsubjectreviews") => json!({"userInfo": {"username": "maria"}}),
        Some("selfsubjectaccessreviews") => json!({"allowed": true}),
        _ => panic!("nobody asks for {path}"),
    };
    (201, json!({"metadata": {}, "spec": {}, "status": status}))
}

/// Serves it; the arguments that make a command ask there.
pub async fn served(viewport: Viewport, stores: Stores) -> [String; 4] {
    let cluster = Arc::new(OneUser);
    let portal = Portal::new(Parts {
        viewport,
        stores,
        plane: cluster.client(&Authority::Token(orbit_plane::registry::readers::Secret::new(TOKEN))).unwrap(),
        cluster,
        namespace: None,
        secure: false,
        provider: None,
        assets: Assets::of([]),
        requests: Requests::default(),
        shutdown: CancellationToken::new(),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let service = portal.api().into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    ["--server".into(), server, "--token".into(), TOKEN.into()]
}
