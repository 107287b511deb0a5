//! Sends an archive to an OCI blob upload session: chunk after chunk, on from wherever the server says it stands.
//!
//! The server's offset is the only truth about what has arrived. After anything that went wrong it is asked for again,
//! so a lost connection, a lost answer and a restarted server are one case.

use std::{
    io::SeekFrom,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::TryStreamExt;
use reqwest::{Body, Method, RequestBuilder, Response, StatusCode, header};
use tokio::{
    io::{AsyncReadExt, AsyncSeekExt},
    time::{Instant, sleep},
};
use tokio_util::io::ReaderStream;
use url::Url;

use super::{archive::Archive, key::UploadKey, progress::Progress};
use crate::{
    cause::carried,
    cli::trust::Trust,
    registry::{UPLOAD_OFFSET, content_range::ContentRange},
    transit::is_loopback,
};

/// Why an archive did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The server never answered.
    #[error("{url} cannot be reached: {cause}{}", if *.loopback { ".\nThat is an address of the plane's own machine: forward the port (kubectl port-forward) and pass --server http://127.0.0.1:PORT, or start `orbit controller` with --public-url" } else { ".\nIf the plane is reached under another address from here, pass it with --server" })]
    Unreachable {
        /// Scheme, host and port.
        url: String,
        /// What went wrong last.
        cause: String,
        /// Whether the address is one of this machine.
        loopback: bool,
    },
    /// Its certificate is not to be trusted. That is no better a moment later.
    #[error("the certificate of {url} {}", untrusted(.cause))]
    Untrusted {
        /// Scheme, host and port.
        url: String,
        /// What is wrong with it.
        cause: rustls::Error,
    },
    /// It answered once, and then nothing got through for too long.
    #[error(
        "nothing got through for {patience:?}, {offset} of {size} bytes have arrived: {cause}.\nRun the same command again to go on from there"
    )]
    NoProgress {
        /// How long it was tried.
        patience: Duration,
        /// Bytes that have arrived.
        offset: u64,
        /// Bytes of the archive.
        size: u64,
        /// What went wrong last.
        cause: String,
    },
    /// The server does not take the key.
    #[error(
        "the plane does not take this upload key: another run for the same ImageUpload may have replaced it. Run the command again"
    )]
    KeyRefused,
    /// The session is unknown to the server.
    #[error("the upload session has ended or expired")]
    SessionGone,
    /// The server answered with something that trying again does not change.
    #[error("the plane refuses the upload ({status}): {message}")]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// What it said.
        message: String,
    },
    /// The file is not what it was.
    #[error("the file changed while it was sent: run the command again once it is complete")]
    Changed,
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    File(#[source] std::io::Error),
}

/// How long to go on trying.
#[derive(Debug, Clone)]
pub struct Patience {
    /// Until the server answers for the first time.
    pub first_answer: Duration,
    /// Without a byte more having arrived.
    pub no_progress: Duration,
    /// Without a byte having left, or an answer having come, for one chunk.
    pub stalled: Duration,
    /// For the answer to the last request: the server reads all of the archive once more.
    pub verification: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first_answer: Duration::from_secs(60),
            no_progress: Duration::from_secs(300),
            stalled: Duration::from_secs(60),
            verification: Duration::from_secs(3600),
        }
    }
}

/// Sends archives.
#[derive(Debug, Clone)]
pub struct Sender {
    client: reqwest::Client,
    /// Bytes of a request.
    pub chunk: u64,
    /// How long to go on trying.
    pub patience: Patience,
}

/// One upload.
struct Upload<'a> {
    sender: &'a Sender,
    archive: &'a Archive,
    url: &'a Url,
    key: &'a UploadKey,
}

/// What a request came to.
enum Step {
    /// The server has this many bytes.
    At(u64),
    /// The server has all and has verified them.
    Done,
}

/// Why a request came to nothing.
enum Failure {
    /// Ask again where the server stands.
    Again(String),
    Fatal(SendError),
}

impl Sender {
    /// A sender that trusts the system's certificates, and these.
    pub fn new(trust: &Trust) -> anyhow::Result<Self> {
        // No redirects: the key is for the server that the status names, and for no other.
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .redirect(reqwest::redirect::Policy::none());
        Ok(Self { client: trust.client(client)?, chunk: 16 << 20, patience: Patience::default() })
    }

