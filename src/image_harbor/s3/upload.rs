//! Streams of unknown length as objects: one request when small, parts of 8 MiB otherwise.

use aws_sdk_s3::{
    primitives::ByteStream as Body,
    types::{CompletedMultipartUpload, CompletedPart},
};
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;

use super::{S3Harbor, patient};
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
            put.customize().config_override(patient()).send().await.map_err(self.refused("writing"))?;
            failpoint::after_write("data");
            return Ok(size);
        }
        let create = self.client.create_multipart_upload().bucket(&self.bucket).key(key).send().await;
        let created = create.map_err(self.refused("starting an upload"))?;
        let Some(upload) = created.upload_id() else {
            return Err(self.unavailable("starting an upload", "the server gave it no id"));
        };
        match self.upload_parts(key, upload, first, parts).await {
            Ok(size) => Ok(size),
            Err(error) => {
                // What cannot be aborted now is for the bucket's lifecycle rule on incomplete uploads.
                let abort = self.client.abort_multipart_upload().bucket(&self.bucket).key(key).upload_id(upload);
                if let Err(failed) = abort.send().await {
                    tracing::debug!(key, error = crate::aws::describe(&failed), "aborting an upload failed");
                }
                Err(error)
            }
        }
    }

    async fn upload_parts<C: Check>(
        &self,
        key: &str,
        upload: &str,
        first: Bytes,
        mut parts: Parts<C>,
    ) -> Result<u64, HarborError> {
        let mut completed = Vec::new();
        let mut part = first;
        loop {
            let number = completed.len() as i32 + 1;
            let request = self.client.upload_part().bucket(&self.bucket).key(key).upload_id(upload).part_number(number);
            let request = request.body(Body::from(part)).customize().config_override(patient());
            let sent = request.send().await.map_err(self.refused("writing a part"))?;
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
        let complete = self.client.complete_multipart_upload().bucket(&self.bucket).key(key).upload_id(upload);
        let complete = complete.multipart_upload(list).customize().config_override(patient());
        complete.send().await.map_err(self.refused("completing an upload"))?;
        failpoint::after_write("data");
        Ok(size)
    }
}
