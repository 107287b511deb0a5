//! What the kubelet and Prometheus ask: `/healthz`, `/readyz`, `/metrics`.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::{encoding::text::encode, registry::Registry};
use tokio_util::sync::CancellationToken;

/// The content type of the OpenMetrics text format 1.0.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the answers depend on.
#[derive(Debug, Clone)]
pub struct Probes {
    /// Cancelled once every kind has been listed.
    pub started: CancellationToken,
    /// Cancelled when the process is asked to end.
    pub shutdown: CancellationToken,
    /// What is scraped.
    pub metrics: Arc<Registry>,
}

/// The three routes.
pub fn router(probes: Probes) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(probes)
}

/// A store that is down is no reason to be restarted or replaced: that would not bring it back. Conditions tell of it.
async fn ready(State(probes): State<Probes>) -> (StatusCode, &'static str) {
    if probes.shutdown.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n")
    } else if probes.started.is_cancelled() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the custom resources have not been listed yet\n")
    }
}

async fn metrics(State(probes): State<Probes>) -> Response {
    let mut text = String::new();
    match encode(&mut text, &probes.metrics) {
        Ok(()) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
