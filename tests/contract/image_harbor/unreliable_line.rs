//! S3 behind a line that loses answers, cuts them off or stops in the middle of them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{FutureExt, StreamExt, TryFutureExt, future::join_all};
use orbit_plane::{
    aws,
    digest::Digest,
    image_harbor::{self, HarborError, ImageHarbor, S3Harbor, S3Limits, read_to_vec, store_bytes, stream_of},
    settings::StoreSettings,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use super::{collect, setting};

/// What becomes of an answer.
enum Answer {
    Whole,
    /// The connection ends after so many bytes.
    Cut(usize),
    /// Nothing follows so many bytes, and the connection stays.
    Held(usize),
    /// Only the last byte is missing, and the connection stays.
    HeldAtTheEnd,
    /// The server is not asked: 404 with this code of S3's.
    NotFound(&'static str),
}

/// Decides by the first line of a request.
type Line = dyn Fn(&str) -> Answer + Send + Sync;

/// A proxy in front of the S3 server, one request to a connection; its address.
async fn line(rule: impl Fn(&str) -> Answer + Send + Sync + 'static) -> String {
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

    let rule = rule(&first);
    if let Answer::NotFound(code) = rule {
        let error = format!("<Error><Code>{code}</Code></Error>");
        let head = format!("HTTP/1.1 404 Not Found\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", error.len());
        return client.write_all((head + &error).as_bytes()).await;
    }
    let server: url::Url = setting("ORBIT_TEST_S3_ENDPOINT").parse().unwrap();
    let mut server = TcpStream::connect(server.socket_addrs(|| None)?[0]).await?;
    server.write_all(format!("{first}{head}Connection: close\r\n\r\n").as_bytes()).await?;
    server.write_all(&body).await?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await?;
    let (through, held) = match rule {
        Answer::NotFound(_) => unreachable!("it was answered"),
        Answer::Whole => (answer.len(), false),
        Answer::Cut(bytes) => (bytes, false),
        Answer::Held(bytes) => (bytes, true),
        Answer::HeldAtTheEnd => (answer.len() - 1, true),
    };
    client.write_all(&answer[..through.min(answer.len())]).await?;
    if held {
        client.read_to_end(&mut Vec::new()).await?;
    }
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

    let cut = line(|request| match request.starts_with("GET") && request.contains("/data/") {
        true => Answer::Cut(1 << 20),
        false => Answer::Whole,
    })
    .await;
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
        match pointer && counter.fetch_add(1, Ordering::SeqCst) == 0 {
            true => Answer::Cut(0),
            false => Answer::Whole,
        }
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

/// A line whose n-th answer to the completion of an upload is what `rule` says; and how often that was asked for.
async fn completions(rule: impl Fn(usize) -> Answer + Send + Sync + 'static) -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let line = line(move |request| match request.starts_with("POST") && request.contains("uploadId=") {
        true => rule(count.fetch_add(1, Ordering::SeqCst)),
        false => Answer::Whole,
    });
    (line.await, asked)
}

/// Too large for one request.
fn two_parts() -> Vec<u8> {
    vec![7; 9 << 20]
}

#[tokio::test]
async fn an_upload_whose_completion_was_lost_is_complete() {
    // Asked again, some servers say that it is complete, and some that there is no such upload any more.
    for again in [|| Answer::Whole, || Answer::NotFound("NoSuchUpload")] {
        let plane = new_plane();
        let (deaf, asked) = completions(move |n| if n == 0 { Answer::Cut(0) } else { again() }).await;
        let harbor = harbor(&deaf, &plane).await;
        let digest = store_bytes(&*harbor, two_parts()).await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 2, "one answer was lost, one was not");
        assert_eq!(read_to_vec(&*harbor, &digest, 9 << 20).await.unwrap(), two_parts());
        assert_eq!(data_objects(&plane).await, 1);
    }
}

