//! Whether somebody may see what the Viewport and the journal hold. Kubernetes RBAC says so, of the objects that this is
//! the history of.

use std::{fmt, time::Duration};

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::{Api, api::PostParams};

use super::{problem::Problem, sessions::Session};
use crate::{api::GROUP, brief::Brief, digest::Digest};

/// How long an answer of the API server stands.
const FRESH: Duration = Duration::from_secs(10);
/// Answers that are remembered at most.
const MAX_REMEMBERED: usize = 16_384;

/// What somebody has to be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Right {
    /// To read what became of uploads: `get` on `imageuploads`.
    GetUploads,
    /// To see that there are any: `list` on `imageuploads`.
    ListUploads,
    /// To read a chart: `get` on `helmcharts`.
    GetCharts,
    /// To read what is rendered for an environment: `get` on `environmentoverlays`.
    GetOverlays,
    /// To read what became of environments: `list` on `environmentoverlays`.
    ListOverlays,
}

impl Right {
    fn verb_and_resource(self) -> (&'static str, &'static str) {
        match self {
            Self::GetUploads => ("get", "imageuploads"),
            Self::ListUploads => ("list", "imageuploads"),
            Self::GetCharts => ("get", "helmcharts"),
            Self::GetOverlays => ("get", "environmentoverlays"),
            Self::ListOverlays => ("list", "environmentoverlays"),
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, resource) = self.verb_and_resource();
        write!(f, "{verb} {resource}.{GROUP}")
    }
}

/// What the API server said lately.
#[derive(Debug)]
pub struct Access(Brief<(Digest, Right, String), bool>);

impl Default for Access {
    fn default() -> Self {
        Self(Brief::new(FRESH, MAX_REMEMBERED))
    }
}

impl Access {
    /// Whether somebody has a right in a namespace; in all of them, where it is empty.
    ///
    /// # Errors
    /// Where the API server does not say.
    pub async fn allows(&self, session: &Session, right: Right, namespace: &str) -> Result<bool, Problem> {
        let key = (session.fingerprint, right, namespace.to_owned());
        if let Some(allowed) = self.0.get(&key) {
            return Ok(allowed);
        }
        let (verb, resource) = right.verb_and_resource();
        let attributes = ResourceAttributes {
            group: Some(GROUP.to_owned()),
            resource: Some(resource.to_owned()),
            verb: Some(verb.to_owned()),
            namespace: Some(namespace.to_owned()),
            ..ResourceAttributes::default()
        };
        let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
        let review = SelfSubjectAccessReview { spec, ..Default::default() };
        // Asked as the user: a token that is no longer good opens nothing more.
        let api = Api::<SelfSubjectAccessReview>::all(session.client.clone());
        let reviewed = api.create(&PostParams::default(), &review).await.map_err(Problem::of_api_server)?;
        let allowed = reviewed.status.is_some_and(|status| status.allowed);
        self.0.keep(key, allowed);
        Ok(allowed)
    }

    /// That somebody has all of these rights in all namespaces.
    ///
    /// # Errors
    /// 403, with who and what is missing.
    pub async fn require_everywhere(&self, session: &Session, rights: &[Right]) -> Result<(), Problem> {
        for right in rights {
            if !self.allows(session, *right, "").await? {
                return Err(Problem::forbidden(format!(
                    "{} may not {right} in all namespaces, which is what sees what belongs to none: whoever administers the cluster can bind one of the ClusterRoles orbit-viewer, orbit-developer, orbit-approver and orbit-admin to you everywhere (ClusterRoleBinding)",
                    session.user.name
                )));
            }
        }
        Ok(())
    }

    /// That somebody has all of these rights in a namespace.
    ///
    /// # Errors
    /// 403, with who and what is missing.
    pub async fn require(&self, session: &Session, rights: &[Right], namespace: &str) -> Result<(), Problem> {
        for right in rights {
            if !self.allows(session, *right, namespace).await? {
                return Err(Problem::forbidden(format!(
                    "{} may not {right} in namespace {namespace}: whoever administers it can bind one of the ClusterRoles orbit-viewer, orbit-developer, orbit-approver and orbit-admin to you there",
                    session.user.name
                )));
            }
        }
        Ok(())
    }
}
