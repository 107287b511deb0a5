//! Which store a plane has.

use std::sync::Arc;

use super::{HarborError, ImageHarbor, LocalHarbor, S3Harbor, S3Limits};
use crate::{aws, settings::StoreSettings};

/// The Harbor that the settings name: an S3 bucket, or an OCI image layout in the data directory.
///
/// An S3 server is not asked yet: one that is down delays work, not the start ([`ImageHarbor::ping`] asks).
pub async fn open(settings: &StoreSettings) -> Result<Arc<dyn ImageHarbor>, HarborError> {
    match &settings.s3_bucket {
        Some(bucket) => {
            let endpoint = settings.s3_endpoint.as_ref();
            let config = aws::sdk_config(endpoint).await;
            Ok(Arc::new(S3Harbor::new(&config, bucket, settings.plane(), S3Limits::default())?))
        }
        None => Ok(Arc::new(LocalHarbor::open(settings.data_dir().join("harbor")).await?)),
    }
}
