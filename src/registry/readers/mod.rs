//! Who may read: credentials are always needed, and what they open is asked of whoever gave them out.
//!
//! | credentials | who answers for them | what they open |
//! | --- | --- | --- |
//! | a Kubernetes token, as `Bearer` or as the password of any user | TokenReview | namespaces in which a SubjectAccessReview allows `get` on the subresource `content` of `imageuploads`, `helmcharts` or `environmentoverlays` |
//! | a cluster's robot, user `orbit-cluster.<namespace>.<name>` | [`Robots`] | the namespaces whose overlays may go to that cluster |
//! | a token of the registry's own, as `Bearer` | [`tokens`] | the repositories for which `/v2/token` gave it out, for five minutes |
//!
//! Answers of the API server are kept for ten seconds. Whoever guesses is slowed down by address, and that is all that
//! guessing gains: an answer tells nothing of what is stored to those who may not read it.

mod challenge;
mod credentials;
mod denial;
mod endpoint;
mod kubernetes;
mod robots;
#[cfg(test)]
pub mod testing;
mod tokens;

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::http::HeaderMap;
use url::Url;

use self::{
    challenge::Challenger,
    kubernetes::{Kubernetes, User},
    tokens::{Tokens, Verdict},
};
pub use self::{
    credentials::{Credentials, Secret},
    denial::Denial,
    endpoint::{issue_by_form, issue_by_query},
    robots::{Access, ROBOT_PREFIX, Robots},
};
use super::repository::Repository;
use crate::{brief::Brief, digest::Digest, guesses::Guesses, requests::Sender};

/// How long an answer of the API server stands.
const FRESH: Duration = Duration::from_secs(10);
/// Credentials that are remembered at most.
const MAX_REMEMBERED: usize = 1024;

/// Where the registry is reached, which its challenges have to say.
#[derive(Debug, Clone)]
pub struct Place {
    /// Where clients find it as a rule.
    pub public_url: Url,
    /// Whether it speaks TLS itself.
    pub tls: bool,
}

/// Decides who may read what. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Readers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    challenger: Challenger,
    kubernetes: Kubernetes,
    robots: Option<Arc<dyn Robots>>,
    tokens: Tokens,
    guesses: Guesses,
    identities: Brief<Digest, Option<Identity>>,
}

/// Whose credentials these are.
#[derive(Debug, Clone)]
enum Identity {
    User(Arc<User>),
    Robot(Arc<Access>),
}

impl Identity {
    /// What the history calls them: a user as the API server does, a robot by its own name.
    fn name<'a>(&'a self, credentials: &'a Credentials) -> &'a str {
        match (self, credentials) {
            (Self::User(user), _) => user.name(),
            (Self::Robot(_), Credentials::Basic { user, .. }) => user,
            (Self::Robot(_), _) => ROBOT_PREFIX,
        }
    }
}

impl Readers {
    /// Readers whom this cluster knows, and robots, where there are some.
    pub fn new(client: kube::Client, robots: Option<Arc<dyn Robots>>, place: Place) -> Self {
        Self(Arc::new(Inner {
            challenger: Challenger::new(place),
            kubernetes: Kubernetes::new(client),
            robots,
            tokens: Tokens::new(),
            guesses: Guesses::default(),
            identities: Brief::new(FRESH, MAX_REMEMBERED),
        }))
    }

    /// What a request without sufficient credentials is told: `WWW-Authenticate`.
    pub fn challenge(&self, headers: &HeaderMap, repository: Option<&Repository>) -> String {
        self.0.challenger.challenge(headers, repository)
    }

