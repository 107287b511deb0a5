//! How much of a cluster's answers is read.
//!
//! Whoever answers at the address in a kubeconfig may be anybody, and a client collects an answer before it looks at it,
//! and a line of a watch before it is an event. An answer without an end would take all memory of the plane, and with it
//! the deliveries of everybody else.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures::{FutureExt, TryFutureExt, future::BoxFuture};
use hyper::{
    Request, Response, Uri,
    body::{Body, Frame, SizeHint},
};
use tower::{BoxError, Layer, Service};

const MIB: u64 = 1 << 20;

/// Bytes that are read.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Of an answer: lists come in pages, so that it is a few hundred objects at most.
    pub answer: u64,
    /// Of a line of a watch, which is one object.
    pub line: u64,
}

impl Default for Bounds {
    /// 64 MiB and 16 MiB. No API server stores an object of more than 3 MiB, and few store more than 1.5.
    fn default() -> Self {
        Self { answer: 64 * MIB, line: 16 * MIB }
    }
}

impl Bounds {
    /// What holds for the answer to a request.
    fn of(self, uri: &Uri) -> Bound {
        let is_watch = uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"));
        match is_watch {
            true => Bound { most: self.line, read: 0, of: Part::Line },
            false => Bound { most: self.answer, read: 0, of: Part::Answer },
        }
    }
}

/// There is more than is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{of} of more than {most} bytes is not read")]
pub struct TooMuch {
    most: u64,
    of: Part,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Answer,
    Line,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answer => "an answer",
            Self::Line => "an event of a watch",
        })
    }
}

/// How much more is read.
#[derive(Debug)]
struct Bound {
    most: u64,
    /// Bytes of the part so far.
    read: u64,
    of: Part,
}

impl Bound {
    /// These bytes came.
    fn read(&mut self, data: &[u8]) -> Result<(), TooMuch> {
        let is_end = |byte: &u8| *byte == b'\n' && self.of == Part::Line;
        let (first, rest) = match data.iter().position(is_end) {
            // Lines that begin and end within these bytes are not longer than they.
            Some(first) => (first, data.iter().rposition(is_end).map(|last| data.len() - last - 1)),
            None => (data.len(), None),
        };
        self.read = self.read.saturating_add(first as u64);
        let most = self.read;
        if let Some(rest) = rest {
            self.read = rest as u64;
        }
        match most.max(self.read) > self.most {
            true => Err(TooMuch { most: self.most, of: self.of }),
            false => Ok(()),
        }
    }
}

impl<S> Layer<S> for Bounds {
    type Service = Bounded<S>;

    fn layer(&self, inner: S) -> Bounded<S> {
        Bounded { inner, bounds: *self }
    }
}

/// Asks, and reads no more of an answer than is bearable.
#[derive(Debug, Clone)]
pub struct Bounded<S> {
    inner: S,
    bounds: Bounds,
}

impl<S, Q, A> Service<Request<Q>> for Bounded<S>
where
    S: Service<Request<Q>, Response = Response<A>>,
    S::Future: Send + 'static,
{
    type Response = Response<BoundedBody<A>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let bound = self.bounds.of(request.uri());
        self.inner.call(request).map_ok(|answer| answer.map(|inner| BoundedBody { inner, bound })).boxed()
    }
}

/// A body that fails where it becomes too much.
#[derive(Debug)]
pub struct BoundedBody<B> {
    inner: B,
    bound: Bound,
}

impl<B> Body for BoundedBody<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        Poll::Ready(frame.map(|frame| {
            let frame = frame.map_err(Into::into)?;
            if let Some(data) = frame.data_ref() {
                self.bound.read(data)?;
            }
            Ok(frame)
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body as Answer, routing::get};
    use futures::{StreamExt, TryStreamExt, pin_mut, stream};
    use k8s_openapi::api::core::v1::Pod;
    use kube::{Api, Client, api::WatchParams, client::ClientBuilder, core::WatchEvent};
    use tokio::net::TcpListener;

    use super::*;
    use crate::cluster_plane::remote_error::{FailureKind, explain_connection};

    const BOUNDS: Bounds = Bounds { answer: 1 << 16, line: 1 << 12 };

    fn event(name: &str) -> String {
        format!("{{\"type\":\"ADDED\",\"object\":{{\"metadata\":{{\"name\":\"{name}\"}}}}}}\n")
    }

    /// A client for a server that answers whatever it is asked with this.
    async fn ask(answer: fn() -> Answer) -> Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(get(move || async move { answer() }));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let config = kube::Config::new(format!("http://{address}").parse().unwrap());
        ClientBuilder::try_from(config).unwrap().with_layer(&BOUNDS).build()
    }

    fn endless() -> Answer {
        Answer::from_stream(stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 1000]))))
    }

    #[tokio::test]
    async fn an_answer_without_an_end_is_not_read_to_it() {
        let client = ask(endless).await;
        let failure = client.apiserver_version().await.unwrap_err();
        let explained = explain_connection(&failure);
        assert_eq!(explained.kind, FailureKind::ServerFailed);
        assert!(explained.message.contains("an answer of more than 65536 bytes is not read"), "{}", explained.message);
    }

    #[tokio::test]
    async fn an_event_without_an_end_is_not_read_to_it() {
        let client = ask(endless).await;
        let events = Api::<Pod>::default_namespaced(client).watch(&WatchParams::default(), "0").await.unwrap();
        pin_mut!(events);
        let failure = events.try_next().await.expect_err("it never ends");
        assert!(format!("{failure:?}").contains("TooMuch { most: 4096, of: Line }"), "{failure:?}");
    }

    #[tokio::test]
    async fn a_watch_is_as_long_as_it_likes() {
        let client = ask(|| {
            // More than an answer may have, in chunks that end anywhere in a line.
            let all: Vec<u8> = (0..5000).flat_map(|number| event(&format!("pod-{number}")).into_bytes()).collect();
            let chunks: Vec<_> = all.chunks(777).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect();
            Answer::from_stream(stream::iter(chunks))
        })
        .await;
        let events = Api::<Pod>::default_namespaced(client).watch(&WatchParams::default(), "0").await.unwrap();
        pin_mut!(events);
        let mut count = 0;
        while let Some(event) = events.next().await {
            assert!(matches!(event.unwrap(), WatchEvent::Added(_)));
            count += 1;
        }
        assert_eq!(count, 5000);
    }

    #[test]
    fn a_line_counts_from_its_beginning() {
        let mut bound = BOUNDS.of(&Uri::from_static("/api/v1/pods?watch=true&resourceVersion=0"));
        let mut read = |text: String| bound.read(text.as_bytes());
        assert_eq!(read("x".repeat(4000)), Ok(()));
        assert_eq!(read(format!("{}\na\n{}", "x".repeat(96), "x".repeat(4096))), Ok(()));
        assert_eq!(read("\n".into()), Ok(()));
        assert_eq!(read("x".repeat(4096)), Ok(()));
        assert_eq!(read("x\n".into()), Err(TooMuch { most: 4096, of: Part::Line }));
    }
}
