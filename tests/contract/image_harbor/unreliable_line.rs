//! S3 behind a line that loses answers or cuts them off.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures::future::join_all;
use orbit_plane::{
    aws,
    digest::Digest,
    image_harbor::{self, HarborError, ImageHarbor, read_to_vec, store_bytes, stream_of},
    settings::StoreSettings,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use super::{collect, setting};

/// How many bytes of the answer to a request get through, decided by its first line; none: all.
type Line = dyn Fn(&str) -> Option<usize> + Send + Sync;

/// A proxy in front of the S3 server, one request to a connection; its address.
async fn line(rule: impl Fn(&str) -> Option<usize> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let rule: Arc<Line> = Arc::new(rule);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let rule = Arc::clone(&rule);
            // A client that goes away is none of the test's business.
            tokio::spawn(async move { pass_on(client, &*rule).await.ok() });
        }
    });
    address
}

async fn pass_on(client: TcpStream, rule: &Line) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    let (mut first, mut head, mut length) = (String::new(), String::new(), 0);
    client.read_line(&mut first).await?;
    loop {
        let mut header = String::new();
        client.read_line(&mut header).await?;
        if header.trim().is_empty() {
            break;
        }
        match header.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().map_err(std::io::Error::other)?;
            }
            Some((name, _)) if name.eq_ignore_ascii_case("connection") => continue,
            _ => {}
        }
        head.push_str(&header);
    }
    let mut body = vec![0; length];
    client.read_exact(&mut body).await?;

    let server: url::Url = setting("ORBIT_TEST_S3_ENDPOINT").parse().unwrap();
    let mut server = TcpStream::connect(server.socket_addrs(|| None)?[0]).await?;
    server.write_all(format!("{first}{head}Connection: close\r\n\r\n").as_bytes()).await?;
    server.write_all(&body).await?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await?;
    answer.truncate(rule(&first).unwrap_or(usize::MAX));
    client.write_all(&answer).await?;
    client.shutdown().await
}

fn settings(endpoint: &str, plane: &str) -> StoreSettings {
    let _ = rustls::crypto::ring::default_provider().install_default();
    StoreSettings {
        plane: Some(plane.to_owned()),
        s3_bucket: Some(setting("ORBIT_TEST_S3_BUCKET")),
        s3_endpoint: Some(endpoint.parse().unwrap()),
        ..Default::default()
    }
}

async fn harbor(endpoint: &str, plane: &str) -> Arc<dyn ImageHarbor> {
    image_harbor::open(&settings(endpoint, plane)).await.unwrap()
}

fn new_plane() -> String {
    format!("test-{}", uuid::Uuid::new_v4())
}

/// How many data objects a plane has, whether a pointer names them or not.
async fn data_objects(plane: &str) -> usize {
    let settings = settings(&setting("ORBIT_TEST_S3_ENDPOINT"), plane);
    let config = aws::sdk_config(settings.s3_endpoint.as_ref()).await;
    let config = aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build();
    let client = aws_sdk_s3::Client::from_conf(config);
    let list = client.list_objects_v2().bucket(settings.s3_bucket.unwrap()).prefix(format!("{plane}/data/"));
    list.send().await.unwrap().contents().len()
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_never_taken_for_the_blob() {
    let plane = new_plane();
    let content = vec![7; 3 << 20];
    let straight = harbor(&setting("ORBIT_TEST_S3_ENDPOINT"), &plane).await;
    let digest = store_bytes(&*straight, content.clone()).await.unwrap();

    let cut = line(|request| (request.starts_with("GET") && request.contains("/data/")).then_some(1 << 20)).await;
    let harbor = harbor(&cut, &plane).await;
    for range in [None, Some(5..2 << 20)] {
        let came = collect(harbor.read(&digest, range).await.unwrap()).await.map(|bytes| bytes.len());
        assert!(matches!(came, Err(HarborError::Unavailable { .. })), "{came:?}");
    }
    let whole = read_to_vec(&*harbor, &digest, 4 << 20).await.map(|bytes| bytes.len());
    assert!(matches!(whole, Err(HarborError::Unavailable { .. })), "{whole:?}");
    assert_eq!(read_to_vec(&*straight, &digest, 4 << 20).await.unwrap(), content);
}

#[tokio::test]
async fn a_blob_whose_confirmation_was_lost_keeps_its_data() {
    let plane = new_plane();
    let lost = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&lost);
    // The pointer is put, but the first answer never comes back; the client asks again and hears 412.
    let deaf = line(move |request| {
        let pointer = request.starts_with("PUT") && request.contains("/blobs/");
        (pointer && counter.fetch_add(1, Ordering::SeqCst) == 0).then_some(0)
    })
    .await;
    let harbor = harbor(&deaf, &plane).await;
    let digest = Digest::of("confirmed");
    let stored = harbor.store(&digest, Some(9), stream_of("confirmed")).await.unwrap();
    assert!(stored.written);
    assert_eq!(lost.load(Ordering::SeqCst), 2, "one answer was lost, one was not");
    assert_eq!(read_to_vec(&*harbor, &digest, 9).await.unwrap(), b"confirmed");
    assert_eq!(data_objects(&plane).await, 1);
}

#[tokio::test]
async fn writers_that_lost_the_race_leave_no_data() {
    let plane = new_plane();
    let harbor = harbor(&setting("ORBIT_TEST_S3_ENDPOINT"), &plane).await;
    let digest = Digest::of("raced for");
    let stored = join_all((0..16).map(|_| harbor.store(&digest, None, stream_of("raced for")))).await;
    assert_eq!(stored.into_iter().filter(|stored| stored.as_ref().unwrap().written).count(), 1);
    assert_eq!(data_objects(&plane).await, 1);
}
