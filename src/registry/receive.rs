//! Bytes on the way in: from a request's body to durable pieces of the session.

use axum::{body::Body, http::HeaderMap};
use bytes::Bytes;
use futures::stream;

use super::{
    Registry,
    content_range::ContentRange,
    pieces::{End, Pieces},
    refusal::Refusal,
    session::Position,
};
use crate::chart_store::{Advance, UploadSession};

/// Which bytes a request says it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    first: u64,
    /// How many, where the request says so.
    length: Option<u64>,
}

impl Announced {
    /// Reads `Content-Range` and `Content-Length`.
    ///
    /// Without a range the bytes start at 0, as in the single PATCH of a docker client: taking them for the next
    /// ones, whatever these are, would store a repeated request twice.
    pub fn by(headers: &HeaderMap) -> Result<Self, Refusal> {
        let range = match headers.get(axum::http::header::CONTENT_RANGE) {
            Some(value) => Some(value.to_str().unwrap_or("in other characters than ASCII").parse::<ContentRange>()?),
            None => None,
        };
        let content_length = headers
            .get(axum::http::header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok())
            .and_then(|digits| digits.parse().ok());
        Ok(Self { first: range.map_or(0, |r| r.first), length: range.map(|r| r.length()).or(content_length) })
    }

    /// Whether a session of `size` bytes that stands at `at` can take them.
    fn check(&self, size: u64, at: &Position) -> Result<(), Refusal> {
        if self.first != at.offset {
            return Err(Refusal::OutOfOrder { first: self.first, at: at.clone() });
        }
        if self.length.is_some_and(|length| length > size.saturating_sub(at.offset)) {
            return Err(Refusal::TooLong { size, at: at.clone() });
        }
        Ok(())
    }
}

/// Takes a body into a session, piece by piece, and returns where the session stands then.
///
/// Each piece is durable in the Harbor before the session, by compare-and-set on its offset, comes to include it: a
/// request that breaks off keeps what it brought, and of two that race one wins each piece while the other is told
/// where to go on. The loser's piece stays staged, unnamed, until the session's bytes are discarded.
pub async fn receive(
    registry: &Registry,
    session: &UploadSession,
    announced: Announced,
    body: Body,
) -> Result<Position, Refusal> {
    let mut at = Position::of(session, session.offset);
    announced.check(session.size, &at)?;
    let _permit = registry.permit_to_receive().await?;

    let limit = session.size - at.offset;
    let mut carried = 0;
    let mut pieces = Pieces::of(body, registry.limits().pieces.clone());
    loop {
        let piece = pieces.next().await;
        let length = piece.bytes.len() as u64;
        carried += length;
        if let Some(announced) = announced.length.filter(|announced| carried > *announced) {
            return Err(Refusal::LengthWrong { announced, carried, at });
        }
        if carried > limit {
            return Err(Refusal::TooLong { size: session.size, at });
        }
        if length > 0 {
            at = take(registry, session, at, piece.bytes).await?;
        }
        match piece.end {
            None => {}
            Some(End::CutOff) => return Err(Refusal::CutOff { at }),
            Some(End::TooSlow) => return Err(Refusal::TooSlow { at }),
            Some(End::Whole) => {
                return match announced.length {
                    Some(announced) if announced != carried => Err(Refusal::LengthWrong { announced, carried, at }),
                    _ => Ok(at),
                };
            }
        }
    }
}

/// Makes one piece durable and the session's next one.
async fn take(registry: &Registry, session: &UploadSession, at: Position, bytes: Bytes) -> Result<Position, Refusal> {
    let length = bytes.len() as u64;
    let chunk = registry.harbor().stage(&session.id, Box::pin(stream::once(async { Ok(bytes) }))).await?;
    match registry.sessions().advance_session(&session.id, at.offset, chunk).await? {
        Advance::Advanced => {
            let offset = at.offset + length;
            Ok(at.moved_to(offset))
        }
        Advance::OffsetMoved { offset } => Err(Refusal::OutOfOrder { first: at.offset, at: at.moved_to(offset) }),
    }
}
