//! Uploads in parts that nobody completes: their parts take up room without being objects.
//!
//! A writer that fails or is dropped aborts its own. What a killed one left is aborted here, and should be by a rule of
//! the bucket too (`AbortIncompleteMultipartUpload` after a day or more): the plane may never start again.

use aws_sdk_s3::primitives::DateTime;
use jiff::{SignedDuration, Timestamp};

use super::S3Harbor;
use crate::{aws, failpoint, image_harbor::HarborError};

/// An upload that is older belongs to a killed writer: no blob takes that long.
pub(super) const ABANDONED_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// Pages of up to 1000 uploads that one pass looks at; the next pass finds the rest.
const PAGES: usize = 10;

impl S3Harbor {
    /// Aborts this plane's uploads that began before a moment; how many.
    pub async fn abort_uploads_before(&self, moment: Timestamp) -> Result<usize, HarborError> {
        let moment = DateTime::from_millis(moment.as_millisecond());
        let (mut key, mut id, mut aborted) = (None, None, 0);
        for _ in 0..PAGES {
            let list = self.client.list_multipart_uploads().bucket(&self.bucket).prefix(format!("{}/", self.prefix));
            let list = list.set_key_marker(key).set_upload_id_marker(id).send().await;
            let page = list.map_err(self.refused("listing uploads"))?;
            for upload in page.uploads() {
                let begun_before = upload.initiated().is_some_and(|begun| *begun < moment);
                if let (true, Some(key), Some(id)) = (begun_before, upload.key(), upload.upload_id()) {
                    aborted += usize::from(self.abort(key, id).await);
                }
            }
            if !page.is_truncated.unwrap_or_default() {
                break;
            }
            (key, id) = (page.next_key_marker, page.next_upload_id_marker);
        }
        Ok(aborted)
    }

    /// Aborts an upload; whether it did. One that stays is found by [`abort_uploads_before`](Self::abort_uploads_before).
    pub(super) async fn abort(&self, key: &str, upload: &str) -> bool {
        let abort = self.client.abort_multipart_upload().bucket(&self.bucket).key(key).upload_id(upload);
        match abort.send().await {
            Ok(_) => {
                failpoint::after_write("aborted upload");
                true
            }
            Err(error) => {
                tracing::debug!(key, error = aws::describe(&error), "aborting an upload failed");
                false
            }
        }
    }
}