    /// Sends `archive` to the session at `url`, from where the session stands; returns when the server has verified it.
    pub async fn send(
        &self,
        archive: &Archive,
        url: &Url,
        key: &UploadKey,
        progress: &Progress,
    ) -> Result<(), SendError> {
        let upload = Upload { sender: self, archive, url, key };
        let mut effort = Effort::new(&self.patience);
        let mut known = None;
        progress.begin("sending", archive.size);
        loop {
            let step = match known {
                None => upload.ask().await,
                Some(offset) if offset < archive.size => upload.append(offset).await,
                Some(_) => {
                    progress.note("all bytes have arrived, the plane verifies them");
                    upload.finish().await
                }
            };
            match step {
                Ok(Step::Done) => return Ok(()),
                Ok(Step::At(offset)) => {
                    effort.at(offset);
                    progress.at(offset);
                    known = Some(offset);
                }
                Err(Failure::Fatal(error)) => return Err(error),
                Err(Failure::Again(cause)) => {
                    let pause = effort.failed(&upload, &cause)?;
                    progress.note(&format!("{cause}; trying again"));
                    sleep(pause).await;
                    known = None;
                }
            }
        }
    }
}

impl Upload<'_> {
    fn request(&self, method: Method) -> RequestBuilder {
        self.sender.client.request(method, self.url.clone()).bearer_auth(self.key.text())
    }

    /// Where does the session stand?
    async fn ask(&self) -> Result<Step, Failure> {
        let request = self.request(Method::GET).timeout(self.sender.patience.stalled);
        let response = request.send().await.map_err(again)?;
        match response.status() {
            StatusCode::NO_CONTENT => self.position(&response),
            _ => Err(failure(response).await),
        }
    }

    /// Sends the chunk at `offset`.
    async fn append(&self, offset: u64) -> Result<Step, Failure> {
        let length = self.sender.chunk.min(self.archive.size - offset);
        let range = ContentRange::of(offset, length).ok_or(Failure::Fatal(SendError::Changed))?;
        let read = Arc::new(AtomicU64::new(0));
        let request = self
            .request(Method::PATCH)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::CONTENT_RANGE, range.to_string())
            .header(header::CONTENT_LENGTH, length)
            .body(self.body(offset, length, read.clone()).await?);
        let response = tokio::select! {
            response = request.send() => response.map_err(again)?,
            () = stall(&read, self.sender.patience.stalled) => {
                return Err(Failure::Again("the connection has stalled".to_owned()));
            }
        };
        match response.status() {
            StatusCode::ACCEPTED => match self.position(&response)? {
                Step::At(now) if now <= offset => Err(Failure::Again("the plane kept nothing of a chunk".to_owned())),
                step => Ok(step),
            },
            // Another run sends the same archive, or an answer was lost.
            StatusCode::RANGE_NOT_SATISFIABLE => match self.position(&response)? {
                Step::At(now) if now == offset => Err(failure(response).await),
                step => Ok(step),
            },
            _ => Err(failure(response).await),
        }
    }

    /// All is sent; is it what was announced?
    async fn finish(&self) -> Result<Step, Failure> {
        let request = self
            .request(Method::PUT)
            .query(&[("digest", self.archive.sha256.to_string())])
            .header(header::CONTENT_LENGTH, 0)
            .timeout(self.sender.patience.verification);
        let response = request.send().await.map_err(again)?;
        match response.status() {
            StatusCode::CREATED => Ok(Step::Done),
            StatusCode::RANGE_NOT_SATISFIABLE => match self.position(&response)? {
                Step::At(now) if now == self.archive.size => Err(failure(response).await),
                step => Ok(step),
            },
            // With a position in it, it says that the session starts over: the bytes are not what was announced.
            StatusCode::BAD_REQUEST if self.position(&response).is_ok() => Err(Failure::Fatal(SendError::Changed)),
            _ => Err(failure(response).await),
        }
    }

    /// The offset in an answer: in the plane's own header, else in `Range`, where `0-0` is taken for nothing (a single
    /// byte more is then refused with 416, never stored twice).
    fn position(&self, response: &Response) -> Result<Step, Failure> {
        let text = |name: &header::HeaderName| response.headers().get(name).and_then(|value| value.to_str().ok());
        let offset = text(&UPLOAD_OFFSET).and_then(|digits| digits.parse().ok()).or_else(|| {
            match text(&header::RANGE)?.parse::<ContentRange>().ok()? {
                ContentRange { first: 0, last: 0 } => Some(0),
                range => Some(range.last + 1),
            }
        });
        match offset {
            Some(offset) if offset <= self.archive.size => Ok(Step::At(offset)),
            _ => Err(Failure::Fatal(SendError::Refused {
                status: response.status(),
                message: "the answer does not say how many bytes have arrived: is this an upload session of the plane?"
                    .to_owned(),
            })),
        }
    }

    /// `length` bytes of the file from `offset` on, counted as they are read.
    async fn body(&self, offset: u64, length: u64, read: Arc<AtomicU64>) -> Result<Body, Failure> {
        let fatal = |error| Failure::Fatal(SendError::File(error));
        let mut file = tokio::fs::File::open(&self.archive.path).await.map_err(fatal)?;
        if file.metadata().await.map_err(fatal)?.len() != self.archive.size {
            return Err(Failure::Fatal(SendError::Changed));
        }
        file.seek(SeekFrom::Start(offset)).await.map_err(fatal)?;
        let bytes = ReaderStream::with_capacity(file.take(length), 256 << 10);
        Ok(Body::wrap_stream(bytes.inspect_ok(move |bytes| {
            read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        })))
    }
}

