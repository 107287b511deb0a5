//! Credentials of machines: a cluster's own, with which it pulls.

use std::{collections::BTreeSet, fmt::Debug};

use async_trait::async_trait;

use super::Secret;

/// What the names of robots begin with; such a user's password is shown to nobody but [`Robots`].
pub const ROBOT_PREFIX: &str = "orbit-cluster.";

/// Whoever knows the robots.
#[async_trait]
pub trait Robots: Debug + Send + Sync {
    /// What a robot with this name and password may read; none where there is no such robot, or another password. An
    /// error is for when that cannot be told.
    ///
    /// An answer is kept for some seconds: robots that are revoked read for so long, and tokens that they were given
    /// for five minutes.
    async fn authenticate(&self, user: &str, password: &Secret) -> anyhow::Result<Option<Access>>;
}

/// The namespaces in whose repositories somebody may read everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// All of them.
    All,
    /// These.
    Namespaces(BTreeSet<String>),
}

impl Access {
    /// Whether a namespace is one of them.
    pub fn includes(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Namespaces(namespaces) => namespaces.contains(namespace),
        }
    }
}
