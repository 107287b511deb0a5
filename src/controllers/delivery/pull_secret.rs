//! The pull Secret of a namespace that a delivery leaves: whoever is last there takes it away.

use std::collections::BTreeSet;

use kube::{Resource, ResourceExt, core::DeserializeGuard};

use crate::{
    api::Delivery,
    cluster_plane::{Cluster, credential, objects::ObjectId},
    controllers::{context::Context, ephemeral_cluster::pull_secrets, outcome::Halt},
};

/// Takes the pull Secret out of these namespaces, which a delivery has nothing in any more, but for those in which
/// something else pulls with it: another delivery, or what others than the plane bring there.
pub async fn leave(
    context: &Context,
    object: &Delivery,
    cluster: &Cluster,
    left: BTreeSet<String>,
) -> Result<(), Halt> {
    if left.is_empty() {
        return Ok(());
    }
    // Whoever brought it before this is among those that are looked at; whoever brings it after this makes it anew.
    let _taking = cluster.taking_credentials().await;
    let known_as = pull_secrets::known_as(context, &cluster.reference().uid);
    let pulled_in: BTreeSet<_> =
        known_as.iter().flat_map(|known_as| pull_secrets::left_to_others(context, known_as)).collect();
    for namespace in left {
        let sharing = context.caches.deliveries_of_all(|other| may_share(object, other, &namespace));
        if sharing.is_empty() && !pulled_in.contains(&namespace) {
            cluster.forget_provisions();
            credential::withdraw(cluster, context.chart_store.plane(), &namespace).await?;
        }
    }
    Ok(())
}

/// The namespaces that a delivery leaves whose objects become others, and which goes to `target` now.
pub fn left(before: &BTreeSet<ObjectId>, now: &BTreeSet<ObjectId>, target: &str) -> BTreeSet<String> {
    let stays = |namespace: &str| namespace == target || now.iter().any(|id| id.namespace == namespace);
    let namespaces = before.iter().map(|id| id.namespace.as_str());
    namespaces.filter(|namespace| !namespace.is_empty() && !stays(namespace)).map(str::to_owned).collect()
}

/// Whether another delivery pulls in a namespace of the same cluster. Of one that cannot be read nobody knows where it
/// goes, and what it has stays also while it is being deleted.
fn may_share(object: &Delivery, other: &DeserializeGuard<Delivery>, namespace: &str) -> bool {
    let Ok(readable) = &other.0 else { return true };
    other.uid() != object.uid()
        // Of several that end at once, none may leave it to another.
        && other.meta().deletion_timestamp.is_none()
        // Under whichever name: who a cluster is, its UID says.
        && readable.spec.cluster.uid == object.spec.cluster.uid
        && readable.spec.target_namespace == namespace
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{digest::Digest, release::ClusterRef};

    fn delivery(uid: &str, (cluster, cluster_uid): (&str, &str), namespace: &str) -> Value {
        json!({
            "apiVersion": "orbit.k8or.io/v1alpha1", "kind": "Delivery",
            "metadata": {"name": format!("{uid}.prod.fleet.{cluster}"), "namespace": "shop", "uid": uid},
            "spec": {
                "application": "web", "environment": "prod", "targetNamespace": namespace,
                "artifact": Digest::of("a"), "cluster": ClusterRef::new("fleet", cluster, cluster_uid),
                "driftPolicy": "Correct", "onFailure": "Hold", "timeout": "10m", "deletionPolicy": "Prune",
            },
        })
    }

    #[test]
    fn a_namespace_is_left_with_the_last_object_there_unless_it_is_the_target() {
        let ids = |namespaces: &[&str]| -> BTreeSet<ObjectId> {
            let id = |(at, namespace): (usize, &&str)| ObjectId {
                group: String::new(),
                kind: "ConfigMap".into(),
                namespace: (*namespace).to_owned(),
                name: at.to_string(),
            };
            namespaces.iter().enumerate().map(id).collect()
        };
        let left = |before: &[&str], now: &[&str], target: &str| {
            left(&ids(before), &ids(now), target).into_iter().collect::<Vec<_>>()
        };
        assert_eq!(left(&["old", "old"], &["new"], "new"), ["old"]);
        assert!(left(&["old", "", "new"], &["new", "old"], "new").is_empty());
        assert!(left(&["shop"], &[], "shop").is_empty(), "the next version may have objects again");
    }

    #[test]
    fn whoever_pulls_in_the_same_namespace_of_the_same_cluster_shares() {
        let (eu_1, eu_2) = (("eu-1", "u"), ("eu-2", "v"));
        let own: Delivery = serde_json::from_value(delivery("own", eu_1, "shop")).unwrap();
        let shares = |other: Value| may_share(&own, &serde_json::from_value(other).unwrap(), "shop");
        assert!(shares(delivery("other", eu_1, "shop")));
        assert!(shares(delivery("other", ("also-eu-1", "u"), "shop")), "the same cluster");
        assert!(!shares(delivery("own", eu_1, "shop")), "it itself");
        assert!(!shares(delivery("other", eu_2, "shop")) && !shares(delivery("other", eu_1, "blog")));
        assert!(!shares(delivery("other", ("eu-1", "before"), "shop")), "the cluster before of that name");
        let mut ending = delivery("other", eu_1, "shop");
        ending["metadata"]["deletionTimestamp"] = json!("2026-01-02T00:00:00Z");
        assert!(!shares(ending.clone()));
        // What cannot be read stays, and may be there.
        ending["spec"]["cluster"] = json!(7);
        assert!(shares(ending));
    }
}