/// Returns once `counter` has not moved for `patience`.
async fn stall(counter: &AtomicU64, patience: Duration) {
    loop {
        let before = counter.load(Ordering::Relaxed);
        sleep(patience).await;
        if counter.load(Ordering::Relaxed) == before {
            return;
        }
    }
}

/// What is wrong with a certificate, and what to do.
fn untrusted(cause: &rustls::Error) -> String {
    use rustls::{
        CertificateError::{
            Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet, NotValidYetContext,
        },
        Error::InvalidCertificate,
    };
    match cause {
        InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
            "is for another name: pass --server with a name or address that is in it".to_owned()
        }
        InvalidCertificate(Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. }) => {
            format!("is not good now ({cause}): renew it, or set this machine's clock right")
        }
        cause => format!(
            "is not trusted here ({cause}): put that of its authority into the plane's TLS Secret as ca.crt, from where everybody gets it, or among those that this machine trusts"
        ),
    }
}

/// A request that got no answer; the innermost cause is what a person can act on.
fn again(error: reqwest::Error) -> Failure {
    if let Some(cause @ rustls::Error::InvalidCertificate(_)) = carried(&error) {
        let url = error.url().map(|url| url.origin().ascii_serialization()).unwrap_or_default();
        return Failure::Fatal(SendError::Untrusted { url, cause: cause.clone() });
    }
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    Failure::Again(cause.to_string())
}

/// What an answer other than the one hoped for means.
async fn failure(response: Response) -> Failure {
    let status = response.status();
    let text = response.text().await.unwrap_or_default();
    let message = serde_json::from_str::<serde_json::Value>(&text)
        .ok()
        .and_then(|body| body.pointer("/errors/0/message")?.as_str().map(str::to_owned))
        .unwrap_or_else(|| text.chars().filter(|c| !c.is_control()).take(200).collect());
    match status {
        StatusCode::UNAUTHORIZED => Failure::Fatal(SendError::KeyRefused),
        StatusCode::NOT_FOUND if text.contains("BLOB_UPLOAD_UNKNOWN") => Failure::Fatal(SendError::SessionGone),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS | StatusCode::RANGE_NOT_SATISFIABLE => {
            Failure::Again(message)
        }
        status if status.is_server_error() => Failure::Again(format!("{status}: {message}")),
        status => Failure::Fatal(SendError::Refused { status, message }),
    }
}

/// How long it has been tried, and how often in vain since something last got through.
struct Effort<'a> {
    patience: &'a Patience,
    answered: bool,
    best: Option<u64>,
    since: Instant,
    failures: u32,
}

impl<'a> Effort<'a> {
    fn new(patience: &'a Patience) -> Self {
        Self { patience, answered: false, best: None, since: Instant::now(), failures: 0 }
    }

    /// The server stands at `offset`. Only more bytes than ever before are progress: one that keeps losing them is not
    /// sent the same forever.
    fn at(&mut self, offset: u64) {
        if !self.answered || self.best < Some(offset) {
            (self.answered, self.best, self.since, self.failures) = (true, Some(offset), Instant::now(), 0);
        }
    }

    /// How long to pause before the next try, if there is to be one.
    fn failed(&mut self, upload: &Upload<'_>, cause: &str) -> Result<Duration, SendError> {
        let patience = if self.answered { self.patience.no_progress } else { self.patience.first_answer };
        if self.since.elapsed() >= patience {
            let cause = cause.to_owned();
            return Err(match self.best {
                None => SendError::Unreachable {
                    url: upload.url.origin().ascii_serialization(),
                    cause,
                    loopback: is_loopback(upload.url),
                },
                Some(offset) => SendError::NoProgress { patience, offset, size: upload.archive.size, cause },
            });
        }
        let pause = Duration::from_millis(200 << self.failures.min(5));
        self.failures += 1;
        Ok(pause.mul_f64(0.5 + fastrand::f64() / 2.0))
    }
}
