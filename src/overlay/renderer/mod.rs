//! The renderer: Helm's and Kustomize's own libraries in long-lived worker processes (`renderer/`, in Go).
//!
//! Kustomize's library is not safe for concurrent use (kustomize#3659), so a worker does one thing at a time and there
//! are several. A worker that exceeds its time is killed, one that dies is replaced; both hit only the rendering that
//! caused it.

mod protocol;
mod worker;

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, OnceCell, Semaphore};

pub use protocol::{HelmRelease, ObjectRef, RenderFailure, RenderRequest, Rendering, SelectRequest, Versions};
use protocol::{PingReply, Request, SelectReply};
use worker::Worker;
pub use worker::WorkerError;

/// Starting up includes loading Kustomize's schemas; this is generous on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A pool of renderer processes.
#[derive(Debug)]
pub struct Renderer {
    program: PathBuf,
    timeout: Duration,
    slots: Semaphore,
    idle: Mutex<Vec<Worker>>,
    versions: OnceCell<Versions>,
    renderings: AtomicU64,
}

/// Why there is no rendering.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The input's fault; trying again is of no use.
    #[error("{0}")]
    Refused(RenderFailure),
    /// The renderer's fault, or an input that takes too long.
    #[error(transparent)]
    Worker(#[from] WorkerError),
}

impl Renderer {
    /// A pool of up to `workers` processes of `program`, each rendering stopped after `timeout`. Nothing starts yet.
    pub fn new(program: PathBuf, workers: usize, timeout: Duration) -> Self {
        Self {
            program,
            timeout,
            slots: Semaphore::new(workers.max(1)),
            idle: Mutex::default(),
            versions: OnceCell::new(),
            renderings: AtomicU64::new(0),
        }
    }

    /// The versions of what renders; starts a worker the first time.
    pub async fn versions(&self) -> Result<&Versions, RenderError> {
        self.versions.get_or_try_init(async || Ok(self.ask::<PingReply>(&Request::Ping).await?.versions)).await
    }

    /// The newest of `versions` that the range allows.
    pub async fn select(&self, request: SelectRequest<'_>) -> Result<Option<String>, RenderError> {
        Ok(self.ask::<SelectReply>(&Request::Select(request)).await?.version)
    }

    /// Renders.
    pub async fn render(&self, request: RenderRequest<'_>) -> Result<Rendering, RenderError> {
        self.renderings.fetch_add(1, Ordering::Relaxed);
        self.ask(&Request::Render(Box::new(request))).await
    }

    /// How many renderings were asked for since the start.
    pub fn renderings(&self) -> u64 {
        self.renderings.load(Ordering::Relaxed)
    }

    async fn ask<T: DeserializeOwned>(&self, request: &Request<'_>) -> Result<T, RenderError> {
        let _slot = self.slots.acquire().await.expect("the semaphore is never closed");
        // A worker that died while idle is no fault of this request: try the next, at last a new one.
        loop {
            let waiting = self.idle.lock().await.pop();
            let fresh = waiting.is_none();
            let mut worker = match waiting {
                Some(worker) => worker,
                None => self.start().await?,
            };
            match worker.ask(request, self.timeout).await {
                Ok(answer) => {
                    self.idle.lock().await.push(worker);
                    return answer.map_err(RenderError::Refused);
                }
                Err(WorkerError::Died(_)) if !fresh => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn start(&self) -> Result<Worker, WorkerError> {
        let mut worker = Worker::start(&self.program)?;
        match worker.ask::<PingReply>(&Request::Ping, START_TIMEOUT).await? {
            Ok(_) => Ok(worker),
            Err(failure) => Err(WorkerError::Died(failure.message)),
        }
    }
}
