//! Streams of unknown length as objects: one request when small, parts of 8 MiB otherwise.

use aws_sdk_s3::{
    error::ProvideErrorMetadata,
    primitives::ByteStream as Body,
    types::{CompletedMultipartUpload, CompletedPart},
};
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;

use super::S3Harbor;
use crate::{
    failpoint,
    image_harbor::{ByteStream, HarborError, intake::Intake},
};

/// Bytes of a part, and so of what an upload holds in memory. S3 allows 10,000 parts of at least 5 MiB: 80 GiB.
const PART: usize = 8 << 20;

/// Sees every byte before it is sent, and decides at the end whether the object may be.
pub(super) trait Check: Send {
    fn take(&mut self, bytes: &[u8]) -> Result<(), HarborError>;
    /// The size in bytes of what was seen.
    fn finish(self) -> Result<u64, HarborError>;
}

impl Check for Intake {
    fn take(&mut self, bytes: &[u8]) -> Result<(), HarborError> {
        Self::take(self, bytes)
    }

    fn finish(self) -> Result<u64, HarborError> {
        Self::finish(self)
    }
}

/// Accepts everything and counts it.
#[derive(Default)]
pub(super) struct Count(u64);

impl Check for Count {
    fn take(&mut self, bytes: &[u8]) -> Result<(), HarborError> {
        self.0 += bytes.len() as u64;
        Ok(())
    }

    fn finish(self) -> Result<u64, HarborError> {
        Ok(self.0)
    }
}

/// A stream cut into parts, each checked on its way in.
struct Parts<C> {
    bytes: ByteStream,
    check: C,
    buffer: BytesMut,
    ended: bool,
}

impl<C: Check> Parts<C> {
    /// The next part: full, or the last one (which may be empty).
    async fn next(&mut self) -> Result<Bytes, HarborError> {
        while !self.ended && self.buffer.len() < PART {
            match self.bytes.try_next().await? {
                Some(chunk) => {
                    self.check.take(&chunk)?;
                    self.buffer.extend_from_slice(&chunk);
                }
                None => self.ended = true,
            }
        }
        let length = self.buffer.len().min(PART);
        Ok(self.buffer.split_to(length).freeze())
    }

    fn is_at_end(&self) -> bool {
        self.ended && self.buffer.is_empty()
    }
}

impl S3Harbor {
    /// Puts a stream under a key, if the check agrees; its size in bytes. Nothing has the key before that.
    pub(super) async fn upload(&self, key: &str, bytes: ByteStream, check: impl Check) -> Result<u64, HarborError> {
        let mut parts = Parts { bytes, check, buffer: BytesMut::new(), ended: false };
        let first = parts.next().await?;
        if parts.is_at_end() {
            let size = parts.check.finish()?;
            let put = self.client.put_object().bucket(&self.bucket).key(key).body(Body::from(first));
            put.customize().config_override(self.limits.large()).send().await.map_err(self.refused("writing"))?;
            failpoint::after_write("data");
            return Ok(size);
        }
        let upload = Upload::begin(self, key).await?;
        match self.upload_parts(&upload, first, parts).await {
            Ok(size) => {
                upload.completed();
                Ok(size)
            }
            Err(error) => {
                upload.abort().await;
                Err(error)
            }
        }
    }

    async fn upload_parts<C: Check>(
        &self,
        upload: &Upload<'_>,
        first: Bytes,
        mut parts: Parts<C>,
    ) -> Result<u64, HarborError> {
        let mut completed = Vec::new();
        let mut part = first;
        loop {
            let number = completed.len() as i32 + 1;
            let request = self.client.upload_part().bucket(&self.bucket).key(upload.key).upload_id(&upload.id);
            let request = request.part_number(number).body(Body::from(part));
            let request = request.customize().config_override(self.limits.large());
            let sent = request.send().await.map_err(self.refused("writing a part"))?;
            failpoint::after_write("part");
            completed.push(CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag).build());
            if parts.is_at_end() {
                break;
            }
            part = parts.next().await?;
            if part.is_empty() {
                break;
            }
        }
        let size = parts.check.finish()?;
        let list = CompletedMultipartUpload::builder().set_parts(Some(completed)).build();
        let complete = self.client.complete_multipart_upload().bucket(&self.bucket).key(upload.key);
        let complete = complete.upload_id(&upload.id).multipart_upload(list);
        match complete.customize().config_override(self.limits.large()).send().await {
            Ok(_) => {}
            // Completed by a request whose answer was lost: the object is there, which no other writer could make.
            Err(error) if error.as_service_error().and_then(|e| e.code()) == Some("NoSuchUpload") => {
                let head = self.client.head_object().bucket(&self.bucket).key(upload.key).send().await;
                if head.ok().and_then(|head| head.content_length) != Some(size as i64) {
                    return Err(self.refused("completing an upload")(error));
                }
            }
            Err(error) => return Err(self.refused("completing an upload")(error)),
        }
        failpoint::after_write("data");
        Ok(size)
    }
}

/// An upload in parts, which is aborted unless it is completed: also when the future that sends them is dropped.
struct Upload<'a> {
    harbor: &'a S3Harbor,
    key: &'a str,
    id: String,
    over: bool,
}

impl<'a> Upload<'a> {
    async fn begin(harbor: &'a S3Harbor, key: &'a str) -> Result<Self, HarborError> {
        let doing = "starting an upload";
        let create = harbor.client.create_multipart_upload().bucket(&harbor.bucket).key(key).send().await;
        let created = create.map_err(harbor.refused(doing))?;
        failpoint::after_write("upload begun");
        let id = created.upload_id.ok_or_else(|| harbor.unavailable(doing, "the server gave it no id"))?;
        Ok(Self { harbor, key, id, over: false })
    }

    fn completed(mut self) {
        self.over = true;
    }

    async fn abort(mut self) {
        self.harbor.abort(self.key, &self.id).await;
        self.over = true;
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        // Outside a runtime the process is about to end: the upload is left like that of a killed writer.
        if let (false, Ok(runtime)) = (self.over, tokio::runtime::Handle::try_current()) {
            let (harbor, key, id) = (self.harbor.clone(), self.key.to_owned(), self.id.clone());
            runtime.spawn(async move { harbor.abort(&key, &id).await });
        }
    }
}
