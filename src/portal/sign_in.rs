//! Who a Kubernetes token is of: the API server knows.

use std::{net::IpAddr, time::Instant};

use jiff::Timestamp;

use super::{
    Portal,
    authority::{Authority, expiry, who_is},
    problem::Problem,
    sessions::User,
};
use crate::registry::readers::Secret;

/// Whom the API server knows by a token.
pub struct Identified {
    /// Who it is.
    pub user: User,
    /// The API server, asked as them.
    pub client: kube::Client,
    /// When the token ends, where it says so.
    pub until: Option<Timestamp>,
}

/// Who has this token. Whoever sends wrong ones has to wait.
///
/// # Errors
/// 401 where the API server does not know it, 429 after too many of those from one network.
pub async fn with_token(portal: &Portal, token: &Secret, peer: IpAddr) -> Result<Identified, Problem> {
    if let Some(wait) = portal.guesses().wait(peer, Instant::now()) {
        return Err(Problem::too_many_requests(wait));
    }
    let client = portal.cluster().client(&Authority::Token(token.clone())).map_err(|error| {
        tracing::error!("a client of the API server could not be made: {error:#}");
        Problem::unavailable("the API server cannot be asked: try again in a moment")
    })?;
    let Some(user) = who_is(&client).await.map_err(Problem::of_api_server)? else {
        return Err(wrong(portal, peer));
    };
    tracing::info!(user = user.name, %peer, "signed in with a token");
    Ok(Identified { user, client, until: expiry(token) })
}

/// Notes a token that is none.
pub fn wrong(portal: &Portal, peer: IpAddr) -> Problem {
    portal.guesses().note(peer, Instant::now());
    Problem::unauthorized(
        "the API server does not know this token, or it has expired: get a new one, as with kubectl create token",
    )
}
