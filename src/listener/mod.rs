//! HTTP on a TCP listener, for clients of any speed and intention.
//!
//! Whatever a client does or leaves undone, it holds a connection for a bounded time and with bounded memory: its
//! headers must come in time, bodies must move in both directions, and there are only so many connections. How much a
//! request may ask for is the routers' own business.

mod client;
mod occupancy;
mod pace;
mod tls;

#[cfg(test)]
mod tests;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, body::Body, extract::Request};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub use self::{
    client::{Client, Network, TrustedProxies},
    pace::Pace,
    tls::{Certificate, CertificateError, Certificates},
};
use self::{
    occupancy::{Occupancy, Occupied},
    pace::{PacedBody, PacedStream},
};

/// Bytes of a connection's read buffer at most: of a request's line and headers, too.
const HEAD: usize = 64 << 10;
/// How long nothing is accepted after the system refused to: it is out of file descriptors or memory.
const OUT_OF_RESOURCES: Duration = Duration::from_secs(1);
/// How often it is told that an address wants more connections than it may have.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// What clients may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; further ones wait in the system's queue.
    pub connections: usize,
    /// Those of one address, unless it is a trusted proxy's; further ones are closed.
    pub of_address: usize,
    /// Whose word is taken for whom they send a request for.
    pub trusted: TrustedProxies,
    /// From a connection's beginning, or the answer before, until all headers of a request are there.
    pub headers: Duration,
    /// Of request bodies while a handler waits for them, and of answers.
    pub pace: Pace,
    /// How long requests under way may take to end once the shutdown has begun.
    pub grace: Duration,
}

impl Default for Limits {
    /// 512 connections, half of them of one address, no proxies, 30 seconds for headers, 1 KiB in 30 seconds, and 20
    /// seconds of grace: less than the 30 that Kubernetes gives a pod.
    fn default() -> Self {
        Self {
            connections: 512,
            of_address: 256,
            trusted: TrustedProxies::default(),
            headers: Duration::from_secs(30),
            pace: Pace { bytes: 1 << 10, within: Duration::from_secs(30) },
            grace: Duration::from_secs(20),
        }
    }
}

/// Serves `app` until `shutdown` resolves. From then on nothing is accepted, idle connections end, and requests under
/// way have [`Limits::grace`]; what is left then is cut off.
///
/// Handlers find the client's address as [`Client`].
///
/// With `certificates` it speaks TLS, and nothing else.
pub async fn serve(
    listener: TcpListener,
    certificates: Option<Certificates>,
    app: Router,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) {
    let free = Arc::new(Semaphore::new(limits.connections));
    let ending = CancellationToken::new();
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    let occupancy = Occupancy::default();
    let mut told: Option<Instant> = None;
    loop {
        let (stream, address, permit) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            // Ended connections are forgotten as they end, not kept until the shutdown.
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &free) => accepted,
        };
        let Some(place) = place(&occupancy, address.ip(), &limits) else {
            if told.is_none_or(|told| told.elapsed() >= TOLD_EVERY) {
                told = Some(Instant::now());
                tracing::warn!(
                    %address,
                    connections = limits.of_address,
                    "an address has as many connections as one may have: others of it are closed. If it is a proxy's, name it in --trusted-proxies"
                );
            }
            continue;
        };
        let (certificates, app, limits, ending) = (certificates.clone(), app.clone(), limits.clone(), ending.clone());
        connections.spawn(async move {
            connection(stream, address, certificates, app, limits, ending).await;
            drop((permit, place));
        });
    }
    drop(listener);
    ending.cancel();
    let ended = timeout(limits.grace, async { while connections.join_next().await.is_some() {} }).await;
    if ended.is_err() {
        tracing::warn!(connections = connections.len(), "requests that did not end in time are cut off");
        connections.shutdown().await;
    }
}

/// The next connection, once there is room for it.
async fn accept(listener: &TcpListener, free: &Arc<Semaphore>) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    loop {
        let permit = free.clone().acquire_owned().await.expect("the semaphore is never closed");
        match listener.accept().await {
            Ok((stream, address)) => return (stream, address, permit),
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted for now");
                sleep(OUT_OF_RESOURCES).await;
            }
        }
    }
}

/// What keeps an address from having all connections; none where it has enough.
fn place(occupancy: &Occupancy, address: IpAddr, limits: &Limits) -> Option<Option<Occupied>> {
    match limits.trusted.has(address.to_canonical()) {
        true => Some(None),
        false => occupancy.take(address, limits.of_address).map(Some),
    }
}

/// Whether a connection was gone before it could be accepted, which says nothing about the next one.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Serves one connection to its end.
async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    certificates: Option<Certificates>,
    app: Router,
    limits: Limits,
    ending: CancellationToken,
) {
    // Answers are small and awaited.
    stream.set_nodelay(true).ok();
    let stream = PacedStream::new(stream, limits.pace);
    let Some(certificates) = certificates else { return requests(stream, address, app, limits, ending).await };
    // Nothing was asked yet that could be answered, so that a shutdown may end it at once.
    let begun = ending.run_until_cancelled(timeout(limits.headers, certificates.accept(stream))).await;
    match begun {
        Some(Ok(Ok(stream))) => requests(stream, address, app, limits, ending).await,
        Some(Ok(Err(error))) => tracing::debug!(%address, %error, "a connection did not come to TLS"),
        Some(Err(_)) => tracing::debug!(%address, "a connection did not come to TLS in time"),
        None => {}
    }
}

/// Answers the requests on one connection.
async fn requests<S>(stream: S, address: SocketAddr, app: Router, limits: Limits, ending: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let Limits { headers, pace, trusted, .. } = limits;
    let app = app.map_request(move |request: Request<Incoming>| {
        let client = trusted.client(address.ip(), request.headers());
        let mut request = request.map(|body| Body::new(PacedBody::new(body, pace)));
        request.extensions_mut().insert(client);
        request
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(headers)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    let mut serving = pin!(serving);
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = ending.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        // Clients come and go; what matters was said by the handlers.
        tracing::debug!(%address, %error, "a connection ended early");
    }
}