#[tokio::test]
async fn an_upload_that_is_gone_is_not_taken_for_complete() {
    let plane = new_plane();
    let (forgetful, _) = completions(|_| Answer::NotFound("NoSuchUpload")).await;
    let harbor = harbor(&forgetful, &plane).await;
    let digest = Digest::of(two_parts());
    let gone = harbor.store(&digest, None, stream_of(two_parts())).await;
    assert!(
        matches!(&gone, Err(HarborError::Unavailable { message, .. }) if message.contains("NoSuchUpload")),
        "{gone:?}"
    );
    assert_eq!(harbor.stat(&digest).await.unwrap(), None);
}

/// A Harbor that loses its patience soon, so that a test need not have much.
async fn impatient(endpoint: &str, plane: &str) -> S3Harbor {
    let settings = settings(endpoint, plane);
    let config = aws::sdk_config(settings.s3_endpoint.as_ref()).await;
    let limits = S3Limits {
        answer: Duration::from_millis(300),
        part: Duration::from_millis(600),
        stall: Duration::from_millis(300),
    };
    S3Harbor::new(&config, &settings.s3_bucket.unwrap(), plane, limits).unwrap()
}

#[tokio::test]
async fn a_server_that_never_answers_is_not_waited_for() {
    let plane = new_plane();
    let content = vec![7; 9 << 20];
    let silent = line(|_| Answer::Held(0)).await;
    let harbor = impatient(&silent, &plane).await;
    // All attempts and the pauses between them; the SDK alone would wait for ever.
    let limit = Duration::from_secs(30);
    let begun = Instant::now();
    let digest = Digest::of("x");
    let requests = [
        harbor.ping().boxed(),
        harbor.stat(&digest).map_ok(drop).boxed(),
        harbor.blobs(None, 1).map_ok(drop).boxed(),
        harbor.stage("session", stream_of("x")).map_ok(drop).boxed(),
        harbor.stage("session", stream_of(content)).map_ok(drop).boxed(),
        harbor.discard_session("session"),
        harbor.clear_abandoned().map_ok(drop).boxed(),
    ];
    for away in join_all(requests).await {
        assert!(matches!(away, Err(HarborError::Unavailable { .. })), "{away:?}");
    }
    assert!(begun.elapsed() < limit, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_answer_that_stops_in_the_middle_is_not_waited_for() {
    let plane = new_plane();
    let straight = harbor(&setting("ORBIT_TEST_S3_ENDPOINT"), &plane).await;
    let digest = store_bytes(&*straight, vec![7; 3 << 20]).await.unwrap();

    let data = line(|request| match request.contains("/data/") {
        true => Answer::Held(1 << 20),
        false => Answer::Whole,
    })
    .await;
    let held = collect(impatient(&data, &plane).await.read(&digest, None).await.unwrap()).await;
    let said = held.map(|bytes| bytes.len()).unwrap_err().to_string();
    assert!(said.contains("not a byte came in 0.3 s"), "{said}");

    let pointer = line(|_| Answer::HeldAtTheEnd).await;
    let held = impatient(&pointer, &plane).await.stat(&digest).await;
    assert!(matches!(held, Err(HarborError::Unavailable { .. })), "{held:?}");
}

#[tokio::test]
async fn a_slow_reader_is_not_taken_for_a_stalled_server() {
    let plane = new_plane();
    let harbor = impatient(&setting("ORBIT_TEST_S3_ENDPOINT"), &plane).await;
    let content = vec![7; 3 << 20];
    let digest = store_bytes(&harbor, content.clone()).await.unwrap();
    let mut bytes = harbor.read(&digest, None).await.unwrap();
    let first = bytes.next().await.unwrap().unwrap();
    // Longer than the server may stall.
    tokio::time::sleep(Duration::from_millis(700)).await;
    let rest = collect(bytes).await.unwrap();
    assert_eq!([first.to_vec(), rest].concat(), content);
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
