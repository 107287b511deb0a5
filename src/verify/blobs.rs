//! The state of blobs, each found out once.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Mutex,
};

use futures::TryStreamExt;
use serde::Deserialize;

use crate::{
    digest::Digest,
    image_harbor::{self, HarborError, ImageHarbor, read_to_vec},
};

/// The largest manifest that is read: what registries take.
const MAX_MANIFEST: u64 = 4 << 20;

/// A blob as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// There, with so many bytes.
    Sound(u64),
    /// Not there, or not what it should be.
    Broken(String),
}

/// What was found out about the blobs of a Harbor.
pub(super) struct Blobs<'a> {
    harbor: &'a dyn ImageHarbor,
    deep: bool,
    known: Mutex<HashMap<Digest, State>>,
}

/// What an OCI manifest or index says of the blobs it names (image-spec 1.1).
#[derive(Debug, Deserialize)]
struct Manifest {
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

#[derive(Debug, Deserialize)]
struct Descriptor {
    digest: Digest,
    size: u64,
}

impl<'a> Blobs<'a> {
    pub(super) fn new(harbor: &'a dyn ImageHarbor, deep: bool) -> Self {
        Self { harbor, deep, known: Mutex::default() }
    }

    /// What is wrong with a blob that should be there, with so many bytes where that is known.
    pub(super) async fn problem(&self, digest: &Digest, size: Option<u64>) -> Result<Option<String>, HarborError> {
        Ok(match (self.state(digest).await?, size) {
            (State::Broken(problem), _) => Some(problem),
            (State::Sound(found), Some(expected)) if found != expected => {
                Some(format!("has {found} bytes in {}, but should have {expected}", self.harbor.name()))
            }
            (State::Sound(_), _) => None,
        })
    }

    /// The sizes in bytes that a manifest gives to what it names; none for one that cannot be read, which
    /// [`problem`](Self::problem) tells of then.
    pub(super) async fn sizes(&self, manifest: &Digest) -> Result<BTreeMap<Digest, u64>, HarborError> {
        let read = match read_to_vec(self.harbor, manifest, MAX_MANIFEST).await {
            Ok(bytes) => serde_json::from_slice::<Manifest>(&bytes)
                .map_err(|error| format!("cannot be read as the manifest that it should be: {error}")),
            Err(error) => Err(self.broken(error)?),
        };
        match read {
            Ok(Manifest { config, layers, manifests }) => {
                let named = config.into_iter().chain(layers).chain(manifests);
                Ok(named.map(|descriptor| (descriptor.digest, descriptor.size)).collect())
            }
            Err(problem) => {
                self.remember(manifest, State::Broken(problem));
                Ok(BTreeMap::new())
            }
        }
    }

    async fn state(&self, digest: &Digest) -> Result<State, HarborError> {
        let known = self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).get(digest).cloned();
        if let Some(state) = known {
            return Ok(state);
        }
        let state = match self.look_at(digest).await {
            Ok(size) => State::Sound(size),
            Err(error) => State::Broken(self.broken(error)?),
        };
        self.remember(digest, state.clone());
        Ok(state)
    }

    fn remember(&self, digest: &Digest, state: State) {
        self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(*digest, state);
    }

    /// The size of a blob whose bytes are there: all of them were read and compared, or else the last one was.
    async fn look_at(&self, digest: &Digest) -> Result<u64, HarborError> {
        if self.deep {
            return image_harbor::verify(self.harbor, digest).await;
        }
        let size = self.harbor.stat(digest).await?.ok_or(HarborError::NotFound(*digest))?;
        // A name alone is no proof: on S3 the bytes lie under another key.
        let last = self.harbor.read(digest, Some(size.saturating_sub(1)..size)).await?;
        last.try_for_each(async |_| Ok(())).await?;
        Ok(size)
    }

    /// What is wrong with a blob; or the error, where it is not the blob's.
    fn broken(&self, error: HarborError) -> Result<String, HarborError> {
        match error {
            HarborError::NotFound(_) => Ok(format!("is not in {}", self.harbor.name())),
            HarborError::Damaged { store, message, .. } => Ok(format!("is damaged in {store}: {message}")),
            HarborError::TooLarge { size, .. } => Ok(format!("has {size} bytes: it should be a manifest")),
            other => Err(other),
        }
    }
}
