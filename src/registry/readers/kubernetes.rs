//! Whose a Kubernetes token is, and what it opens: both are the API server's to say.

use std::collections::BTreeMap;

use anyhow::Context;
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec, UserInfo},
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
};
use kube::{Api, Client, api::PostParams};

use super::{FRESH, MAX_REMEMBERED, Secret};
use crate::{
    brief::Brief,
    digest::Digest,
    registry::repository::{Collection, Repository},
};

/// What is read of an object is a subresource of its own: who may see objects need not be one who may have the bytes.
const SUBRESOURCE: &str = "content";
const GROUP: &str = "orbit.k8or.io";

/// Who may read, as the cluster sees it.
pub struct Kubernetes {
    client: Client,
    decisions: Brief<(Digest, Collection, String), bool>,
}

impl std::fmt::Debug for Kubernetes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kubernetes")
    }
}

/// Somebody whom the API server knows.
#[derive(Debug, Clone, PartialEq)]
pub struct User(UserInfo);

impl User {
    /// The name.
    pub fn name(&self) -> &str {
        self.0.username.as_deref().unwrap_or_default()
    }
}

impl Kubernetes {
    pub fn new(client: Client) -> Self {
        Self { client, decisions: Brief::new(FRESH, MAX_REMEMBERED) }
    }

    /// Whose token it is, if it is a good one.
    pub async fn user(&self, token: &Secret) -> anyhow::Result<Option<User>> {
        let spec = TokenReviewSpec { token: token.expose().to_owned(), audiences: None };
        let review = TokenReview { spec, ..TokenReview::default() };
        let reviewed = Api::<TokenReview>::all(self.client.clone()).create(&PostParams::default(), &review).await;
        let status = reviewed.context("creating a TokenReview")?.status.unwrap_or_default();
        Ok(status.user.filter(|_| status.authenticated == Some(true)).map(User))
    }

    /// Whether somebody, known by the fingerprint of the credentials, may read in a repository.
    pub async fn may_read(&self, fingerprint: Digest, user: &User, repository: &Repository) -> anyhow::Result<bool> {
        let key = (fingerprint, repository.collection, repository.key.namespace.clone());
        if let Some(decision) = self.decisions.get(&key) {
            return Ok(decision);
        }
        let review = SubjectAccessReview { spec: question(user, repository), ..SubjectAccessReview::default() };
        let api = Api::<SubjectAccessReview>::all(self.client.clone());
        let reviewed = api.create(&PostParams::default(), &review).await.context("creating a SubjectAccessReview")?;
        let allowed = reviewed.status.is_some_and(|status| status.allowed);
        self.decisions.keep(key, allowed);
        Ok(allowed)
    }
}

/// May this user get the content of such objects in the repository's namespace?
fn question(User(user): &User, repository: &Repository) -> SubjectAccessReviewSpec {
    SubjectAccessReviewSpec {
        user: user.username.clone(),
        uid: user.uid.clone(),
        groups: user.groups.clone(),
        extra: user.extra.clone().filter(|extra: &BTreeMap<_, _>| !extra.is_empty()),
        resource_attributes: Some(ResourceAttributes {
            group: Some(GROUP.to_owned()),
            resource: Some(repository.collection.resource().to_owned()),
            subresource: Some(SUBRESOURCE.to_owned()),
            verb: Some("get".to_owned()),
            namespace: Some(repository.key.namespace.clone()),
            ..ResourceAttributes::default()
        }),
        non_resource_attributes: None,
    }
}
