//! The Harbor in an S3 bucket, for planes of several replicas.
//!
//! ```text
//! <plane>/data/<uuid>              bytes; nobody reads them before a pointer names them
//! <plane>/blobs/sha256/<hex>       a pointer {key, size}, put only if there is none: what makes a blob visible
//! <plane>/staging/<session>/<uuid> pieces of upload sessions
//! ```
//!
//! Whoever loses the race for a pointer deletes its own data. Nothing is copied, nothing unverified has a name, and S3
//! alone finds every blob. Data that a killed writer left has no pointer and can be reclaimed at any time; uploads in parts
//! that it left are aborted by [`ImageHarbor::clear_abandoned`].

mod abandoned;
mod limits;
mod listing;
mod upload;

use std::{fmt::Debug, ops::Range, time::Duration};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_s3::{
    Client,
    config::{ResponseChecksumValidation, http::HttpResponse},
    error::{ProvideErrorMetadata, SdkError},
    presigning::PresigningConfig,
    primitives::ByteStream as Body,
};
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use url::Url;
use uuid::Uuid;

pub use self::limits::S3Limits;
use self::{limits::unstalled, listing::Listing};
use super::{
    ByteStream, HarborError, ImageHarbor, StagedChunk, Stored,
    content::{exactly, stream_of, within},
    intake::{Intake, announced},
    names,
};
use crate::{aws, digest::Digest, failpoint};

/// Small requests under way at once while listing or discarding.
const AT_ONCE: usize = 16;
/// A pointer is tiny; whatever is larger is none.
const MAX_POINTER: u64 = 4096;

/// A Harbor in an S3 bucket.
#[derive(Debug, Clone)]
pub struct S3Harbor {
    client: Client,
    bucket: String,
    prefix: String,
    limits: S3Limits,
}

/// What a blob's name refers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Pointer {
    key: String,
    size: u64,
}

impl S3Harbor {
    /// The Harbor of a plane in a bucket, which has to exist. Asks nothing of the server yet.
    pub fn new(config: &SdkConfig, bucket: &str, plane: &str, limits: S3Limits) -> Result<Self, HarborError> {
        names::check("a plane", plane)?;
        let mut builder = aws_sdk_s3::config::Builder::from(config)
            .timeout_config(limits.small())
            // What is read has a digest, which its reader checks: a second sum over all bytes finds nothing more.
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .stalled_stream_protection(limits.sending());
        if config.endpoint_url().is_some() {
            // Other servers are rarely reached by a host name per bucket.
            builder.set_force_path_style(Some(true));
        }
        let client = Client::from_conf(builder.build());
        Ok(Self { client, bucket: bucket.to_owned(), prefix: plane.to_owned(), limits })
    }

    fn pointer_key(&self, digest: &Digest) -> String {
        format!("{}{}", self.pointers(), digest.hex())
    }

    fn pointers(&self) -> String {
        format!("{}/blobs/sha256/", self.prefix)
    }

    fn data_key(&self) -> String {
        format!("{}/data/{}", self.prefix, Uuid::new_v4())
    }

    fn session_prefix(&self, session: &str) -> String {
        format!("{}/staging/{session}/", self.prefix)
    }

    fn unavailable(&self, doing: &str, said: impl AsRef<str>) -> HarborError {
        HarborError::Unavailable { store: self.name(), message: format!("{doing} failed: {}", said.as_ref()) }
    }

