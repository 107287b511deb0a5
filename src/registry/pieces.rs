//! Cuts a request's body into pieces that are made durable one by one.
//!
//! A piece ends when it is full, when the body ends or breaks off, or when it has been waited for long enough: so
//! whatever way a request ends, what came of it counts, and a connection slower than any timeout still gets through.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::{Buf, Bytes, BytesMut};
use futures::StreamExt;
use tokio::time::{Instant, timeout_at};

/// How large pieces are and how slowly they may come.
#[derive(Debug, Clone)]
pub struct PieceLimits {
    /// Bytes of a full piece: the memory that one request takes.
    pub size: usize,
    /// How long a piece is waited for before what came of it is made durable.
    pub window: Duration,
    /// Bytes that must come in a window; fewer end the request.
    pub minimum: usize,
}

impl Default for PieceLimits {
    /// 8 MiB; a window of 20 seconds with at least 16 KiB.
    fn default() -> Self {
        Self { size: 8 << 20, window: Duration::from_secs(20), minimum: 16 << 10 }
    }
}

/// A piece of the body, and how the body ended if it did.
#[derive(Debug)]
pub struct Piece {
    /// Its bytes; none only if the body ended.
    pub bytes: Bytes,
    /// How the body ended; none if there is more.
    pub end: Option<End>,
}

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As its sender meant it to.
    Whole,
    /// The connection broke, or what came is no HTTP.
    CutOff,
    /// Too few bytes came in a window.
    TooSlow,
}

/// A body being cut.
pub struct Pieces {
    body: BodyDataStream,
    limits: PieceLimits,
    /// What came in one frame with the end of the last piece.
    rest: Bytes,
}

impl Pieces {
    /// The pieces of `body`.
    pub fn of(body: Body, limits: PieceLimits) -> Self {
        Self { body: body.into_data_stream(), limits, rest: Bytes::new() }
    }

    /// The next piece. Not to be called after one with an end.
    ///
    /// Bytes are copied out of the frames they come in: a body of one-byte frames would otherwise hold a buffer each.
    pub async fn next(&mut self) -> Piece {
        let until = Instant::now() + self.limits.window;
        let mut piece = BytesMut::new();
        let end = loop {
            let room = self.limits.size - piece.len();
            let taken = room.min(self.rest.len());
            piece.extend_from_slice(&self.rest[..taken]);
            self.rest.advance(taken);
            if piece.len() == self.limits.size {
                break None;
            }
            match timeout_at(until, self.body.next()).await {
                Ok(Some(Ok(frame))) => self.rest = frame,
                Ok(Some(Err(_))) => break Some(End::CutOff),
                Ok(None) => break Some(End::Whole),
                Err(_) if piece.len() < self.limits.minimum => break Some(End::TooSlow),
                Err(_) => break None,
            }
        };
        Piece { bytes: piece.freeze(), end }
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, Stream, stream};

    use super::*;

    fn pieces(
        size: usize,
        frames: impl Stream<Item = Result<&'static [u8], std::io::Error>> + Send + 'static,
    ) -> Pieces {
        let limits = PieceLimits { size, window: Duration::from_millis(50), minimum: 2 };
        Pieces::of(Body::from_stream(frames.map(|frame| frame.map(Bytes::from_static))), limits)
    }

    async fn all(mut pieces: Pieces) -> (Vec<Bytes>, End) {
        let mut seen = Vec::new();
        loop {
            let piece = pieces.next().await;
            seen.push(piece.bytes);
            if let Some(end) = piece.end {
                return (seen, end);
            }
        }
    }

    #[tokio::test]
    async fn cuts_frames_of_any_size_into_full_pieces() {
        let frames = [b"ab".as_slice(), b"", b"cdefghij", b"k"].map(Ok);
        let (seen, end) = all(pieces(4, stream::iter(frames))).await;
        assert_eq!(seen, ["abcd", "efgh", "ijk"]);
        assert_eq!(end, End::Whole);
    }

    #[tokio::test]
    async fn a_body_of_full_pieces_ends_with_an_empty_one() {
        let (seen, end) = all(pieces(4, stream::iter([Ok(b"abcd".as_slice())]))).await;
        assert_eq!(seen, ["abcd", ""]);
        assert_eq!(end, End::Whole);
    }

    #[tokio::test]
    async fn what_came_before_a_cut_is_a_piece() {
        let cut = Err(std::io::Error::other("connection reset"));
        let (seen, end) = all(pieces(4, stream::iter([Ok(b"abcdef".as_slice()), cut]))).await;
        assert_eq!(seen, ["abcd", "ef"]);
        assert_eq!(end, End::CutOff);
    }

    #[tokio::test]
    async fn a_silent_sender_is_too_slow_and_what_it_sent_is_a_piece() {
        let frames = stream::iter([Ok(b"a".as_slice())]).chain(stream::pending());
        let (seen, end) = all(pieces(4, frames)).await;
        assert_eq!(seen, ["a"]);
        assert_eq!(end, End::TooSlow);
    }

    #[tokio::test]
    async fn a_slow_sender_gets_through_in_smaller_pieces() {
        let (first_is_cut, wait) = tokio::sync::oneshot::channel::<()>();
        let later = stream::once(async { Ok(b"efgh".as_slice()) }.boxed()).boxed();
        let frames = stream::iter([Ok(b"ab".as_slice()), Ok(b"cd")])
            .chain(stream::once(wait).filter_map(|_| async { None }))
            .chain(later);
        let mut pieces = pieces(100, Box::pin(frames));
        let first = pieces.next().await;
        assert_eq!((first.bytes.as_ref(), first.end), (b"abcd".as_slice(), None));
        first_is_cut.send(()).unwrap();
        let (seen, end) = all(pieces).await;
        assert_eq!(seen, ["efgh"]);
        assert_eq!(end, End::Whole);
    }
}
