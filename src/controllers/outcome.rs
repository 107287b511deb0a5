//! How a pipeline ends: ready, or halted at a step, in words for the person who reads `kubectl describe`.

use std::{borrow::Cow, time::Duration};

use crate::{
    api::{ConditionStatus, reason},
    chart_store::ChartStoreError,
    image_harbor::{HarborError, ingest::IngestError},
    manifestor::ManifestorError,
    overlay::renderer::{RenderError, WorkerError},
};

/// How long until something that only others can mend (a registry's content, a Secret) is looked at again unasked.
const LOOK_AGAIN: Duration = Duration::from_secs(300);

/// The object is what its spec asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// One of [`reason`].
    pub reason: &'static str,
    /// What there is now.
    pub message: String,
    /// What else is worth a condition.
    pub observations: Vec<Observation>,
    /// When to look again although nothing has changed.
    pub again: Option<Duration>,
}

/// A condition besides Ready, Reconciling and Stalled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Its type.
    pub type_: &'static str,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// Why, in one word.
    pub reason: Cow<'static, str>,
    /// Why, in a sentence.
    pub message: String,
}

impl Observation {
    /// It holds, or not.
    pub fn new(
        type_: &'static str,
        holds: bool,
        reason: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        let status = if holds { ConditionStatus::True } else { ConditionStatus::False };
        Self { type_, status, reason: reason.into(), message: message.into() }
    }

    /// It is not known whether it holds.
    pub fn unknown(type_: &'static str, reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { type_, status: ConditionStatus::Unknown, reason: reason.into(), message: message.into() }
    }
}

impl Ready {
    /// All is as asked.
    pub fn succeeded(message: impl Into<String>) -> Self {
        Self { reason: reason::SUCCEEDED, message: message.into(), observations: Vec::new(), again: None }
    }

    /// Nothing is allowed here or asked for: a healthy state.
    pub fn idle(message: impl Into<String>) -> Self {
        Self { reason: reason::IDLE, ..Self::succeeded(message) }
    }

    /// With something else that is worth a condition.
    pub fn observing(mut self, observations: impl IntoIterator<Item = Observation>) -> Self {
        self.observations.extend(observations);
        self
    }

    /// Looks again after this long.
    pub fn again(self, after: Duration) -> Self {
        Self { again: Some(after), ..self }
    }
}

/// Why a pipeline went no further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {message}")]
pub struct Halt {
    /// Who can make it go on.
    pub kind: HaltKind,
    /// One word: of [`reason`], or the renderer's own.
    pub reason: Cow<'static, str>,
    /// What is wrong, where, and what to do.
    pub message: String,
    /// What else is worth a condition. Others stay as they were.
    pub observations: Vec<Observation>,
    /// What is mostly over within that time is told of only after it.
    pub untold_for: Option<Duration>,
}

/// Who can make a halted pipeline go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HaltKind {
    /// An event that the plane is woken by: bytes arrive, a chart is published.
    Waiting {
        /// When to look again in any case, where time itself is what is waited for.
        again: Option<Duration>,
    },
    /// Somebody who changes something. Looked at again after a while where the change may be out of the plane's sight.
    Stalled {
        /// That while.
        again: Option<Duration>,
    },
    /// Nobody: it is tried again, ever more seldom.
    Retry,
}

impl Halt {
    /// Something that the plane is woken by is to come.
    pub fn waiting(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(HaltKind::Waiting { again: None }, reason, message)
    }

    /// Something is to come, and is looked for after this long in any case.
    pub fn waiting_for(after: Duration, reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(HaltKind::Waiting { again: Some(after) }, reason, message)
    }

    /// Somebody has to change something.
    pub fn stalled(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(HaltKind::Stalled { again: None }, reason, message)
    }

    /// Somebody has to change something, which is looked for after this long.
    pub fn stalled_for(after: Duration, reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(HaltKind::Stalled { again: Some(after) }, reason, message)
    }

    /// Somebody has to change something that the plane does not watch.
    pub fn stalled_outside(reason: &'static str, message: impl Into<String>) -> Self {
        Self::stalled_for(LOOK_AGAIN, reason, message)
    }