    fn refused<'a, E>(&'a self, doing: &'a str) -> impl Fn(SdkError<E, HttpResponse>) -> HarborError + 'a
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        move |error| self.unavailable(doing, aws::describe(&error))
    }

    /// The pointer of a blob, if it is complete.
    async fn pointer(&self, digest: &Digest) -> Result<Option<Pointer>, HarborError> {
        let doing = "looking for a blob";
        let key = self.pointer_key(digest);
        let found = match self.client.get_object().bucket(&self.bucket).key(key).send().await {
            Ok(found) => found,
            Err(error) if error.as_service_error().is_some_and(|e| e.is_no_such_key()) => return Ok(None),
            Err(error) => return Err(self.refused(doing)(error)),
        };
        let damaged = |message: String| HarborError::Damaged { store: self.name(), digest: *digest, message };
        if found.content_length().is_none_or(|size| !(0..=MAX_POINTER as i64).contains(&size)) {
            return Err(damaged("its pointer is too large to be one".into()));
        }
        let bytes = timeout(self.limits.answer, found.body.collect()).await;
        let bytes = bytes.map_err(|_| self.unavailable(doing, "the answer began and never ended"))?;
        let bytes = bytes.map_err(|error| self.unavailable(doing, aws::causes(&error)))?;
        let pointer = serde_json::from_slice(&bytes.into_bytes());
        pointer.map(Some).map_err(|error| damaged(format!("its pointer cannot be read: {error}")))
    }

    /// Makes a blob visible, unless somebody else has; whether it did.
    async fn put_pointer(&self, digest: &Digest, pointer: &Pointer) -> Result<bool, HarborError> {
        let body = Body::from(crate::digest::canonical_json(pointer));
        let put = self.client.put_object().bucket(&self.bucket).key(self.pointer_key(digest)).if_none_match("*");
        match put.content_type("application/json").body(body).send().await {
            Ok(_) => {
                failpoint::after_write("blob pointer");
                Ok(true)
            }
            // 412: there is one. 409: one is being put at this moment, or was while the client tried again.
            Err(error) if matches!(error.raw_response().map(|r| r.status().as_u16()), Some(409 | 412)) => Ok(false),
            Err(error) => Err(self.refused("naming a blob")(error)),
        }
    }

    /// Deletes an object that nobody refers to. One that stays is reclaimed later.
    async fn delete(&self, key: &str) {
        match self.client.delete_object().bucket(&self.bucket).key(key).send().await {
            Ok(_) => failpoint::after_write("deleted data"),
            Err(error) => tracing::debug!(key, error = aws::describe(&error), "deleting unreferenced data failed"),
        }
    }

    /// Exactly the bytes of a range that lies within an object; `short` is the error if they are fewer.
    async fn stream(
        &self,
        key: &str,
        range: Range<u64>,
        missing: HarborError,
        short: impl Fn(u64) -> HarborError + Send + 'static,
    ) -> Result<ByteStream, HarborError> {
        let length = range.end - range.start;
        if length == 0 {
            return Ok(stream_of(""));
        }
        let get = self.client.get_object().bucket(&self.bucket).key(key);
        let get = get.range(format!("bytes={}-{}", range.start, range.end - 1));
        let found = match get.send().await {
            Ok(found) => found,
            Err(error) if error.as_service_error().is_some_and(|e| e.is_no_such_key()) => return Err(missing),
            // The object is shorter than the pointer or session says, for they gave the range.
            Err(error) if error.as_service_error().and_then(|e| e.code()) == Some("InvalidRange") => {
                return Err(short(0));
            }
            Err(error) => return Err(self.refused("reading")(error)),
        };
        let store = self.name();
        // As they come off the connection: another buffer in between would copy every byte once more.
        let bytes = stream::try_unfold(found.body, move |mut body| {
            let store = store.clone();
            async move {
                let next = body.try_next().await.map_err(|error| HarborError::Unavailable {
                    store,
                    message: format!("reading was cut off: {}", aws::causes(&error)),
                })?;
                Ok(next.map(|chunk| (chunk, body)))
            }
        })
        .boxed();
        Ok(exactly(length, unstalled(bytes, self.limits.stall, self.name()), short))
    }
}

#[async_trait]
impl ImageHarbor for S3Harbor {
    async fn stat(&self, digest: &Digest) -> Result<Option<u64>, HarborError> {
        Ok(self.pointer(digest).await?.map(|pointer| pointer.size))
    }

