//! Upload sessions: how far the bytes of an archive have come, and the pieces they came in.
//!
//! The pieces themselves are staged in the Harbor. Here is what makes them an upload: an offset that moves by
//! compare-and-set, together with the piece that moved it, so that of two writers at one offset one wins and the
//! other learns where the session stands.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    ChartStore, ChartStoreError,
    store::{decode, encode},
    table::{Condition, Item, MAX_WRITES, TableError, Write},
};
use crate::{digest::Digest, image_harbor::StagedChunk, release::ApplicationKey};

/// How often a session is written while others change it.
const ATTEMPTS: u32 = 8;

/// An upload that is under way, or complete and not yet taken in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UploadSession {
    /// Its id, as in URLs and in the Harbor's staging area.
    pub id: String,
    /// Whose it is.
    #[serde(flatten)]
    pub key: ApplicationKey,
    /// What the bytes must hash to.
    pub expected: Digest,
    /// How many bytes there must be.
    pub size: u64,
    /// sha256 of the key that authorises sending them.
    pub key_hash: Digest,
    /// How many bytes are durable.
    pub offset: u64,
    /// How far it is.
    pub state: SessionState,
    /// From then on it may be forgotten.
    pub expires_at: Timestamp,
}

/// How far a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionState {
    /// Bytes may come.
    Open,
    /// All bytes are there and are what was announced.
    Complete,
}

/// What became of an advance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advance {
    /// The piece is the session's next one.
    Advanced,
    /// Somebody else was faster.
    OffsetMoved {
        /// Where the session stands.
        offset: u64,
    },
}

/// A session as it is stored. Starting over begins a new epoch: pieces of an earlier one no longer count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StoredSession {
    #[serde(flatten)]
    session: UploadSession,
    epoch: u64,
}

impl ChartStore {
    /// Opens a session, or gives the one that is open already. Of that, only the key may be replaced.
    pub async fn open_session(&self, wanted: &UploadSession) -> Result<UploadSession, ChartStoreError> {
        for _ in 0..ATTEMPTS {
            let at = self.layout.session(&wanted.id);
            let stored = self.read::<StoredSession>(&at).await?;
            let (next, writes) = match stored {
                None => {
                    let session = UploadSession { offset: 0, state: SessionState::Open, ..wanted.clone() };
                    let stored = StoredSession { session: session.clone(), epoch: 0 };
                    let expiry = self.layout.expiry(session.expires_at, &session.id);
                    let writes = vec![
                        Write::put(at, encode(&stored), Condition::Absent),
                        Write::put(expiry, encode(&session.id), Condition::Any),
                    ];
                    (session, writes)
                }
                Some((stored, item)) => {
                    let unchanged = stored.session.key_hash == wanted.key_hash;
                    if unchanged || stored.session.state == SessionState::Complete {
                        return Ok(stored.session);
                    }
                    let session = UploadSession { key_hash: wanted.key_hash, ..stored.session };
                    let next = StoredSession { session: session.clone(), epoch: stored.epoch };
                    (session, vec![Write::put(at, encode(&next), Condition::unchanged(Some(&item)))])
                }
            };
            match self.commit("upload session", &writes).await {
                Ok(()) => return Ok(next),
                Err(TableError::ConditionFailed { .. }) => continue,
                Err(error) => return Err(error.into()),
            }
        }
        Err(contended(&wanted.id))
    }

    /// The session of this id.
    pub async fn session(&self, id: &str) -> Result<Option<UploadSession>, ChartStoreError> {
        Ok(self.stored_session(id).await?.map(|(stored, _)| stored.session))
    }

    /// Makes a staged piece the one at `from`, if the session is open and still stands there.
    pub async fn advance_session(&self, id: &str, from: u64, chunk: StagedChunk) -> Result<Advance, ChartStoreError> {
        for _ in 0..ATTEMPTS {
            let (stored, item) = self.stored_session(id).await?.ok_or_else(|| unknown(id))?;
            let session = &stored.session;
            if session.offset != from || session.state != SessionState::Open {
                return Ok(Advance::OffsetMoved { offset: session.offset });
            }
            let offset = from.checked_add(chunk.size).filter(|offset| *offset <= session.size).ok_or_else(|| {
                ChartStoreError::TooLarge(format!(
                    "the upload session {id} was announced with {} bytes, and more came",
                    session.size
                ))
            })?;
            let at = self.layout.chunk(id, stored.epoch, from);
            let next = StoredSession { session: UploadSession { offset, ..session.clone() }, epoch: stored.epoch };
            let writes = [
                Write::put(self.layout.session(id), encode(&next), Condition::unchanged(Some(&item))),
                Write::put(at, encode(&chunk), Condition::Any),
            ];
            match self.commit("upload session", &writes).await {
                Ok(()) => return Ok(Advance::Advanced),
                Err(TableError::ConditionFailed { .. }) => continue,
                Err(error) => return Err(error.into()),
            }
        }
        Err(contended(id))
    }

