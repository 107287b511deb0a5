//! A cluster's own read-only credential for the plane's registry: issued, replaced in time, and gone with its object.
//!
//! It is in a Secret beside the object, which owns it. That Secret is the only place where the password is, and what the
//! registry compares with; a password that was replaced stays good for a while, by its digest.

use std::time::Duration;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Resource, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{
    api::{ClusterCredential, EphemeralCluster, FIELD_MANAGER, annotation, label, reason},
    cluster_plane::credential::{KEY, TYPE},
    controllers::{context::Context, outcome::Halt},
    digest::Digest,
    failpoint,
    release::ClusterRef,
};

/// How long a password is good, and how much longer once there is another: pods may be pulling.
const GOOD_FOR: Duration = Duration::from_secs(24 * 3600);
const STILL_GOOD_FOR: Duration = Duration::from_secs(3600);
/// Where the parts of a credential are in its Secret.
const USER: &str = "username";
const PASSWORD: &str = "password";

/// The credential's Secret.
pub fn secret_name(cluster: &str) -> String {
    format!("{cluster}-orbit-pull")
}

/// The user name of a cluster.
pub fn user(namespace: &str, name: &str) -> String {
    format!("orbit-cluster.{namespace}.{name}")
}

/// The credential of a cluster, which is known by its UID; a new one where there is none, or the one there is has had its
/// time or is another cluster's. None where nobody could use it.
pub async fn issue(context: &Context, object: &EphemeralCluster, uid: &str) -> Result<Option<ClusterCredential>, Halt> {
    let host = &context.installation.registry_host;
    if host.is_empty() {
        return Ok(None);
    }
    let (namespace, name) = super::key(object);
    let secret_name = secret_name(&name);
    let api = context.api::<Secret>(&namespace);
    let there = api.get_opt(&secret_name).await?;
    if let Some(there) = &there
        && !is_owned_by(there, object)
    {
        let message = format!(
            "Secret {namespace}/{secret_name} is not the plane's: delete it, its name is taken for the cluster's pull credential"
        );
        return Err(Halt::stalled_for(super::HEARTBEAT, reason::NOT_OWNED, message));
    }
    let now = Timestamp::now();
    let there = there.filter(|there| is_issued_to(there, object, uid));
    if let Some(standing) = there.as_ref().and_then(|there| standing(there, host, &secret_name, now)) {
        return Ok(Some(standing));
    }
    let password = new_password();
    let user = user(&namespace, &name);
    let issued_at = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let mut annotations = json!({
        annotation::ISSUED_AT: issued_at.to_string(),
        annotation::REGISTRY: host,
        annotation::CLUSTER_UID: uid,
    });
    // Another cluster's password is good no longer: who made this one anew under its name may not know who has that.
    if let Some(before) = there.as_ref().and_then(|there| there.data.as_ref()?.get(PASSWORD)) {
        let until = now.checked_add(STILL_GOOD_FOR).unwrap_or(now);
        annotations[annotation::PREVIOUS] = json!(format!("{} {until}", Digest::of(&before.0)));
    }
    let auth = STANDARD.encode(format!("{user}:{password}"));
    let docker_config = json!({"auths": {host: {"username": user, "password": password, "auth": auth}}});
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": secret_name,
            "labels": {label::MANAGED_BY: FIELD_MANAGER},
            "annotations": annotations,
            "ownerReferences": [object.owner_ref(&())],
        },
        "type": TYPE,
        "data": {
            KEY: STANDARD.encode(docker_config.to_string()),
            USER: STANDARD.encode(&user),
            PASSWORD: STANDARD.encode(&password),
        },
    });
    let issued = api.patch(&secret_name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(&secret)).await?;
    failpoint::after_write("credential");
    Ok(standing(&issued, host, &secret_name, now))
}

/// The credential as pods' pull Secrets have it.
pub async fn read(context: &Context, cluster: &ClusterRef) -> Result<ByteString, Halt> {
    let name = secret_name(&cluster.name);
    let secret = context.api::<Secret>(&cluster.namespace).get_opt(&name).await?;
    let config = secret.and_then(|secret| secret.data?.remove(KEY));
    // Its next heartbeat issues another.
    config.ok_or_else(|| Halt::retry(reason::PROGRESSING, format!("Secret {}/{name} is gone", cluster.namespace)))
}

/// Whether this is a password of the cluster whose Secret this is.
pub fn is_password(secret: &Secret, password: &str, now: Timestamp) -> bool {
    let offered = Digest::of(password);
    let current = secret.data.as_ref().and_then(|data| data.get(PASSWORD)).map(|current| Digest::of(&current.0));
    // Digests are compared, so that how long it takes says nothing of the password.
    if current == Some(offered) {
        return true;
    }
    let previous = secret.annotations().get(annotation::PREVIOUS).and_then(|previous| previous.split_once(' '));
    previous.is_some_and(|(digest, until)| {
        digest.parse() == Ok(offered) && until.parse::<Timestamp>().is_ok_and(|until| now < until)
    })
}

