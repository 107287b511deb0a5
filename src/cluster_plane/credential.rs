//! The pull Secret that a cluster's pods get images from the plane's registry with: one in each namespace that something
//! is delivered to, under one well-known name.

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, ResourceExt,
    api::{ApiResource, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{
    apply::{bounded, delete},
    cluster::Cluster,
    objects::ObjectId,
    remote_error::ApplyFailure,
};
use crate::{
    api::{FIELD_MANAGER, PULL_SECRET, label},
    failpoint,
};

/// The type and the key of a Secret with registry credentials (Kubernetes, "Docker config Secrets").
pub const TYPE: &str = "kubernetes.io/dockerconfigjson";
/// See [`TYPE`].
pub const KEY: &str = ".dockerconfigjson";

/// Gives a namespace of a cluster the credential, unless it has it. One of another user is left there while it is needed: a
/// cluster that is known by two names has two.
pub async fn deliver(
    cluster: &Cluster,
    plane: &str,
    namespace: &str,
    docker_config: &ByteString,
    is_needed: impl Fn(&str) -> bool,
) -> Result<(), ApplyFailure> {
    let id = id(namespace);
    let api: Api<Secret> = Api::namespaced(cluster.client(), namespace);
    let there = bounded(&id, api.get_opt(PULL_SECRET)).await?;
    if let Some(there) = &there {
        if there.labels().get(label::PLANE).map(String::as_str) != Some(plane) {
            return Err(ApplyFailure::taken(&id));
        }
        let held = there.data.as_ref().and_then(|data| data.get(KEY));
        if held == Some(docker_config) {
            return Ok(());
        }
        if let Some(user) = held.and_then(user)
            && Some(&user) != self::user(docker_config).as_ref()
            && is_needed(&user)
        {
            return Ok(());
        }
    }
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": PULL_SECRET,
            "namespace": namespace,
            "labels": {label::PLANE: plane, label::MANAGED_BY: FIELD_MANAGER},
        },
        "type": TYPE,
        "data": {KEY: docker_config},
    });
    bounded(&id, api.patch(PULL_SECRET, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(&secret))).await?;
    failpoint::after_write("apply to cluster");
    Ok(())
}

/// Whose credential a docker config has: the plane's have one.
fn user(docker_config: &ByteString) -> Option<String> {
    let config: Value = serde_json::from_slice(&docker_config.0).ok()?;
    let (_, login) = config["auths"].as_object()?.iter().next()?;
    Some(login["username"].as_str()?.to_owned())
}

/// Takes the credential out of a namespace that nothing is delivered to any more.
pub async fn withdraw(cluster: &Cluster, plane: &str, namespace: &str) -> Result<(), ApplyFailure> {
    let id = id(namespace);
    let api = cluster.objects(&ApiResource::erase::<Secret>(&()), &id);
    let Some(there) = bounded(&id, api.get_metadata_opt(PULL_SECRET)).await? else { return Ok(()) };
    match there.labels().get(label::PLANE) {
        Some(of) if of == plane => delete(&api, &id, there.uid()).await,
        _ => Ok(()),
    }
}

fn id(namespace: &str) -> ObjectId {
    ObjectId {
        group: String::new(),
        kind: "Secret".into(),
        namespace: namespace.to_owned(),
        name: PULL_SECRET.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_docker_config_says_whose_it_is() {
        let user = |config: Value| user(&ByteString(config.to_string().into_bytes()));
        let login = json!({"username": "orbit-cluster.shop.eu-1", "password": "p", "auth": "a"});
        assert_eq!(user(json!({"auths": {"registry.example": login}})).as_deref(), Some("orbit-cluster.shop.eu-1"));
        for none in [json!({"auths": {}}), json!({"auths": {"registry.example": {"auth": "a"}}}), json!([])] {
            assert_eq!(user(none), None);
        }
    }
}
