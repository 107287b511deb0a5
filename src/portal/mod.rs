//! The plane's own HTTP API, and the application that people use it with.
//!
//! # The portal
//!
//! [`v1`] is the API, served with the application on an address of its own ([`Portal`]). Whoever uses it is signed in
//! ([`sessions`]): with a Kubernetes token, which is passed on to the API server with all that is done, or with an
//! identity provider ([`oidc`]), whose word is taken for who it is; the plane then acts as that user. Kubernetes RBAC
//! alone decides what somebody may: what is an object is asked of the API server as the user, and what the Viewport
//! holds is for those who may get the objects that it is the history of ([`access`]).
//!
//! Whatever changes something needs the session's token in a header ([`csrf`]); every answer tells browsers what never to
//! do ([`frame`]); nobody may ask without end ([`pace`]). [`openapi`] documents it: the document and the router are made
//! of one list ([`routes`]).
//!
//! Programs send a Kubernetes token with each request instead of signing in; `orbit lifecycle` and `orbit diff` do. They
//! find the API on the registry's address, too, which the plane announces in its cluster ([`Portal::api`]).
//!
//! Lists take `limit` (1 to 200, else 50) and `continue`, and answer `{items, continue}`. Refusals are problem details
//! (RFC 9457).

mod access;
pub mod assets;
pub mod authority;
mod by_digest;
mod conflict;
mod csrf;
mod extract;
mod frame;
pub mod oidc;
mod pace;
mod problem;
mod routes;
mod sessions;
mod sign_in;
mod turns;
mod v1;
mod visitor;

#[cfg(test)]
mod testing;

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::DefaultBodyLimit,
    http::header,
    middleware,
    routing::{any, get},
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub use self::v1::ROOT;
use self::{
    access::Access,
    assets::Assets,
    authority::Cluster,
    oidc::Provider,
    pace::{Buckets, Rate},
    problem::Problem,
    sessions::{Cookie, Sessions},
    turns::Turns,
    v1::Way,
};
use crate::{
    brief::Brief,
    chart_store::ChartStore,
    comparison::Sources,
    digest::Digest,
    guesses::Guesses,
    image_harbor::ImageHarbor,
    overlay::renderer::Renderer,
    registry::Registry,
    release::ApplicationKey,
    requests::{self, Requests},
    viewport::Viewport,
};

/// Requests of one session: a page of the portal takes some dozen at once.
const OF_SESSION: Rate = Rate { burst: 200, every: Duration::from_millis(25) };
/// Requests without a session from one address: the application's files, and signing in.
const OF_STRANGER: Rate = Rate { burst: 200, every: Duration::from_millis(50) };

/// How long the answer stands in which namespaces somebody may see anything: it takes a question for each.
const NAMESPACES_FRESH: Duration = Duration::from_secs(10);
/// Such answers that are remembered.
const MAX_NAMESPACES: usize = 1024;

/// What a portal is made of.
pub struct Parts {
    /// The plane's history.
    pub viewport: Viewport,
    /// Where charts and overlays are, for comparing them.
    pub stores: Stores,
    /// Whose users sign in.
    pub cluster: Arc<dyn Cluster>,
    /// The API server as the plane asks it, for the names of namespaces.
    pub plane: kube::Client,
    /// The namespace that the plane is kept to.
    pub namespace: Option<String>,
    /// Whether browsers reach it by HTTPS.
    pub secure: bool,
    /// Whom people sign in with, besides with tokens.
    pub provider: Option<Provider>,
    /// The application's files.
    pub assets: Assets,
    /// Where requests go that are to be recorded.
    pub requests: Requests,
    /// Ends event streams, which never end by themselves.
    pub shutdown: CancellationToken,
}

/// What is shown and compared, and with what.
pub struct Stores {
    /// Releases and their charts.
    pub charts: ChartStore,
    /// Their bytes.
    pub harbor: Arc<dyn ImageHarbor>,
    /// What renders charts; without it their files are compared.
    pub renderer: Option<Arc<Renderer>>,
    /// The Kubernetes version that they are rendered for.
    pub kube_version: String,
}

/// The portal. Cheap to clone.
#[derive(Clone)]
pub struct Portal(Arc<Inner>);

struct Inner {
    parts: Parts,
    sessions: Sessions,
    access: Access,
    namespaces: Brief<Digest, Vec<String>>,
    turns: Turns,
    guesses: Guesses,
    pace_of_sessions: Buckets<Digest>,
    pace_of_strangers: Buckets<IpAddr>,
}