    /// The pieces that make up what is durable, in order.
    pub async fn session_chunks(&self, id: &str) -> Result<Vec<StagedChunk>, ChartStoreError> {
        let (stored, _) = self.stored_session(id).await?.ok_or_else(|| unknown(id))?;
        self.all(self.layout.chunks(id, Some(stored.epoch))).await?.iter().map(decode).collect()
    }

    /// Starts over: what came was not what was announced. A complete session stays as it is.
    pub async fn reset_session(&self, id: &str) -> Result<(), ChartStoreError> {
        self.change_session(id, |stored| {
            if stored.session.state == SessionState::Complete {
                return Ok(stored);
            }
            let session = UploadSession { offset: 0, state: SessionState::Open, ..stored.session };
            Ok(StoredSession { session, epoch: stored.epoch + 1 })
        })
        .await
    }

    /// All bytes are there and are what was announced.
    pub async fn complete_session(&self, id: &str) -> Result<(), ChartStoreError> {
        self.change_session(id, |stored| {
            let UploadSession { offset, size, .. } = stored.session;
            if offset != size {
                return Err(ChartStoreError::SessionIncomplete { id: id.to_owned(), offset, size });
            }
            let session = UploadSession { state: SessionState::Complete, ..stored.session };
            Ok(StoredSession { session, ..stored })
        })
        .await
    }

    /// Forgets a session and its pieces' names; that there is none is no error. The pieces are the Harbor's to discard.
    pub async fn delete_session(&self, id: &str) -> Result<(), ChartStoreError> {
        let Some((stored, _)) = self.stored_session(id).await? else { return Ok(()) };
        let chunks = self.all(self.layout.chunks(id, None)).await?;
        let delete = |item: &Item| Write::delete(item.key.clone(), Condition::Any);
        for batch in chunks.chunks(MAX_WRITES) {
            self.commit("upload session", &batch.iter().map(delete).collect::<Vec<_>>()).await?;
        }
        // The session goes last: what is interrupted before is found and deleted again.
        let writes = [
            Write::delete(self.layout.session(id), Condition::Any),
            Write::delete(self.layout.expiry(stored.session.expires_at, id), Condition::Any),
        ];
        Ok(self.commit("upload session", &writes).await?)
    }

    /// The ids of the first `limit` sessions that may be forgotten.
    pub async fn expired_sessions(&self, now: Timestamp, limit: usize) -> Result<Vec<String>, ChartStoreError> {
        let mut expired = Vec::new();
        for item in self.table.query(&self.layout.expiries(), limit).await? {
            // Sorted by time: the first that is still good ends it.
            if item.key >= self.layout.expiry(now, "") {
                break;
            }
            expired.push(decode(&item)?);
        }
        Ok(expired)
    }

    async fn stored_session(&self, id: &str) -> Result<Option<(StoredSession, Item)>, ChartStoreError> {
        self.read(&self.layout.session(id)).await
    }

    async fn change_session(
        &self,
        id: &str,
        change: impl Fn(StoredSession) -> Result<StoredSession, ChartStoreError>,
    ) -> Result<(), ChartStoreError> {
        for _ in 0..ATTEMPTS {
            let (stored, item) = self.stored_session(id).await?.ok_or_else(|| unknown(id))?;
            let next = change(stored.clone())?;
            if next == stored {
                return Ok(());
            }
            let write = Write::put(self.layout.session(id), encode(&next), Condition::unchanged(Some(&item)));
            match self.commit("upload session", &[write]).await {
                Ok(()) => return Ok(()),
                Err(TableError::ConditionFailed { .. }) => continue,
                Err(error) => return Err(error.into()),
            }
        }
        Err(contended(id))
    }
}

fn unknown(id: &str) -> ChartStoreError {
    ChartStoreError::SessionUnknown { id: id.chars().take(128).collect() }
}

fn contended(id: &str) -> ChartStoreError {
    ChartStoreError::contended(format!("the upload session {id}"))
}