/// Whether the Secret belongs to this very object.
pub fn is_owned_by(secret: &Secret, object: &EphemeralCluster) -> bool {
    secret.owner_references().iter().any(|owner| Some(&owner.uid) == object.meta().uid.as_ref())
}

/// Whether a credential is this cluster's. One that does not say whose it is was issued to the cluster that was here last.
fn is_issued_to(secret: &Secret, object: &EphemeralCluster, uid: &str) -> bool {
    let last = object.status.as_ref().and_then(|status| status.cluster_uid.as_ref());
    secret.annotations().get(annotation::CLUSTER_UID).or(last).is_none_or(|of| of == uid)
}

/// The credential in a Secret, if it is whole and its time is not over.
fn standing(secret: &Secret, host: &str, secret_name: &str, now: Timestamp) -> Option<ClusterCredential> {
    let issued_at: Timestamp = secret.annotations().get(annotation::ISSUED_AT)?.parse().ok()?;
    let is_for_host = secret.annotations().get(annotation::REGISTRY).is_some_and(|registry| registry == host);
    let good_until = issued_at.checked_add(GOOD_FOR).ok()?;
    let docker_config = secret.data.as_ref()?.get(KEY)?;
    (is_for_host && now < good_until).then(|| ClusterCredential {
        id: Digest::of(&docker_config.0).hex()[..16].to_owned(),
        secret_name: secret_name.to_owned(),
        issued_at,
    })
}

/// 256 bits that nobody guesses, as text.
fn new_password() -> String {
    let bits = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4(), uuid::Uuid::new_v4()];
    URL_SAFE_NO_PAD.encode(bits.iter().flat_map(|bits| bits.as_bytes().iter().copied()).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn secret(previous: &str, issued_at: &str) -> Secret {
        serde_json::from_value(json!({
            "metadata": {"annotations": {
                annotation::ISSUED_AT: issued_at,
                annotation::REGISTRY: "registry.example",
                annotation::PREVIOUS: previous,
            }},
            "data": {KEY: STANDARD.encode("{}"), PASSWORD: STANDARD.encode("new")},
        }))
        .unwrap()
    }

    #[test]
    fn a_password_that_was_replaced_is_good_for_a_while() {
        let until: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        let secret = secret(&format!("{} {until}", Digest::of("old")), "2026-01-01T23:00:00Z");
        let before = until - SignedDuration::from_secs(1);
        assert!(is_password(&secret, "new", until) && is_password(&secret, "old", before));
        assert!(!is_password(&secret, "old", until) && !is_password(&secret, "", before));
        assert!(!is_password(&Secret::default(), "", before));
    }

    #[test]
    fn a_credential_is_replaced_after_its_time_and_for_another_host() {
        let issued: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let secret = secret("", &issued.to_string());
        let at = |hours| issued + SignedDuration::from_hours(hours);
        assert!(standing(&secret, "registry.example", "s", at(23)).is_some());
        assert!(standing(&secret, "registry.example", "s", at(24)).is_none());
        assert!(standing(&secret, "other.example", "s", at(1)).is_none());
    }

    #[test]
    fn a_credential_is_of_the_cluster_that_it_names_or_that_was_here_last() {
        let object = |last: serde_json::Value| -> EphemeralCluster {
            let spec = json!({"connection": {"kubeConfig": {"secretRef": {"name": "eu-1"}}}});
            let status = json!({"clusterUID": last});
            serde_json::from_value(json!({"metadata": {"name": "eu-1"}, "spec": spec, "status": status})).unwrap()
        };
        let of = |uid: &str| -> Secret {
            serde_json::from_value(json!({"metadata": {"annotations": {annotation::CLUSTER_UID: uid}}})).unwrap()
        };
        assert!(is_issued_to(&of("a"), &object(json!("b")), "a"));
        assert!(!is_issued_to(&of("a"), &object(json!("b")), "b"));
        let silent = Secret::default();
        assert!(is_issued_to(&silent, &object(json!("a")), "a"));
        assert!(!is_issued_to(&silent, &object(json!("a")), "b"), "it was made anew while nobody looked");
        assert!(is_issued_to(&silent, &object(json!(null)), "a"));
    }

    #[test]
    fn passwords_differ() {
        assert_ne!(new_password(), new_password());
        assert_eq!(new_password().len(), 64);
    }
}
