//! What goes into a cluster besides the artifact: variables and Secrets. Equal inputs are never applied again. The pull
//! credential is none of them: it is replaced daily, and is the cluster's own business from then on
//! (`ephemeral_cluster::pull_secrets`).

use k8s_openapi::api::core::v1::Secret;
use kube::{ResourceExt, core::ObjectMeta};
use serde_json::json;

use super::{Request, Wanted, cluster::Target};
use crate::{
    api::reason,
    controllers::{context::Context, outcome::Halt},
    digest::Digest,
};

/// The annotation that `kubectl apply` keeps a whole Secret in.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What a delivery depends on.
pub struct Inputs {
    /// Digest over all of it. It names Secrets by their versions, never by what they hold.
    pub digest: Digest,
    /// The Secrets that are copied along, without anything that belongs to the place they are in.
    pub secrets: Vec<Secret>,
}

impl Inputs {
    /// What there is now.
    pub async fn read(
        context: &Context,
        request: &Request<'_>,
        target: &Target,
        wanted: &Wanted,
    ) -> Result<Self, Halt> {
        let spec = &request.object.spec;
        let namespace = &request.key.namespace;
        let mut secrets = Vec::new();
        let mut versions = Vec::new();
        for reference in &spec.secrets {
            let secret = context.api::<Secret>(namespace).get_opt(&reference.name).await?;
            let secret = secret.ok_or_else(|| {
                let message = format!(
                    "Secret {namespace}/{}, which spec.delivery.secrets of the overlay names, does not exist: create it",
                    reference.name
                );
                Halt::stalled_for(super::AWAY, reason::SECRET_NOT_FOUND, message)
            })?;
            versions.push((reference.name.clone(), secret.uid(), secret.resource_version()));
            secrets.push(copy_of(secret));
        }
        let digest = Digest::of_canonical(&json!({
            "artifact": wanted.artifact,
            "namespace": spec.target_namespace,
            "variables": target.variables,
            "secrets": versions,
        }));
        Ok(Self { digest, secrets })
    }
}

/// A Secret as it is applied elsewhere.
fn copy_of(secret: Secret) -> Secret {
    let mut annotations = secret.metadata.annotations.unwrap_or_default();
    annotations.remove(LAST_APPLIED);
    let metadata = ObjectMeta {
        name: secret.metadata.name,
        labels: secret.metadata.labels,
        annotations: Some(annotations),
        ..ObjectMeta::default()
    };
    Secret { metadata, data: secret.data, type_: secret.type_, immutable: secret.immutable, string_data: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copied_secret_says_nothing_of_where_it_was() {
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {
                "name": "web-db", "namespace": "shop", "uid": "u", "resourceVersion": "7",
                "ownerReferences": [{"apiVersion": "v1", "kind": "X", "name": "x", "uid": "x"}],
                "annotations": {LAST_APPLIED: "{\"data\": \"hunter2\"}", "team": "checkout"},
                "labels": {"app": "web"},
            },
            "type": "Opaque",
            "data": {"password": "aHVudGVyMg=="},
        }))
        .unwrap();
        let copy = serde_json::to_value(copy_of(secret)).unwrap();
        let expected = json!({"name": "web-db", "annotations": {"team": "checkout"}, "labels": {"app": "web"}});
        assert_eq!(copy["metadata"], expected);
        assert_eq!((&copy["type"], &copy["data"]["password"]), (&json!("Opaque"), &json!("aHVudGVyMg==")));
    }
}