impl Portal {
    /// A portal in which nobody is signed in yet.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner {
            parts,
            sessions: Sessions::default(),
            access: Access::default(),
            namespaces: Brief::new(NAMESPACES_FRESH, MAX_NAMESPACES),
            turns: Turns::default(),
            guesses: Guesses::default(),
            pace_of_sessions: Buckets::new(OF_SESSION),
            pace_of_strangers: Buckets::new(OF_STRANGER),
        }))
    }

    fn viewport(&self) -> &Viewport {
        &self.0.parts.viewport
    }

    /// What there is of an application to be compared.
    fn sources(&self, key: ApplicationKey) -> Sources {
        let Stores { charts, harbor, renderer, kube_version } = &self.0.parts.stores;
        Sources::new(charts.clone(), harbor.clone(), key, renderer.clone(), kube_version.clone())
    }

    /// What is stored.
    fn stores(&self) -> &Stores {
        &self.0.parts.stores
    }

    fn cluster(&self) -> &dyn Cluster {
        self.0.parts.cluster.as_ref()
    }

    fn plane(&self) -> &kube::Client {
        &self.0.parts.plane
    }

    fn namespace(&self) -> Option<&str> {
        self.0.parts.namespace.as_deref()
    }

    fn cookie(&self) -> Cookie {
        Cookie { secure: self.0.parts.secure }
    }

    fn assets(&self) -> &Assets {
        &self.0.parts.assets
    }

    fn shutdown(&self) -> &CancellationToken {
        &self.0.parts.shutdown
    }

    fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    fn access(&self) -> &Access {
        &self.0.access
    }

    fn namespaces(&self) -> &Brief<Digest, Vec<String>> {
        &self.0.namespaces
    }

    fn turns(&self) -> &Turns {
        &self.0.turns
    }

    fn guesses(&self) -> &Guesses {
        &self.0.guesses
    }

    fn pace_of_sessions(&self) -> &Buckets<Digest> {
        &self.0.pace_of_sessions
    }

    fn pace_of_strangers(&self) -> &Buckets<IpAddr> {
        &self.0.pace_of_strangers
    }

    fn provider(&self) -> Option<&Provider> {
        self.0.parts.provider.as_ref()
    }

    /// The ways to sign in, the preferred one first.
    fn ways(&self) -> Vec<Way> {
        let provider = self.provider().map(|provider| Way::of(provider.settings(), oidc::START));
        provider.into_iter().chain([Way::Token]).collect()
    }

    /// All that is served on the portal's address. Bytes of archives are taken as the registry takes them, from whoever
    /// is signed in and has the upload's key.
    pub fn router(&self, registry: Registry) -> Router {
        let signed_in = middleware::from_fn_with_state(self.clone(), visitor::signed_in);
        let uploads = crate::registry::uploads(registry).layer(signed_in);
        let application = Router::new()
            .route(oidc::START, get(oidc::start))
            .route(oidc::CALLBACK, get(oidc::callback))
            .fallback(assets::serve);
        self.serve(self.routes().merge(uploads).merge(application))
    }

    /// The API alone, for the registry's address.
    pub fn api(&self) -> Router {
        self.serve(self.routes())
    }

    fn routes(&self) -> Router<Self> {
        let signed_in = middleware::from_fn_with_state(self.clone(), visitor::signed_in_or_bearer);
        let open = v1::open().router().layer(middleware::from_fn(visitor::meant));
        let api = v1::signed_in(routes::Routes::default())
            .router()
            .route(&format!("{}/{{*rest}}", v1::ROOT), any(v1::nothing))
            .method_not_allowed_fallback(v1::not_allowed)
            .layer(DefaultBodyLimit::max(extract::MAX_BODY))
            .layer(signed_in);
        // Made once: whoever asks for it need not be signed in.
        let document = Bytes::from(openapi().to_string());
        let document = get(async move || ([(header::CONTENT_TYPE, "application/json")], document.clone()));
        open.merge(api).route(&format!("{}/openapi.json", v1::ROOT), document)
    }

    fn serve(&self, routes: Router<Self>) -> Router {
        routes
            .layer(middleware::from_fn_with_state(self.clone(), visitor::at_a_pace))
            .layer(middleware::from_fn_with_state(self.0.parts.requests.clone(), requests::observe))
            .layer(middleware::from_fn_with_state(self.clone(), frame::around))
            .with_state(self.clone())
    }
}

/// The OpenAPI document of the API.
pub fn openapi() -> Value {
    v1::signed_in(v1::open()).openapi(|generator| generator.subschema_for::<Problem>().to_value())
}
