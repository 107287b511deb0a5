//! A portal in process, and browsers before it.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, BodyDataStream},
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::{
    api::{SelectionReason, Workload},
    chart_store::{ChartStore, Deployment, DeploymentState, Entry, Fact, SessionState, SqliteTable, UploadSession},
    digest::Digest,
    image_harbor::LocalHarbor,
    listener::Client,
    portal::{
        Parts, Portal, Stores,
        assets::Assets,
        oidc::Provider,
        testing::{FakeCluster, nobodys_client},
    },
    registry::{self, Registry, readers},
    release::{ApplicationKey, ClusterRef, Release},
    requests::Requests,
    settings::StoreSettings,
    viewport::{self, Projector, Viewport},
};

pub const OVERLAYS: &str = "/api/v1/namespaces/shop/objects/environmentoverlays";
pub const OVERLAY: &str = "/api/v1/namespaces/shop/objects/environmentoverlays/web.dev";
pub const UPLOAD_KEY: &str = "an-upload-key";
pub const UPLOAD: &str = "/v2/shop/web/blobs/uploads/0c9e4a2e-6d0f-4c4e-b6d5-1f7d3f1f1a11";

pub struct Bench {
    pub router: Router,
    pub requests: Requests,
    pub viewport: Viewport,
    pub cluster: Arc<FakeCluster>,
    pub charts: ChartStore,
    pub harbor: Arc<LocalHarbor>,
    _completed: mpsc::Receiver<ApplicationKey>,
    _directory: tempfile::TempDir,
}

/// Somebody's browser.
#[derive(Clone, Default)]
pub struct Browser {
    pub cookie: String,
    pub csrf: String,
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}")).to_str().unwrap()
    }
}

impl Bench {
    /// shop/web in two versions, of which prod runs the first in one cluster.
    pub async fn new() -> Self {
        Self::with(None).await
    }

    /// The same, with an identity provider.
    pub async fn with(provider: Option<Provider>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let table = SqliteTable::open(directory.path()).await.unwrap();
        let store = ChartStore::on("orbit", Arc::new(table)).unwrap();
        let mut facts: Vec<Fact> = ["1.0.0", "1.1.0"]
            .map(|version| Fact::Stored {
                release: Release::new("web", version, Vec::new(), [].into(), Workload::default()),
            })
            .into();
        facts.push(Fact::Selected {
            environment: "prod".into(),
            version: "1.0.0".into(),
            chart_digest: Digest::of("chart"),
            reason: SelectionReason::Pinned,
        });
        facts.push(Fact::Deployment(Deployment {
            environment: "prod".into(),
            cluster: ClusterRef::new("fleet", "eu-1", "uid"),
            version: Some("1.0.0".into()),
            artifact: Digest::of("artifact"),
            images: Vec::new(),
            state: DeploymentState::Healthy,
            inventory: None,
            detail: None,
            attempt: 0,
            replaces: None,
        }));
        for (actor, fact) in ["maria", "jonas", "jonas", "orbit-plane"].into_iter().zip(facts) {
            let entry = Entry { actor: actor.into(), fact, spec: None, chart_package: None };
            store.record(&ApplicationKey::new("shop", "web"), entry).await.unwrap();
        }
        let archive = UploadSession {
            id: UPLOAD.rsplit('/').next().unwrap().into(),
            key: ApplicationKey::new("shop", "web"),
            expected: Digest::of("hello"),
            size: 5,
            key_hash: Digest::of(UPLOAD_KEY),
            offset: 0,
            state: SessionState::Open,
            expires_at: jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1),
        };
        store.open_session(&archive).await.unwrap();
        let settings = StoreSettings { data_dir: Some(directory.path().to_owned()), ..StoreSettings::default() };
        let viewport = viewport::open(&settings).unwrap();
        Projector::new(store.clone(), viewport.clone()).catch_up().await.unwrap();
        let harbor = Arc::new(LocalHarbor::open(directory.path()).await.unwrap());
        let (sender, completed) = mpsc::channel(16);
        let readers = Arc::new(readers::testing::Cluster::default()).readers();
        let stores =
            Stores { charts: store.clone(), harbor: harbor.clone(), renderer: None, kube_version: "1.36.0".into() };
        let registry = Registry::new(harbor.clone(), store.clone(), sender, readers, None, registry::Limits::default());
        let cluster = Arc::new(FakeCluster::default());
        let requests = Requests::default();
        let portal = Portal::new(Parts {
            viewport: viewport.clone(),
            stores,
            cluster: cluster.clone(),
            plane: nobodys_client(),
            namespace: Some("shop".into()),
            secure: true,
            provider,
            requests: requests.clone(),
            assets: Assets::of([("index.html", b"__ORBIT_NONCE__".as_slice())]),
            shutdown: CancellationToken::new(),
        });
        Self {
            router: portal.router(registry),
            requests,
            charts: store,
            viewport,
            cluster,
            harbor,
            _completed: completed,
            _directory: directory,
        }
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let mut request = request;
        request.extensions_mut().insert(Client([192, 0, 2, 1].into()));
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = axum::body::to_bytes(body, 1 << 25).await.unwrap();
        let answer =
            Answer { status: parts.status, headers: parts.headers, text: String::from_utf8_lossy(&bytes).into_owned() };
        for name in ["x-request-id", "content-security-policy", "cross-origin-opener-policy"] {
            assert!(answer.headers.contains_key(name), "{name}: {answer:?}");
        }
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        answer
    }

    pub async fn sign_in(&self, token: &str) -> Browser {
        let answer = self.send(signing_in(token, &Browser::default())).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        browser(&answer)
    }

    pub async fn get(&self, browser: &Browser, path: &str) -> Answer {
        self.send(browser.request(&Method::GET, path).body(Body::empty()).unwrap()).await
    }

    /// The answer and its body, which may never end.
    pub async fn open(&self, browser: &Browser, path: &str, since: Option<&str>) -> (StatusCode, Stream) {
        let request = browser.request(&Method::GET, path);
        let request = since.into_iter().fold(request, |request, id| request.header("last-event-id", id));
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(Client([192, 0, 2, 1].into()));
        let answer = self.router.clone().oneshot(request).await.unwrap();
        (answer.status(), Stream { body: answer.into_body().into_data_stream(), read: String::new() })
    }

    /// Headers and body, as bytes.
    pub async fn get_bytes(&self, browser: &Browser, path: &str) -> (HeaderMap, Vec<u8>) {
        let mut request = browser.request(&Method::GET, path).body(Body::empty()).unwrap();
        request.extensions_mut().insert(Client([192, 0, 2, 1].into()));
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        (parts.headers, axum::body::to_bytes(body, 1 << 22).await.unwrap().into())
    }

    pub async fn write(
        &self,
        browser: &Browser,
        method: &Method,
        path: &str,
        tag: Option<&str>,
        body: &Value,
    ) -> Answer {
        let request = browser.request(method, path).header(header::CONTENT_TYPE, "application/json");
        let request = match tag {
            Some(tag) => request.header(header::IF_MATCH, tag),
            None => request,
        };
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }
}

