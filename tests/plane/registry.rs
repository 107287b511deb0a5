//! A real registry with images in it (crane's, as `testbed tools` installs it), and a gate in front that wants a password.

use std::process::Stdio;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use orbit_plane::digest::Digest;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use super::image::Image;

/// A registry of this test's own. It ends with it.
pub struct Registry {
    /// `host:port`.
    pub host: String,
    client: reqwest::Client,
    _process: Child,
}

impl Registry {
    /// Starts one, and waits until it says that it listens.
    pub async fn start() -> Self {
        let mut process = Command::new(super::tool("crane"))
            .args(["registry", "serve", "--address", "127.0.0.1:0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("crane is needed for this test (`testbed tools crane`): {error}"));
        let mut said = BufReader::new(process.stderr.take().expect("it is piped")).lines();
        let host = loop {
            let line = said.next_line().await.unwrap().expect("crane says where it listens");
            if let Some((_, port)) = line.rsplit_once("serving on port ") {
                break format!("127.0.0.1:{}", port.trim());
            }
        };
        tokio::spawn(async move { while let Ok(Some(_)) = said.next_line().await {} });
        Self { host, client: reqwest::Client::new(), _process: process }
    }

    /// Pushes an image; its reference.
    pub async fn push(&self, image: &Image, repository: &str, tag: &str) -> String {
        for blob in [&image.layer, &image.config] {
            let url = format!("http://{}/v2/{repository}/blobs/uploads/?digest={}", self.host, Digest::of(blob));
            let pushed = self.client.post(url).body(blob.clone()).send().await.unwrap();
            assert_eq!(pushed.status(), StatusCode::CREATED, "{pushed:?}");
        }
        let url = format!("http://{}/v2/{repository}/manifests/{tag}", self.host);
        let manifest = self.client.put(url).header(header::CONTENT_TYPE, "application/vnd.oci.image.manifest.v1+json");
        let pushed = manifest.body(image.manifest.clone()).send().await.unwrap();
        assert_eq!(pushed.status(), StatusCode::CREATED, "{pushed:?}");
        format!("{}/{repository}:{tag}", self.host)
    }

    /// The same registry at another address, for those who have the password.
    pub async fn behind_password(&self, user: &str, password: &str) -> String {
        let gate = Gate {
            registry: self.host.clone(),
            authorization: format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))),
            client: self.client.clone(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let router = Router::new().fallback(pass).with_state(gate);
        tokio::spawn(async move { axum::serve(listener, router).await });
        host
    }
}

#[derive(Clone)]
struct Gate {
    registry: String,
    authorization: String,
    client: reqwest::Client,
}

async fn pass(State(gate): State<Gate>, request: Request) -> Response {
    let sent = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if sent != Some(&gate.authorization) {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"registry\"")];
        return (StatusCode::UNAUTHORIZED, challenge).into_response();
    }
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let onward = gate.client.request(request.method().clone(), format!("http://{}{path}", gate.registry));
    let answer = match onward.headers(accepted(request.headers())).send().await {
        Ok(answer) => answer,
        Err(error) => return (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    };
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        if name != header::TRANSFER_ENCODING {
            response = response.header(name, value);
        }
    }
    response.body(Body::from_stream(answer.bytes_stream())).unwrap()
}

fn accepted(headers: &HeaderMap) -> HeaderMap {
    headers
        .iter()
        .filter(|(name, _)| *name == header::ACCEPT)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
