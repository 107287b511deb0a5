//! Sees requests and their answers, around a router.

use std::net::IpAddr;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::Response,
};
use http_body_util::BodyExt;
use jiff::Timestamp;

use super::{RequestId, Requests, Seen, Sender, Subject};
use crate::{chart_store::StreamEnd, listener::Client};

/// Names a request, in the answer, in the log and in the journal.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Around every request: has it recorded once it is answered, or its client gone. Nothing waits for that.
pub async fn observe(State(requests): State<Requests>, mut request: Request, next: Next) -> Response {
    let Some(subject) = Subject::of(request.method(), request.uri().path(), request.uri().query()) else {
        return next.run(request).await;
    };
    let id = request.extensions().get::<RequestId>().map(|RequestId(id)| id.clone());
    let id = id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let sender = Sender::default();
    request.extensions_mut().insert(sender.clone());
    let mut pending = Pending {
        requests,
        sender,
        id: id.clone(),
        address: Client::of(request.extensions()),
        method: request.method().clone(),
        subject,
        status: None,
        stream: None,
    };
    let mut response = next.run(request).await;
    pending.status = Some(response.status().as_u16());
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().entry(REQUEST_ID).or_insert(id);
    }
    if !is_event_stream(&response) {
        return response;
    }
    let mut ended = pending.clone();
    ended.stream = Some(StreamEnd::Ended);
    pending.stream = Some(StreamEnd::Opened);
    drop(pending);
    // It is dropped with the body: where the stream ends, whoever ends it.
    response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _ = &ended;
            frame
        }))
    })
}

fn is_event_stream(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("text/event-stream"))
}

/// A request that is seen with its end, whatever that is.
#[derive(Clone)]
struct Pending {
    requests: Requests,
    sender: Sender,
    id: String,
    address: Option<IpAddr>,
    method: Method,
    subject: Subject,
    status: Option<u16>,
    stream: Option<StreamEnd>,
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.requests.saw(Seen {
            request: self.id.clone(),
            at: Timestamp::now(),
            actor: self.sender.name().unwrap_or_default().to_owned(),
            address: self.address,
            method: self.method.clone(),
            subject: self.subject.clone(),
            status: self.status,
            stream: self.stream,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::{
        Extension, Router,
        http::StatusCode,
        middleware,
        response::{IntoResponse, Sse, sse::Event},
        routing::get,
    };
    use futures::stream;
    use tower::ServiceExt;

    use super::*;

    /// A router that answers a few things, and what is recorded of them.
    fn bench() -> (Router, Requests) {
        let requests = Requests::default();
        let named = async |Extension(sender): Extension<Sender>| {
            sender.is("maria");
            sender.is("somebody else");
            StatusCode::FORBIDDEN
        };
        let events = async || Sse::new(stream::iter([Ok::<_, Infallible>(Event::default().data("x"))])).into_response();
        let never = async || std::future::pending::<StatusCode>().await;
        let router = Router::new()
            .route("/api/v1/named", get(named))
            .route("/api/v1/events", get(events))
            .route("/api/v1/never", get(never))
            .layer(middleware::from_fn_with_state(requests.clone(), observe));
        (router, requests)
    }

    fn request(path: &str) -> Request {
        let mut request = Request::get(path).header("authorization", "Bearer hunter2").body(Body::empty()).unwrap();
        request.extensions_mut().insert(Client([192, 0, 2, 7].into()));
        request
    }

    #[tokio::test]
    async fn an_answer_is_recorded_with_who_and_from_where() {
        let (router, requests) = bench();
        let response = router.clone().oneshot(request("/api/v1/named?token=hunter2")).await.unwrap();
        let id = response.headers()[REQUEST_ID].to_str().unwrap().to_owned();
        router.oneshot(request("/index.html")).await.unwrap();
        let seen = requests.gathering().rest();
        let [(actor, seen)] = seen.as_slice() else { panic!("{seen:?}") };
        assert_eq!((actor.as_str(), seen.status, &seen.request), ("maria", Some(403), &id));
        assert_eq!((seen.address.as_deref(), seen.path.as_str()), (Some("192.0.2.7"), "/api/v1/named"));
        assert!(!format!("{seen:?}").contains("hunter2"));
    }

    #[tokio::test]
    async fn a_stream_is_recorded_with_both_its_ends() {
        let (router, requests) = bench();
        let response = router.oneshot(request("/api/v1/events")).await.unwrap();
        assert_eq!(ends(&requests), [Some(StreamEnd::Opened)]);
        drop(response);
        assert_eq!(ends(&requests), [Some(StreamEnd::Ended)]);
    }

    fn ends(requests: &Requests) -> Vec<Option<StreamEnd>> {
        requests.gathering().rest().into_iter().map(|(_, request)| request.stream).collect()
    }

    #[tokio::test]
    async fn a_client_that_goes_away_is_recorded_too() {
        let (router, requests) = bench();
        let answer = router.oneshot(request("/api/v1/never"));
        assert!(tokio::time::timeout(std::time::Duration::from_millis(20), answer).await.is_err());
        let seen = requests.gathering().rest();
        assert_eq!((seen.len(), seen[0].1.status), (1, None));
    }
}
