//! The plane's own HTTP API; for now what the Viewport answers, read only.
//!
//! | request, below `/api/v1alpha1/namespaces/{namespace}` | answer |
//! | --- | --- |
//! | `GET /applications/{application}/lifecycle?version=` | [`Lifecycle`](crate::viewport::Lifecycle), its events in pages |
//! | `GET /images/{digest}` | where the image is now: a page of [`Place`](crate::viewport::Place) |
//! | `GET /images/{digest}/releases` | a page of [`Holder`](crate::viewport::Holder) |
//! | `GET /images/{digest}/deployments?ever=` | which clusters run it: a page of [`Deployment`](crate::viewport::Deployment) |
//! | `GET /clusters?uid=&ever=` | what runs in which cluster: a page of the same, cluster by cluster |
//! | `GET /clusters/{clusterNamespace}/{cluster}?uid=&ever=` | the same of one cluster; of all that had the name, without `uid` |
//! | `GET /environments/{environment}` | what runs there: a page of [`Environment`](crate::viewport::Environment) |
//! | `GET /uploads?user=` | a page of [`Upload`](crate::viewport::Upload), the newest first |
//!
//! With `ever=true` what was is told beside what is: of clusters that are gone too.
//!
//! Lists take `limit` (1 to 200, else 50) and `continue`, and answer `{items, continue}`. Refusals are problem details
//! (RFC 9457): 400 for what cannot be understood, 403 from elsewhere, 404 for an application that has no history, 503
//! while the Viewport is down.
//!
//! There are no credentials yet. So only requests from the plane's own machine to a loopback address are answered: what
//! `kubectl port-forward` brings is, what a browser was lured into sending under another name is not. A server has to
//! give the peer's address with each request (`into_make_service_with_connect_info::<SocketAddr>()`).

mod loopback;
mod problem;
mod reads;

#[cfg(test)]
mod tests;

use axum::{Router, middleware, routing::get};

use self::problem::Problem;
use crate::viewport::Viewport;

/// Where the API begins.
pub const ROOT: &str = "/api/v1alpha1";

/// The routes below [`ROOT`].
pub fn router(viewport: Viewport) -> Router {
    let of_namespace = Router::new()
        .route("/applications/{application}/lifecycle", get(reads::lifecycle))
        .route("/images/{digest}", get(reads::image_places))
        .route("/images/{digest}/releases", get(reads::image_holders))
        .route("/images/{digest}/deployments", get(reads::image_deployments))
        .route("/clusters", get(reads::clusters))
        .route("/clusters/{cluster_namespace}/{cluster}", get(reads::cluster))
        .route("/environments/{environment}", get(reads::environment))
        .route("/uploads", get(reads::uploads))
        .method_not_allowed_fallback(async || Problem::read_only());
    Router::new()
        .nest(&format!("{ROOT}/namespaces/{{namespace}}"), of_namespace)
        .route(&format!("{ROOT}/{{*rest}}"), get(async || Problem::no_such_resource()))
        .layer(middleware::from_fn(loopback::only))
        .with_state(viewport)
}