    /// Whether a request from `peer` may read in a repository; without one, whether its credentials are good. `sender` is
    /// told who it is from, as soon as that is known.
    pub async fn admit(
        &self,
        credentials: &Credentials,
        peer: IpAddr,
        repository: Option<&Repository>,
        sender: &Sender,
    ) -> Result<(), Denial> {
        if let Credentials::Bearer(token) = credentials
            && Tokens::is_own(token)
        {
            let verdict = self.0.tokens.verify(token, jiff::Timestamp::now());
            if let Verdict::Good(grant) = &verdict {
                sender.is(&grant.holder);
            }
            return match (verdict, repository) {
                (Verdict::Good(_), None) => Ok(()),
                (Verdict::Good(grant), Some(repository)) => grant.allows(repository),
                (Verdict::Expired, _) => Err(Denial::Expired),
                (Verdict::Forged, _) => Err(Denial::Wrong),
            };
        }
        let identity = self.identify(credentials, peer).await?;
        sender.is(identity.name(credentials));
        match repository {
            Some(repository) if !self.may_read(credentials, &identity, repository).await? => Err(Denial::Forbidden),
            _ => Ok(()),
        }
    }

    /// A token for those of the repositories that the credentials open.
    async fn issue(
        &self,
        credentials: &Credentials,
        peer: IpAddr,
        asked: Vec<Repository>,
        sender: &Sender,
    ) -> Result<tokens::Issued, Denial> {
        let identity = self.identify(credentials, peer).await?;
        let holder = identity.name(credentials).to_owned();
        sender.is(&holder);
        let mut grant = tokens::Grant { holder, ..tokens::Grant::default() };
        for repository in asked {
            match self.may_read(credentials, &identity, &repository).await? {
                true => grant.granted.insert(repository),
                false => grant.refused.insert(repository),
            };
        }
        Ok(self.0.tokens.issue(grant, jiff::Timestamp::now()))
    }

    /// Whose credentials these are. Those that are good stay so for a moment, however many wrong ones come from the
    /// same address.
    async fn identify(&self, credentials: &Credentials, peer: IpAddr) -> Result<Identity, Denial> {
        let fingerprint = credentials.fingerprint().ok_or(Denial::Missing)?;
        match self.0.identities.get(&fingerprint) {
            Some(Some(identity)) => return Ok(identity),
            Some(None) => {
                self.0.guesses.note(peer, Instant::now());
                return Err(Denial::Wrong);
            }
            None => {}
        }
        if let Some(wait) = self.0.guesses.wait(peer, Instant::now()) {
            return Err(Denial::TooManyGuesses { wait });
        }
        let identity = self.ask(credentials).await?;
        self.0.identities.keep(fingerprint, identity.clone());
        identity.ok_or_else(|| {
            self.0.guesses.note(peer, Instant::now());
            Denial::Wrong
        })
    }

    async fn ask(&self, credentials: &Credentials) -> Result<Option<Identity>, Denial> {
        let token = match credentials {
            Credentials::None => return Ok(None),
            // A robot's password is nobody's token, and is not shown to the API server.
            Credentials::Basic { user, password } if user.starts_with(ROBOT_PREFIX) => {
                let Some(robots) = &self.0.robots else { return Ok(None) };
                let access = robots.authenticate(user, password).await.map_err(Denial::Unavailable)?;
                return Ok(access.map(|access| Identity::Robot(Arc::new(access))));
            }
            Credentials::Basic { password, .. } => password,
            Credentials::Bearer(token) => token,
        };
        let user = self.0.kubernetes.user(token).await.map_err(Denial::Unavailable)?;
        Ok(user.map(|user| Identity::User(Arc::new(user))))
    }

    async fn may_read(
        &self,
        credentials: &Credentials,
        identity: &Identity,
        repository: &Repository,
    ) -> Result<bool, Denial> {
        match identity {
            Identity::Robot(access) => Ok(access.includes(&repository.key.namespace)),
            Identity::User(user) => {
                let fingerprint = credentials.fingerprint().ok_or(Denial::Missing)?;
                self.0.kubernetes.may_read(fingerprint, user, repository).await.map_err(Denial::Unavailable)
            }
        }
    }
}
