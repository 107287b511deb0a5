//! What the kubelet and Prometheus ask: `/healthz`, `/readyz`, `/metrics`.

use std::sync::{Arc, OnceLock};

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
#[derive(Debug, Clone, Default)]
pub struct Probes {
    /// Cancelled once every kind has been listed.
    pub started: CancellationToken,
    /// Cancelled when the process is asked to end.
    pub shutdown: CancellationToken,
    /// What is scraped, once there is something to count.
    pub metrics: Arc<OnceLock<Registry>>,
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
    let Some(registry) = probes.metrics.get() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the stores have not been opened yet\n").into_response();
    };
    let mut text = String::new();
    match encode(&mut text, registry) {
        Ok(()) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
