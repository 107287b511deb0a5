//! The end of an upload: the pieces are read back and must be what was announced.
//!
//! What is hashed is what the store gives back, not what once came by: a piece that a store lost or mangled is found
//! here, while its sender is still there to send it again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, Weak},
};

use futures::TryStreamExt;

use super::{Registry, refusal::Refusal, session::Position};
use crate::{
    chart_store::{ChartStoreError, SessionState, UploadSession},
    digest::{Digest, Hasher},
    image_harbor::HarborError,
};

/// The sessions that are being verified now, so that a sender that asks again (a proxy gave up waiting, say) waits for
/// the first answer instead of having a gigabyte read twice.
#[derive(Debug, Default)]
pub struct Verifications(Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>);

impl Verifications {
    fn gate(&self, id: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut gates = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        gates.retain(|_, gate| gate.strong_count() > 0);
        if let Some(gate) = gates.get(id).and_then(Weak::upgrade) {
            return gate;
        }
        let gate = Arc::default();
        gates.insert(id.to_owned(), Arc::downgrade(&gate));
        gate
    }
}

/// Completes the session `id`, whose bytes are all there; does nothing more to one that is complete.
pub async fn complete(registry: &Registry, id: &str) -> Result<(), Refusal> {
    let gate = registry.verifications().gate(id);
    let _alone = gate.lock().await;
    let session = registry.sessions().session(id).await?.ok_or(Refusal::SessionUnknown)?;
    if session.state == SessionState::Open {
        let _permit = registry.permit_to_verify().await?;
        verify(registry, &session).await?;
        registry.sessions().complete_session(id).await?;
        tracing::info!(repository = session.key.repository(), archive = %session.expected, size = session.size, "an archive arrived");
    }
    registry.wake(session.key).await;
    Ok(())
}

/// Checks the session's bytes; those that are not what was announced are forgotten.
async fn verify(registry: &Registry, session: &UploadSession) -> Result<(), Refusal> {
    if session.offset != session.size {
        return Err(Refusal::Incomplete { size: session.size, at: Position::of(session, session.offset) });
    }
    let refusal = match digest_of_pieces(registry, session).await? {
        Some(actual) if actual == session.expected => return Ok(()),
        Some(actual) => Refusal::ContentWrong { expected: session.expected, actual, at: Position::of(session, 0) },
        None => Refusal::ContentLost { at: Position::of(session, 0) },
    };
    // Another replica may have completed the session meanwhile, and its pieces may be in use or used up.
    match registry.sessions().session(&session.id).await? {
        Some(now) if now.state == SessionState::Complete => return Ok(()),
        None => return Err(Refusal::SessionUnknown),
        Some(_) => {}
    }
    // Bytes first: a session that is full takes no new piece, so none can be discarded with the old ones; and if the
    // plane dies in between, the pieces are found lost when the sender asks again.
    registry.harbor().discard_session(&session.id).await?;
    registry.sessions().reset_session(&session.id).await?;
    Err(refusal)
}

/// The digest of all pieces in order; none if some are not there.
async fn digest_of_pieces(registry: &Registry, session: &UploadSession) -> Result<Option<Digest>, Refusal> {
    match hash_pieces(registry, session).await {
        Ok(digest) => Ok(Some(digest)),
        Err(Unhashed::Harbor(HarborError::NotStaged { .. })) => Ok(None),
        Err(Unhashed::Harbor(error)) => Err(error.into()),
        Err(Unhashed::Sessions(error)) => Err(error.into()),
    }
}

/// Why the pieces could not be hashed.
#[derive(Debug, thiserror::Error)]
enum Unhashed {
    #[error(transparent)]
    Harbor(#[from] HarborError),
    #[error(transparent)]
    Sessions(#[from] ChartStoreError),
}

async fn hash_pieces(registry: &Registry, session: &UploadSession) -> Result<Digest, Unhashed> {
    let mut hasher = Hasher::new();
    for chunk in registry.sessions().session_chunks(&session.id).await? {
        let mut bytes = registry.harbor().read_staged(&session.id, &chunk, None).await?;
        while let Some(frame) = bytes.try_next().await? {
            hasher.update(&frame);
        }
    }
    Ok(hasher.finish())
}
