//! How fast bytes have to move, and what holds them to it.
//!
//! A limit on the time between two bytes would let a client keep a connection for ever at a byte a minute; one on the
//! whole would cut off large transfers over slow lines. So a number of bytes has to pass in a time, again and again.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};

/// How slowly bytes may move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// So many bytes...
    pub bytes: usize,
    /// ...may be waited for so long in all. Time in which nobody waits for them does not count.
    pub within: Duration,
}

/// They moved more slowly than that.
#[derive(Debug, thiserror::Error)]
#[error("fewer than {} bytes moved in {} s", .0.bytes, .0.within.as_secs_f32())]
pub struct TooSlow(Pace);

impl From<TooSlow> for io::Error {
    fn from(error: TooSlow) -> Self {
        Self::new(io::ErrorKind::TimedOut, error)
    }
}

/// Holds one direction to its pace.
struct Pacer {
    pace: Pace,
    moved: usize,
    waited: Duration,
    waiting_since: Option<Instant>,
    alarm: Pin<Box<Sleep>>,
}

impl Pacer {
    fn new(pace: Pace) -> Self {
        let alarm = Box::pin(sleep(pace.within));
        Self { pace, moved: 0, waited: Duration::ZERO, waiting_since: None, alarm }
    }

    /// Passes on what a poll gave, of which `count` says how many bytes it moved; or ends the waiting for it.
    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<T>,
        count: impl FnOnce(&T) -> usize,
    ) -> Poll<Result<T, TooSlow>> {
        let Poll::Ready(given) = polled else {
            if self.waiting_since.is_none() {
                let now = Instant::now();
                self.waiting_since = Some(now);
                self.alarm.as_mut().reset(now + self.pace.within.saturating_sub(self.waited));
            }
            ready!(self.alarm.as_mut().poll(context));
            return Poll::Ready(Err(TooSlow(self.pace)));
        };
        self.waited += self.waiting_since.take().map_or(Duration::ZERO, |since| since.elapsed());
        self.moved = self.moved.saturating_add(count(&given));
        if self.moved >= self.pace.bytes {
            (self.moved, self.waited) = (0, Duration::ZERO);
        }
        Poll::Ready(Ok(given))
    }
}

/// A request's body that has to keep the pace while it is read.
pub(super) struct PacedBody {
    body: Incoming,
    pacer: Pacer,
}

impl PacedBody {
    pub(super) fn new(body: Incoming, pace: Pace) -> Self {
        Self { body, pacer: Pacer::new(pace) }
    }
}

impl Body for PacedBody {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let bytes = |frame: &Option<Result<Frame<Bytes>, _>>| match frame {
            Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len),
            _ => 0,
        };
        match ready!(self.pacer.watch(context, polled, bytes)) {
            Ok(frame) => Poll::Ready(frame.map(|frame| frame.map_err(Into::into))),
            Err(too_slow) => Poll::Ready(Some(Err(too_slow.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection whose peer has to keep the pace in taking what is written.
pub(super) struct PacedStream {
    stream: TcpStream,
    pacer: Pacer,
}

impl PacedStream {
    pub(super) fn new(stream: TcpStream, pace: Pace) -> Self {
        Self { stream, pacer: Pacer::new(pace) }
    }

    fn watch(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let bytes = |written: &io::Result<usize>| written.as_ref().copied().unwrap_or_default();
        self.pacer.watch(context, written, bytes).map(|watched| watched?)
    }
}

impl AsyncRead for PacedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Reading is waiting for the next request most of the time. The headers' limit and the bodies' pace see to it.
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for PacedStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
