//! Whose overlays a cluster takes, and whose images it may therefore read.
//!
//! Two have to agree: the cluster, by `allowedNamespaces`, and where that is about other tenants, an administrator, by
//! the label `orbit.k8or.io/fleet: "true"` on the namespace that the cluster's object is in. Without it, whoever may
//! create a cluster in a namespace of their own could have everybody's workloads and images delivered there.

use std::collections::BTreeMap;

use kube::ResourceExt;

use crate::{
    api::{EphemeralCluster, NamespacesFrom, label},
    controllers::caches::Caches,
};

/// Labels of a namespace.
type Labels = BTreeMap<String, String>;

/// Whether a cluster takes overlays of a namespace.
pub fn admits(caches: &Caches, cluster: &EphemeralCluster, namespace: &str) -> bool {
    let own = cluster.namespace().unwrap_or_default();
    // A plane that is kept to a namespace sees no labels of namespaces, and no other namespace either.
    if !caches.looks_at_namespaces() {
        return own == namespace;
    }
    takes(cluster, namespace, || caches.namespace_labels(namespace), || caches.namespace_labels(&own))
}

/// The namespaces that a cluster takes overlays of.
pub fn admitted(caches: &Caches, cluster: &EphemeralCluster) -> impl Iterator<Item = String> {
    // A plane that is kept to a namespace sees no others.
    let own = cluster.namespace().filter(|_| !caches.looks_at_namespaces());
    caches.namespace_names().into_iter().chain(own).filter(|name| admits(caches, cluster, name))
}

/// Whether the cluster's object asks for overlays of other namespaces, and nobody has allowed that.
pub fn is_kept_to_itself(caches: &Caches, cluster: &EphemeralCluster) -> bool {
    let own = cluster.namespace().unwrap_or_default();
    cluster.spec.allowed_namespaces.from != NamespacesFrom::Same && !is_fleet(&caches.namespace_labels(&own))
}

fn is_fleet(labels: &Labels) -> bool {
    labels.get(label::FLEET).is_some_and(|value| value == "true")
}

fn takes(
    cluster: &EphemeralCluster,
    namespace: &str,
    labels: impl FnOnce() -> Labels,
    labels_of_own: impl FnOnce() -> Labels,
) -> bool {
    if cluster.namespace().as_deref() == Some(namespace) {
        let allowed = &cluster.spec.allowed_namespaces;
        return allowed.selector.as_ref().is_none_or(|selector| selector.matches(&labels()));
    }
    let allowed = &cluster.spec.allowed_namespaces;
    match allowed.from {
        NamespacesFrom::Same => false,
        NamespacesFrom::All => is_fleet(&labels_of_own()),
        NamespacesFrom::Selector => {
            is_fleet(&labels_of_own()) && allowed.selector.as_ref().is_some_and(|selector| selector.matches(&labels()))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn cluster(allowed: Value) -> EphemeralCluster {
        serde_json::from_value(json!({
            "metadata": {"name": "eu-1", "namespace": "fleet"},
            "spec": {"connection": {"kubeConfig": {"secretRef": {"name": "eu-1"}}}, "allowedNamespaces": allowed},
        }))
        .unwrap()
    }

    fn takes_from(allowed: Value, namespace: &str, is_fleet: bool) -> bool {
        let labels = |name: &str, value: &str| Labels::from([(name.to_owned(), value.to_owned())]);
        let own = if is_fleet { labels(label::FLEET, "true") } else { Labels::new() };
        takes(&cluster(allowed), namespace, || labels("team", namespace), || own)
    }

    #[test]
    fn a_cluster_takes_its_own_namespace_unless_it_says_otherwise() {
        assert!(takes_from(json!({}), "fleet", false) && !takes_from(json!({}), "shop", true));
        assert!(takes_from(json!({"from": "All"}), "shop", true));
        let selector = json!({"from": "Selector", "selector": {"matchLabels": {"team": "shop"}}});
        assert!(takes_from(selector.clone(), "shop", true) && !takes_from(selector, "fleet", true));
    }

    #[test]
    fn nobody_is_given_others_workloads_by_their_own_word_alone() {
        for allowed in [json!({"from": "All"}), json!({"from": "Selector", "selector": {}})] {
            assert!(!takes_from(allowed.clone(), "shop", false) && takes_from(allowed, "fleet", false));
        }
    }
}
