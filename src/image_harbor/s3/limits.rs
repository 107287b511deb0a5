//! How long an S3 server may take for what, so that nothing waits for ever.

use std::time::Duration;

use aws_sdk_s3::config::{StalledStreamProtectionConfig, timeout::TimeoutConfig};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::time::timeout;

use crate::image_harbor::{ByteStream, HarborError};

/// How long an S3 server may take. A request is tried three times in all, unless its answer says that this is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct S3Limits {
    /// One attempt at a request that carries and returns little, from the first byte sent to the answer's end; of a
    /// larger answer, to its beginning.
    pub answer: Duration,
    /// One attempt at a request that carries a part of 8 MiB, or that makes the server put parts together.
    pub part: Duration,
    /// Between two chunks of a blob that is being read, or of a part that is being sent. What their reader or writer
    /// does in between does not count.
    pub stall: Duration,
}

impl Default for S3Limits {
    /// 15 seconds, 2 minutes (8 MiB pass in them over a slow line too) and 30 seconds.
    fn default() -> Self {
        Self { answer: Duration::from_secs(15), part: Duration::from_secs(120), stall: Duration::from_secs(30) }
    }
}

impl S3Limits {
    /// For requests that carry little.
    pub(super) fn small(&self) -> TimeoutConfig {
        within(self.answer)
    }

    /// For requests that carry a part, or that make a server put parts together.
    pub(super) fn large(&self) -> aws_sdk_s3::config::Builder {
        aws_sdk_s3::Config::builder().timeout_config(within(self.part))
    }

    /// The SDK watches what is sent. What is read is watched by [`unstalled`], which knows its reader's pauses.
    pub(super) fn sending(&self) -> StalledStreamProtectionConfig {
        StalledStreamProtectionConfig::enabled().download_enabled(false).grace_period(self.stall).build()
    }
}

/// Bounds one attempt, and with it all of them: three, and the pauses between them.
fn within(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(attempt.min(Duration::from_secs(5)))
        .read_timeout(attempt)
        .operation_attempt_timeout(attempt)
        .operation_timeout(attempt * 4)
        .build()
}

/// The same bytes, or an error when none come for as long as `limit`.
pub(super) fn unstalled(bytes: ByteStream, limit: Duration, store: String) -> ByteStream {
    stream::try_unfold((bytes, store), move |(mut bytes, store)| async move {
        match timeout(limit, bytes.try_next()).await {
            Ok(next) => Ok(next?.map(|chunk| (chunk, (bytes, store)))),
            Err(_) => {
                let message = format!("reading stalled: not a byte came in {} s", limit.as_secs_f32());
                Err(HarborError::Unavailable { store, message })
            }
        }
    })
    .boxed()
}
