//! A few requests at a time hold an object of a user's in memory, where it may be a hundred times as large as it was on
//! the way, or compare two sides of an application, which takes a processor. The others wait for their turn: first among
//! those of their own session, so that nobody's many requests stand before another's one.

use std::{sync::Arc, time::Duration};

use axum::{extract::FromRequestParts, http::request::Parts};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{Portal, problem::Problem, sessions::Session, visitor::Visitor};

/// Objects in memory at a time: each may take some 100 MB.
const OBJECTS: usize = 6;
/// Of one session.
pub const OBJECTS_OF_SESSION: usize = 2;
/// Comparisons at a time: there are as few renderers, which the plane itself works with.
const COMPARISONS: usize = 2;
/// Of one session.
pub const COMPARISONS_OF_SESSION: usize = 1;
/// Event streams at a time: each may have some objects in memory that its client is slow to take.
const STREAMS: usize = 256;
/// Of one session.
pub const STREAMS_OF_SESSION: usize = 8;
/// The longest that one waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many there may be.
#[derive(Debug)]
pub struct Turns {
    objects: Arc<Semaphore>,
    comparisons: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

impl Default for Turns {
    fn default() -> Self {
        let places = |number| Arc::new(Semaphore::new(number));
        Self { objects: places(OBJECTS), comparisons: places(COMPARISONS), streams: places(STREAMS) }
    }
}

/// It is this request's turn, for as long as this is held.
#[derive(Debug)]
pub struct Turn {
    _own: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Turns {
    /// To hold an object in memory.
    ///
    /// # Errors
    /// 429, where it takes too long.
    pub async fn object(&self, session: &Session) -> Result<Turn, Problem> {
        Turn::wait(&session.objects, &self.objects, PATIENCE).await
    }

    /// To compare.
    ///
    /// # Errors
    /// 429, where it takes too long.
    pub async fn comparison(&self, session: &Session) -> Result<Turn, Problem> {
        Turn::wait(&session.comparisons, &self.comparisons, PATIENCE).await
    }

    /// To be told of changes, for as long as it takes.
    ///
    /// # Errors
    /// 429, where there are too many: none of them would end soon.
    pub fn stream(&self, session: &Session) -> Result<Turn, Problem> {
        let take = |places: &Arc<Semaphore>| places.clone().try_acquire_owned();
        let own = take(&session.streams).map_err(|_| Problem::too_many_streams_of_session())?;
        let of_all = take(&self.streams).map_err(|_| Problem::too_many_streams())?;
        Ok(Turn { _own: own, _of_all: of_all })
    }
}

impl Turn {
    async fn wait(own: &Arc<Semaphore>, of_all: &Arc<Semaphore>, patience: Duration) -> Result<Self, Problem> {
        let waiting = async {
            let own = own.clone().acquire_owned().await.ok()?;
            Some(Self { _own: own, _of_all: of_all.clone().acquire_owned().await.ok()? })
        };
        timeout(patience, waiting).await.ok().flatten().ok_or_else(Problem::too_many_at_once)
    }
}

/// For handlers that read an object.
impl FromRequestParts<Portal> for Turn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Problem> {
        let Visitor(session) = Visitor::from_request_parts(parts, portal).await?;
        portal.turns().object(&session).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_takes_the_turn_of_others() {
        let (hers, his, all) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(2)));
        let soon = Duration::from_millis(20);
        let first = Turn::wait(&hers, &all, soon).await.unwrap();
        assert!(Turn::wait(&hers, &all, soon).await.is_err(), "she has one");
        let other = Turn::wait(&his, &all, soon).await.unwrap();
        drop((first, other));
        Turn::wait(&hers, &all, soon).await.unwrap();
    }
}
