//! Uploads in parts that nobody completes must not stay in the bucket.

use std::time::Duration;

use aws_sdk_s3::Client;
use bytes::Bytes;
use futures::{StreamExt, stream};
use jiff::{Timestamp, ToSpan};
use orbit_plane::{
    aws,
    digest::Digest,
    image_harbor::{ByteStream, HarborError, ImageHarbor, S3Harbor, S3Limits},
};

use super::setting;

/// A bucket, and the Harbor of a plane of its own in it.
struct Bench {
    client: Client,
    bucket: String,
    plane: String,
    harbor: S3Harbor,
}

impl Bench {
    async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let endpoint = setting("ORBIT_TEST_S3_ENDPOINT").parse().unwrap();
        let config = aws::sdk_config(Some(&endpoint)).await;
        let path_style = aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build();
        let (bucket, plane) = (setting("ORBIT_TEST_S3_BUCKET"), format!("test-{}", uuid::Uuid::new_v4()));
        let harbor = S3Harbor::new(&config, &bucket, &plane, S3Limits::default()).unwrap();
        Self { client: Client::from_conf(path_style), bucket, plane, harbor }
    }

    /// What a writer that is killed leaves: an upload with a part in it.
    async fn abandon(&self, key: &str) {
        let create = self.client.create_multipart_upload().bucket(&self.bucket).key(key);
        let upload = create.send().await.unwrap().upload_id.unwrap();
        let part = self.client.upload_part().bucket(&self.bucket).key(key).upload_id(upload).part_number(1);
        part.body(Bytes::from_static(b"part").into()).send().await.unwrap();
    }

    /// The keys of the uploads that are under way below a prefix.
    async fn uploads(&self, prefix: &str) -> Vec<String> {
        let list = self.client.list_multipart_uploads().bucket(&self.bucket).prefix(prefix);
        let list = list.send().await.unwrap();
        list.uploads().iter().map(|upload| upload.key().unwrap().to_owned()).collect()
    }
}

/// More than a part, and then what `then` does.
fn source(then: impl Future<Output = Option<Result<Bytes, HarborError>>> + Send + 'static) -> ByteStream {
    let begin = stream::iter([Ok(Bytes::from(vec![7; 9 << 20]))]);
    begin.chain(stream::once(then).filter_map(async |next| next)).boxed()
}

#[tokio::test]
async fn an_upload_whose_source_fails_is_aborted() {
    let bench = Bench::new().await;
    let fails = async { Some(Err(HarborError::Source(std::io::Error::other("the line went dead")))) };
    let failed = bench.harbor.store(&Digest::of("x"), None, source(fails)).await;
    assert!(matches!(failed, Err(HarborError::Source(_))), "{failed:?}");
    assert_eq!(bench.uploads(&bench.plane).await, [""; 0]);
}

#[tokio::test]
async fn an_upload_that_is_dropped_is_aborted() {
    let bench = Bench::new().await;
    let (part_is_sent, wait) = tokio::sync::oneshot::channel();
    let stops = async {
        part_is_sent.send(()).unwrap();
        std::future::pending().await
    };
    let harbor = bench.harbor.clone();
    let writer = tokio::spawn(async move { harbor.stage("session", source(stops)).await });
    wait.await.unwrap();
    assert_eq!(bench.uploads(&bench.plane).await.len(), 1);
    writer.abort();
    assert!(writer.await.unwrap_err().is_cancelled());
    let gone = async {
        while !bench.uploads(&bench.plane).await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("the upload is aborted");
}

#[tokio::test]
async fn uploads_of_killed_writers_are_aborted_when_they_are_old() {
    let bench = Bench::new().await;
    let neighbour = format!("{}-neighbour/data/c", bench.plane);
    let own = [format!("{}/data/a", bench.plane), format!("{}/staging/session/b", bench.plane)];
    for key in own.iter().chain([&neighbour]) {
        bench.abandon(key).await;
    }
    // They are new: their writers may be alive.
    assert_eq!(bench.harbor.clear_abandoned().await.unwrap(), 0);
    assert_eq!(bench.uploads(&format!("{}/", bench.plane)).await, own);

    assert_eq!(bench.harbor.abort_uploads_before(Timestamp::now() + 1.minute()).await.unwrap(), 2);
    assert_eq!(bench.uploads(&bench.plane).await, [neighbour], "another plane's uploads are its own");
    assert_eq!(bench.harbor.abort_uploads_before(Timestamp::now() + 1.minute()).await.unwrap(), 0);
}