    /// Trying again later may do.
    pub fn retry(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(HaltKind::Retry, reason, message)
    }

    fn new(kind: HaltKind, reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { kind, reason: reason.into(), message: message.into(), observations: Vec::new(), untold_for: None }
    }

    /// It is mostly over within a moment.
    pub fn untold_for(self, moment: Duration) -> Self {
        Self { untold_for: Some(moment), ..self }
    }

    /// With something else that is worth a condition.
    pub fn observing(mut self, observations: impl IntoIterator<Item = Observation>) -> Self {
        self.observations.extend(observations);
        self
    }
}

impl From<ChartStoreError> for Halt {
    fn from(error: ChartStoreError) -> Self {
        let message = error.to_string();
        match error {
            ChartStoreError::VersionConflict { .. } => Self::stalled(reason::VERSION_CONFLICT, message),
            ChartStoreError::VersionPurged { .. } => Self::stalled(reason::VERSION_PURGED, message),
            ChartStoreError::ReleaseUnknown { .. } => Self::stalled(reason::RELEASE_NOT_FOUND, message),
            ChartStoreError::TooLarge(_) => Self::stalled(reason::INVALID_SPEC, message),
            ChartStoreError::Contended { .. } => Self::retry(reason::PROGRESSING, message),
            ChartStoreError::Unavailable { .. } => {
                let message = format!("the Chart Store cannot be used now, the work goes on when it can: {message}");
                Self::retry(reason::STORE_UNAVAILABLE, message)
            }
            _ => Self::retry(reason::INTERNAL, message),
        }
    }
}

impl From<HarborError> for Halt {
    fn from(error: HarborError) -> Self {
        match &error {
            HarborError::Unavailable { .. } => {
                let message = format!("the Image Harbor cannot be used now, the work goes on when it can: {error}");
                Self::retry(reason::STORE_UNAVAILABLE, message)
            }
            HarborError::Damaged { .. } => Self::stalled_outside(reason::INTERNAL, error.to_string()),
            _ => Self::retry(reason::INTERNAL, error.to_string()),
        }
    }
}

impl From<IngestError> for Halt {
    fn from(error: IngestError) -> Self {
        let message = error.to_string();
        match error {
            IngestError::Store(error) => error.into(),
            error if error.is_transient() => Self::retry(error.reason(), message),
            // The registry's content and accounts change without the plane being told.
            IngestError::ImageNotFound(_) | IngestError::Unauthorized(_) => {
                Self::stalled_outside(error.reason(), message)
            }
            error => Self::stalled(error.reason(), message),
        }
    }
}

impl From<ManifestorError> for Halt {
    fn from(error: ManifestorError) -> Self {
        match error {
            ManifestorError::Harbor(error) => error.into(),
            error => Self::stalled(reason::CHART_INVALID, error.to_string()),
        }
    }
}

impl From<RenderError> for Halt {
    fn from(error: RenderError) -> Self {
        match error {
            RenderError::Refused(failure) => Self::stalled(failure.reason.clone(), failure.to_string()),
            RenderError::Worker(error @ WorkerError::Timeout(_)) => {
                // It may have been the machine's fault.
                Self::stalled_outside(reason::RENDER_TIMEOUT, error.to_string())
            }
            RenderError::Worker(error) => Self::retry(reason::RENDERER_FAILED, error.to_string()),
        }
    }
}

impl From<kube::Error> for Halt {
    fn from(error: kube::Error) -> Self {
        match error {
            // Somebody else changed the object first: the change brings a new look.
            kube::Error::Api(status) if status.code == 409 => Self::retry(reason::PROGRESSING, status.message),
            kube::Error::Api(status) if status.code == 422 => Self::stalled(reason::INVALID_SPEC, status.message),
            kube::Error::Api(status) => {
                Self::retry(reason::INTERNAL, format!("the API server says: {}", status.message))
            }
            error => Self::retry(reason::INTERNAL, format!("the API server cannot be asked: {error}")),
        }
    }
}
