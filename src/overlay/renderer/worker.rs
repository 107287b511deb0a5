//! One renderer process: asked one thing at a time, killed when it is dropped.

use std::{path::Path, process::Stdio, time::Duration};

use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use super::protocol::{RenderFailure, Reply};

/// The longest frame in either direction, in bytes.
const MAX_FRAME: u32 = 64 * 1024 * 1024;

/// Why a worker did not answer.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The program could not be started.
    #[error("starting the renderer {program}: {source} (set --renderer to the orbit-renderer program)")]
    Start {
        /// Its path.
        program: String,
        /// Why not.
        source: std::io::Error,
    },
    /// It took longer than allowed and was killed.
    #[error("no answer within {} s: the renderer was stopped (look for an endless loop in a template, or divide an overlay of thousands of objects)", .0.as_secs())]
    Timeout(Duration),
    /// It died, or answered something that is no answer.
    #[error("the renderer stopped unexpectedly: {0}")]
    Died(String),
}

/// A running renderer process.
#[derive(Debug)]
pub struct Worker {
    // Killed on drop, which is also what ends a worker that exceeded its time.
    _process: Child,
    requests: ChildStdin,
    replies: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts the program with an empty environment.
    pub fn start(program: &Path) -> Result<Self, WorkerError> {
        let start_error = |source| WorkerError::Start { program: program.display().to_string(), source };
        let mut process = Command::new(program)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .map_err(start_error)?;
        let (Some(requests), Some(replies)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(start_error(std::io::Error::other("its standard streams are not piped")));
        };
        Ok(Self { _process: process, requests, replies: BufReader::new(replies) })
    }

    /// Asks one question. After an `Err` of [`WorkerError`] the worker is of no further use.
    pub async fn ask<T: DeserializeOwned>(
        &mut self,
        request: &impl Serialize,
        limit: Duration,
    ) -> Result<Result<T, RenderFailure>, WorkerError> {
        let reply = timeout(limit, self.exchange(request)).await.map_err(|_| WorkerError::Timeout(limit))??;
        let reply: Reply<T> =
            serde_json::from_slice(&reply).map_err(|e| WorkerError::Died(format!("its reply: {e}")))?;
        reply.into_result().ok_or_else(|| WorkerError::Died("its reply is neither a result nor an error".into()))
    }

    async fn exchange(&mut self, request: &impl Serialize) -> Result<Vec<u8>, WorkerError> {
        let died = |e: std::io::Error| WorkerError::Died(e.to_string());
        let body = serde_json::to_vec(request).map_err(|e| WorkerError::Died(e.to_string()))?;
        let length = u32::try_from(body.len()).ok().filter(|n| *n <= MAX_FRAME).ok_or_else(|| {
            WorkerError::Died(format!("the request has {} bytes, {MAX_FRAME} are allowed", body.len()))
        })?;
        self.requests.write_u32(length).await.map_err(died)?;
        self.requests.write_all(&body).await.map_err(died)?;
        self.requests.flush().await.map_err(died)?;
        let length = self.replies.read_u32().await.map_err(died)?;
        if length > MAX_FRAME {
            return Err(WorkerError::Died(format!("its reply has {length} bytes, {MAX_FRAME} are allowed")));
        }
        let mut reply = vec![0; length as usize];
        self.replies.read_exact(&mut reply).await.map_err(died)?;
        Ok(reply)
    }
}