    async fn read(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<ByteStream, HarborError> {
        let pointer = self.pointer(digest).await?.ok_or(HarborError::NotFound(*digest))?;
        let (store, digest) = (self.name(), *digest);
        let damaged = move |message: String| HarborError::Damaged { store: store.clone(), digest, message };
        let missing = damaged(format!("its data {} is not there", pointer.key));
        let short = move |seen| damaged(format!("{seen} bytes came in place of the range that was asked for"));
        self.stream(&pointer.key, within(range, pointer.size)?, missing, short).await
    }

    async fn download_url(&self, digest: &Digest, good_for: Duration) -> Result<Option<Url>, HarborError> {
        let Some(pointer) = self.pointer(digest).await? else { return Ok(None) };
        let doing = "signing an address";
        let presigning = PresigningConfig::expires_in(good_for);
        let presigning = presigning.map_err(|error| self.unavailable(doing, error.to_string()))?;
        let get = self.client.get_object().bucket(&self.bucket).key(pointer.key);
        let request = get.presigned(presigning).await.map_err(self.refused(doing))?;
        let url = request.uri().parse().map_err(|error: url::ParseError| self.unavailable(doing, error.to_string()))?;
        Ok(Some(url))
    }

    async fn store(&self, digest: &Digest, size: Option<u64>, bytes: ByteStream) -> Result<Stored, HarborError> {
        if let Some(there) = self.stat(digest).await? {
            return Ok(Stored { size: announced(*digest, size, there)?, written: false });
        }
        let key = self.data_key();
        let intake = Intake::new(*digest, size);
        let size = self.upload(&key, bytes, intake).await?;
        match self.put_pointer(digest, &Pointer { key: key.clone(), size }).await {
            Ok(true) => Ok(Stored { size, written: true }),
            Ok(false) => {
                match self.pointer(digest).await? {
                    // Ours all the same: put by a request whose answer was lost.
                    Some(pointer) if pointer.key == key => Ok(Stored { size, written: true }),
                    Some(_) => {
                        self.delete(&key).await;
                        Ok(Stored { size, written: false })
                    }
                    // A request of ours that was given up may still be under way: its data has to stay.
                    None => Err(self.unavailable("naming a blob", "another request was at it; try again")),
                }
            }
            // Whether it was put is unknown, so the data stays: a pointer must never name what is not there.
            Err(error) => Err(error),
        }
    }

    async fn stage(&self, session: &str, bytes: ByteStream) -> Result<StagedChunk, HarborError> {
        names::check_session(session)?;
        let id = Uuid::new_v4().to_string();
        let size =
            self.upload(&format!("{}{id}", self.session_prefix(session)), bytes, upload::Count::default()).await?;
        Ok(StagedChunk { id, size })
    }

    async fn read_staged(
        &self,
        session: &str,
        chunk: &StagedChunk,
        range: Option<Range<u64>>,
    ) -> Result<ByteStream, HarborError> {
        names::check_chunk(session, chunk)?;
        let key = format!("{}{}", self.session_prefix(session), chunk.id);
        let missing = names::not_staged(session, chunk);
        let (session, staged) = (session.to_owned(), chunk.clone());
        let short = move |_| names::not_staged(&session, &staged);
        self.stream(&key, within(range, chunk.size)?, missing, short).await
    }

    async fn discard_session(&self, session: &str) -> Result<(), HarborError> {
        names::check_session(session)?;
        let prefix = self.session_prefix(session);
        let mut listing = Listing::new(self, prefix, None);
        while let Some(keys) = listing.next(1000).await? {
            stream::iter(keys.into_iter().map(Ok))
                .try_for_each_concurrent(AT_ONCE, async |key| {
                    let deleted = self.client.delete_object().bucket(&self.bucket).key(key).send().await;
                    deleted.map_err(self.refused("discarding a session"))?;
                    failpoint::after_write("discarded piece");
                    Ok::<_, HarborError>(())
                })
                .await?;
        }
        Ok(())
    }

    async fn announce(&self, _: &str, _: &str, _: &Digest, _: u64) -> Result<(), HarborError> {
        // No other tool reads this layout; names are the Chart Store's.
        Ok(())
    }

    async fn blobs(&self, after: Option<&Digest>, limit: usize) -> Result<Vec<(Digest, u64)>, HarborError> {
        let prefix = self.pointers();
        let mut blobs = Vec::new();
        let mut listing = Listing::new(self, &prefix, after.map(|digest| self.pointer_key(digest)));
        while blobs.len() < limit
            && let Some(keys) = listing.next(limit - blobs.len()).await?
        {
            let digests =
                keys.iter().filter_map(|key| format!("sha256:{}", key.strip_prefix(&prefix)?).parse::<Digest>().ok());
            let page: Vec<_> = stream::iter(digests.collect::<Vec<_>>())
                .map(async |digest| Ok::<_, HarborError>(self.stat(&digest).await?.map(|size| (digest, size))))
                .buffered(AT_ONCE)
                .try_collect()
                .await?;
            blobs.extend(page.into_iter().flatten());
        }
        Ok(blobs)
    }

    fn name(&self) -> String {
        format!("S3 bucket {}", self.bucket)
    }

    async fn clear_abandoned(&self) -> Result<usize, HarborError> {
        self.abort_uploads_before(Timestamp::now() - abandoned::ABANDONED_AFTER).await
    }

    async fn ping(&self) -> Result<(), HarborError> {
        let head = self.client.head_bucket().bucket(&self.bucket).send().await;
        head.map(drop).map_err(self.refused("looking for the bucket"))
    }
}