/// Server-sent events.
pub struct Stream {
    body: BodyDataStream,
    read: String,
}

impl Stream {
    /// The next message that says something: which event, its id and its data; none where the stream ends.
    pub async fn next(&mut self) -> Option<(String, String, Value)> {
        let next = async {
            loop {
                while let Some((message, rest)) = self.read.split_once("\n\n") {
                    let (message, rest) = (message.to_owned(), rest.to_owned());
                    self.read = rest;
                    let field = |name: &str| {
                        message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::to_owned)
                    };
                    if let Some(data) = field("data") {
                        let (event, id) = (field("event").unwrap_or_default(), field("id").unwrap_or_default());
                        return Some((event, id, serde_json::from_str(&data).unwrap()));
                    }
                }
                let bytes = self.body.next().await?.unwrap();
                self.read += std::str::from_utf8(&bytes).unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(20), next).await.expect("something is said in time")
    }
}

pub fn signing_in(token: &str, browser: &Browser) -> Request<Body> {
    let request = Request::post("/api/v1/session").header(header::CONTENT_TYPE, "application/json");
    let request = request.header(header::COOKIE, &browser.cookie).header("sec-fetch-site", "same-origin");
    request.body(Body::from(json!({"token": token}).to_string())).unwrap()
}

pub fn browser(answer: &Answer) -> Browser {
    let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
    Browser { cookie, csrf: answer.json()["csrfToken"].as_str().unwrap().to_owned() }
}

impl Browser {
    pub fn request(&self, method: &Method, path: &str) -> axum::http::request::Builder {
        let request = Request::builder().method(method).uri(path);
        request.header(header::COOKIE, &self.cookie).header("x-orbit-csrf", &self.csrf)
    }
}

pub fn overlay(replicas: u32) -> Value {
    json!({"metadata": {"name": "web.dev"}, "spec": {"application": "web", "values": {"replicas": replicas}}})
}
