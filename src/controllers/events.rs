//! Events of objects, as `kubectl describe` shows them.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, Recorder, Reporter},
};

use crate::{brief::Brief, digest::Digest};

/// As long as a recorder counts up an event that comes again.
const SERIES: Duration = Duration::from_secs(6 * 60);
/// Series at a time.
const MANY: usize = 1024;

/// Publishes events. A recorder takes all of one object and reason for one that comes again, and shows what the first said;
/// here those come again that say the same, so that each series has a recorder of its own.
pub struct Events {
    client: Client,
    reporter: Reporter,
    series: Brief<Digest, Recorder>,
}

impl Events {
    /// Events by this reporter.
    pub fn new(client: Client, reporter: Reporter) -> Self {
        Self { client, reporter, series: Brief::new(SERIES, MANY) }
    }

    /// Publishes one, or counts it up.
    pub async fn publish(&self, event: &Event, regarding: &ObjectReference) -> kube::Result<()> {
        let series = Digest::of_canonical(&(&regarding.kind, &regarding.uid, &event.reason, &event.note));
        let recorder = self.series.get(&series);
        let recorder = recorder.unwrap_or_else(|| Recorder::new(self.client.clone(), self.reporter.clone()));
        self.series.keep(series, recorder.clone());
        recorder.publish(event, regarding).await
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{Arc, Mutex},
    };

    use axum::http::{Request, Response};
    use http_body_util::BodyExt;
    use kube::{client::Body, runtime::events::EventType};
    use serde_json::Value;

    use super::*;

    #[tokio::test]
    async fn what_says_something_else_is_another_event() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let seen = seen.clone();
            async move {
                let method = request.method().clone();
                let body = request.into_body().collect().await.unwrap().to_bytes();
                let event: Value = serde_json::from_slice(&body).unwrap();
                seen.lock().unwrap().push((method.to_string(), event["note"].as_str().unwrap().to_owned()));
                Ok::<_, Infallible>(Response::new(Body::from(body.to_vec())))
            }
        });
        let reporter = Reporter { controller: "orbit-plane".into(), instance: None };
        let events = Events::new(Client::new(service, "shop"), reporter);
        let regarding = ObjectReference {
            kind: Some("Delivery".into()),
            namespace: Some("shop".into()),
            name: Some("web".into()),
            uid: Some("u".into()),
            ..ObjectReference::default()
        };
        for version in ["1.0.0", "1.1.0", "1.0.0"] {
            let event = Event {
                type_: EventType::Normal,
                reason: "Succeeded".into(),
                note: Some(format!("version {version} is healthy")),
                action: "Reconcile".into(),
                secondary: None,
            };
            events.publish(&event, &regarding).await.unwrap();
        }
        let asked: Vec<_> = asked.lock().unwrap().iter().map(|(method, note)| format!("{method} {note}")).collect();
        let expected =
            ["POST version 1.0.0 is healthy", "POST version 1.1.0 is healthy", "PATCH version 1.0.0 is healthy"];
        assert_eq!(asked, expected);
    }
}
