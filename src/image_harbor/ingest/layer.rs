//! Checking a layer against its diffID while its bytes pass.
//!
//! The bytes go on to the Harbor unchanged, and a copy of each chunk (a reference to it, not its bytes) to a task that
//! inflates and hashes. The stream ends well only after that task has found the diffID, so the Harbor gives a wrong
//! layer no name.

use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio::{io::AsyncReadExt, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::{io::StreamReader, task::AbortOnDropHandle};

use super::inflate::{Budget, inflated};
use crate::{
    digest::{Digest, Hasher},
    image_harbor::{ByteStream, HarborError},
};

/// What was found to be wrong with a layer, if anything, once its stream has ended.
#[derive(Debug, Clone, Default)]
pub(super) struct Verdict(Arc<OnceLock<String>>);

impl Verdict {
    /// What is wrong, as the end of a sentence that begins with the layer.
    pub(super) fn fault(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}

/// A stream of the same bytes that fails at its end when, uncompressed, they are not `diff_id` or exceed the budget.
pub(super) fn checked(bytes: ByteStream, diff_id: Digest, budget: Arc<Budget>) -> (ByteStream, Verdict) {
    let verdict = Verdict::default();
    let passed = Arc::new(AtomicU64::new(0));
    let (feed, fed) = mpsc::channel(1);
    let inflation = AbortOnDropHandle::new(tokio::spawn(uncompressed_digest(fed, passed.clone(), budget)));
    let tee = Tee { bytes, feed, passed, inflation, diff_id, verdict: verdict.clone() };
    let stream = stream::try_unfold(Some(tee), |tee| async {
        match tee {
            Some(tee) => tee.next().await,
            None => Ok(None),
        }
    });
    (Box::pin(stream), verdict)
}

struct Tee {
    bytes: ByteStream,
    feed: mpsc::Sender<Bytes>,
    passed: Arc<AtomicU64>,
    inflation: AbortOnDropHandle<Result<Digest, String>>,
    diff_id: Digest,
    verdict: Verdict,
}

impl Tee {
    async fn next(mut self) -> Result<Option<(Bytes, Option<Self>)>, HarborError> {
        match self.bytes.next().await {
            Some(Ok(chunk)) => {
                self.passed.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                // The task stops listening only when it has found a fault.
                match self.feed.send(chunk.clone()).await {
                    Ok(()) => Ok(Some((chunk, Some(self)))),
                    Err(_) => self.conclude().await.map(|()| None),
                }
            }
            Some(Err(error)) => Err(error),
            None => self.conclude().await.map(|()| None),
        }
    }

    async fn conclude(self) -> Result<(), HarborError> {
        drop(self.feed);
        let fault = match self.inflation.await {
            Ok(Ok(found)) if found == self.diff_id => return Ok(()),
            Ok(Ok(found)) => format!("is {found} uncompressed, but the image config says {}", self.diff_id),
            Ok(Err(fault)) => fault,
            Err(error) => return Err(HarborError::Source(io::Error::other(error))),
        };
        let error = io::Error::new(io::ErrorKind::InvalidData, fault.clone());
        // Only this stream writes its verdict, and only once.
        let _ = self.verdict.0.set(fault);
        Err(HarborError::Source(error))
    }
}

async fn uncompressed_digest(
    bytes: mpsc::Receiver<Bytes>,
    passed: Arc<AtomicU64>,
    budget: Arc<Budget>,
) -> Result<Digest, String> {
    let unreadable = |error: io::Error| format!("cannot be decompressed ({error})");
    let source = StreamReader::new(ReceiverStream::new(bytes).map(Ok::<_, io::Error>));
    let mut content = inflated(source).await.map_err(unreadable)?;
    let (mut hasher, mut total, mut buffer) = (Hasher::new(), 0, vec![0; 64 * 1024]);
    loop {
        let read = content.read(&mut buffer).await.map_err(unreadable)?;
        if read == 0 {
            return Ok(hasher.finish());
        }
        total += read as u64;
        budget
            .spend(read as u64, passed.load(Ordering::Relaxed), total)
            .map_err(|fault| format!("is refused: {fault}"))?;
        hasher.update(&buffer[..read]);
        // One small chunk may inflate to gigabytes: others get their turn.
        tokio::task::consume_budget().await;
    }
}
