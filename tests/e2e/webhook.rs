//! An admission webhook that refuses everything, over TLS, as API servers ask for.

use axum::{Json, Router, routing::post};
use base64::{Engine, prelude::BASE64_STANDARD};
use orbit_plane::listener::{self, Certificate, Certificates, Limits};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// It refuses until it is dropped.
pub struct Refusing {
    /// How API servers reach it: `url` and `caBundle`.
    pub client_config: Value,
    server: JoinHandle<()>,
}

impl Refusing {
    /// It says these words to whoever asks.
    pub async fn with(words: &'static str) -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let (pem, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let certificate = Certificate::from_pem(pem.as_bytes(), key.as_bytes()).unwrap();
        let (shown, certificates) = watch::channel(Some(certificate));
        let refuse = move |Json(review): Json<Value>| async move {
            let response = json!({
                "uid": review["request"]["uid"], "allowed": false, "status": {"code": 403, "message": words},
            });
            Json(json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}))
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let app = Router::new().route("/", post(refuse));
            let certificates = Certificates::new(certificates);
            listener::serve(listener, Some(certificates), app, Limits::default(), std::future::pending()).await;
            drop(shown);
        });
        Self { client_config: json!({"url": url, "caBundle": BASE64_STANDARD.encode(pem)}), server }
    }
}

impl Drop for Refusing {
    fn drop(&mut self) {
        self.server.abort();
    }
}
