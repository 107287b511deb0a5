//! The OCI Distribution API over the Harbor and the Chart Store.
//!
//! Everything that the plane stores is read here, by whatever reads registries: [`reads`] has the requests, [`readers`]
//! who may send them, [`repository`] the names. All of it is read only.
//!
//! # Blob upload sessions
//!
//! They are the only way bytes come in. Sessions are opened by the plane for an `ImageUpload`, whose `status.upload.url` names one. From there on it is
//! the protocol of the OCI distribution-spec 1.1, "Pushing a blob in chunks": `GET` says how far it is, `PATCH` brings
//! the next bytes, `PUT` completes, `DELETE` gives up. Who holds the upload key may send, and only the bytes announced.
//!
//! | request | answer | refusals |
//! | --- | --- | --- |
//! | `GET` | 204 `Range: 0-<last>`, `Orbit-Upload-Offset: <n>` | |
//! | `PATCH`, `Content-Range: <first>-<last>` | 202 `Location`, `Range`, `Orbit-Upload-Offset` | 400 length, 408 too slow, 413 beyond the announced size, 415 type, 416 not the next bytes, 429 |
//! | `PUT ?digest=` | 201 `Location`, `Docker-Content-Digest` | 400 digest (a wrong content starts over), 416 bytes missing, 429 |
//! | `DELETE` | 204 | 404 already complete |
//!
//! All: 401 without the key, 404 for a session that is not of this path, 503 while a store is down. After 408, 413
//! and 416 the answer says where the session stands.

mod complete;
pub mod content_range;
mod pieces;
pub mod readers;
mod reads;
mod receive;
mod refusal;
pub mod repository;
mod session;
mod upload;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{MethodRouter, any, get, post},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};

use self::{complete::Verifications, readers::Readers, reads::KnownReferrers, refusal::Refusal};
pub use self::{pieces::PieceLimits, reads::Redirects, session::UPLOAD_OFFSET};
use crate::{chart_store::ChartStore, image_harbor::ImageHarbor, release::ApplicationKey};

/// How much the registry takes on at once.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bodies that are received at the same time, each with a piece in memory.
    pub receiving: usize,
    /// Archives that are verified at the same time.
    pub verifying: usize,
    /// How long a request waits for its turn before it is told to come back (429).
    pub patience: Duration,
    /// Of a body's pieces.
    pub pieces: PieceLimits,
}

impl Default for Limits {
    /// 8 received and 2 verified at a time: 64 MiB of pieces at most.
    fn default() -> Self {
        Self { receiving: 8, verifying: 2, patience: Duration::from_secs(10), pieces: PieceLimits::default() }
    }
}

/// The registry's stores, and who is told when an archive is complete. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Registry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    harbor: Arc<dyn ImageHarbor>,
    chart_store: ChartStore,
    completed: mpsc::Sender<ApplicationKey>,
    readers: Readers,
    redirects: Option<Redirects>,
    known_referrers: KnownReferrers,
    limits: Limits,
    receiving: Arc<Semaphore>,
    verifying: Arc<Semaphore>,
    verifications: Verifications,
}

impl Registry {
    /// A registry that tells `completed` whose archive has arrived, or whose upload was given up. Who may read is for
    /// `readers` to say; where there are `redirects`, clients fetch blobs from where the Harbor keeps them.
    ///
    /// The message is a wake-up only: it is lost when the plane dies, and what it speaks of is in the Chart Store.
    pub fn new(
        harbor: Arc<dyn ImageHarbor>,
        chart_store: ChartStore,
        completed: mpsc::Sender<ApplicationKey>,
        readers: Readers,
        redirects: Option<Redirects>,
        limits: Limits,
    ) -> Self {
        let (receiving, verifying) = (Semaphore::new(limits.receiving), Semaphore::new(limits.verifying));
        Self(Arc::new(Inner {
            harbor,
            chart_store,
            completed,
            readers,
            redirects,
            known_referrers: KnownReferrers::default(),
            limits,
            receiving: Arc::new(receiving),
            verifying: Arc::new(verifying),
            verifications: Verifications::default(),
        }))
    }

    fn harbor(&self) -> &dyn ImageHarbor {
        self.0.harbor.as_ref()
    }

    fn chart_store(&self) -> &ChartStore {
        &self.0.chart_store
    }

    /// The Chart Store, where it is about upload sessions.
    fn sessions(&self) -> &ChartStore {
        &self.0.chart_store
    }

    fn readers(&self) -> &Readers {
        &self.0.readers
    }

    fn redirects(&self) -> Option<&Redirects> {
        self.0.redirects.as_ref()
    }

    fn known_referrers(&self) -> &KnownReferrers {
        &self.0.known_referrers
    }

    fn limits(&self) -> &Limits {
        &self.0.limits
    }

    fn verifications(&self) -> &Verifications {
        &self.0.verifications
    }

    async fn permit_to_receive(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        self.permit(&self.0.receiving).await
    }

    async fn permit_to_verify(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        self.permit(&self.0.verifying).await
    }

    async fn permit(&self, semaphore: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Refusal> {
        match timeout(self.0.limits.patience, semaphore.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Refusal::Busy),
        }
    }

    async fn wake(&self, key: ApplicationKey) {
        // Nobody listens while the plane shuts down; the next start looks at every session anyway.
        let _ = self.0.completed.send(key).await;
    }
}

/// The repository in which a path below `/v2` wants to read, if it is such a path.
pub fn requested_repository(path: &str) -> Option<repository::Repository> {
    reads::repository(path.strip_prefix("/v2")?)
}

/// The path of an upload session.
const SESSION: &str = "/v2/{namespace}/{application}/blobs/uploads/{session}";

fn session() -> MethodRouter<Registry> {
    get(upload::status).patch(upload::append).put(upload::finish).delete(upload::cancel).fallback(upload::unsupported)
}

/// Upload sessions, and nothing else of `/v2`.
pub fn uploads<S: Clone + Send + Sync + 'static>(registry: Registry) -> Router<S> {
    Router::new().route(SESSION, session()).layer(DefaultBodyLimit::disable()).with_state(registry)
}

/// The routes under `/v2`.
pub fn router(registry: Registry) -> Router {
    let token = get(readers::issue_by_query).post(readers::issue_by_form).with_state(registry.readers().clone());
    Router::new()
        .route("/v2/{namespace}/{application}/blobs/uploads/", post(upload::start).fallback(upload::start))
        .route("/v2/{namespace}/{application}/blobs/uploads", post(upload::start).fallback(upload::start))
        .route(SESSION, session())
        .route("/v2/token", token)
        .route("/v2/", any(reads::base))
        // Names have as many segments as they like, which no route can say.
        .nest("/v2", Router::new().fallback(reads::serve))
        // Bodies are bounded by the announced size, which is checked before anything is read.
        .layer(DefaultBodyLimit::disable())
        .with_state(registry)
}
