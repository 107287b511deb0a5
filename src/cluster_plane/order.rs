//! In which order objects are applied and taken away: Helm's (`InstallOrder` in its `pkg/release/v1/util`), in stages.
//!
//! Helm orders by kind, whatever the group, and puts kinds it does not know last, by name. Here namespaces and
//! definitions come before everything, because what follows is refused until they are established. What is in one
//! stage does not depend on each other and may be applied at once.
//!
//! Taking away goes the opposite way. (Helm takes what it does not know last also then; custom resources would lose
//! their definition and operators first, and hang on their finalizers.)

use super::objects::ObjectId;

const INSTALL: [&str; 31] = [
    "PriorityClass",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// Where an object stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Rank<'a> {
    Foundation,
    Known(usize),
    Unknown(&'a str),
}

/// Objects that may be applied at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage<T> {
    /// Whether these have to be established before the next stage: namespaces and definitions.
    pub is_foundation: bool,
    /// The objects, by namespace and name.
    pub objects: Vec<T>,
}

/// The stages in which objects are applied.
pub fn install<T>(objects: Vec<T>, id: impl Fn(&T) -> &ObjectId) -> Vec<Stage<T>> {
    let mut objects: Vec<_> = objects.into_iter().collect();
    objects.sort_by(|a, b| {
        let (a, b) = (id(a), id(b));
        rank(a).cmp(&rank(b)).then_with(|| a.cmp(b))
    });
    let mut stages: Vec<Stage<T>> = Vec::new();
    for object in objects {
        match stages.last_mut() {
            Some(stage) if rank(id(&stage.objects[0])) == rank(id(&object)) => stage.objects.push(object),
            _ => stages.push(Stage { is_foundation: is_foundation(id(&object)), objects: vec![object] }),
        }
    }
    stages
}

/// The stages in which objects are taken away.
pub fn uninstall<T>(objects: Vec<T>, id: impl Fn(&T) -> &ObjectId) -> Vec<Stage<T>> {
    let mut stages = install(objects, id);
    stages.reverse();
    stages
}

/// Whether other objects cannot be before it is.
pub fn is_foundation(id: &ObjectId) -> bool {
    is_namespace(id) || is_definition(id)
}

/// Whether it is a namespace.
pub fn is_namespace(id: &ObjectId) -> bool {
    id.group.is_empty() && id.kind == "Namespace"
}

/// Whether it defines a kind.
pub fn is_definition(id: &ObjectId) -> bool {
    id.group == "apiextensions.k8s.io" && id.kind == "CustomResourceDefinition"
}

fn rank(id: &ObjectId) -> Rank<'_> {
    if is_foundation(id) {
        return Rank::Foundation;
    }
    INSTALL.iter().position(|kind| *kind == id.kind).map_or(Rank::Unknown(&id.kind), Rank::Known)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn id(text: &str) -> ObjectId {
        let (kind, name) = text.split_once(' ').unwrap_or((text, "a"));
        let (kind, group) = kind.split_once('.').unwrap_or((kind, ""));
        ObjectId { group: group.into(), kind: kind.into(), namespace: String::new(), name: name.into() }
    }

    fn order(stages: &[Stage<ObjectId>]) -> Vec<Vec<String>> {
        stages.iter().map(|stage| stage.objects.iter().map(|id| format!("{} {}", id.kind, id.name)).collect()).collect()
    }

    const OBJECTS: [&str; 12] = [
        "Widget.example.com",
        "Deployment.apps b",
        "Service",
        "Gadget.example.com",
        "ValidatingWebhookConfiguration.admissionregistration.k8s.io",
        "Deployment.apps a",
        "CustomResourceDefinition.apiextensions.k8s.io",
        "ConfigMap",
        "Secret",
        "Namespace",
        "ServiceAccount",
        "PriorityClass.scheduling.k8s.io",
    ];

    #[test]
    fn foundations_first_then_helms_order_then_the_unknown() {
        let stages = install(OBJECTS.map(id).to_vec(), |id| id);
        assert_eq!(
            order(&stages),
            [
                vec!["Namespace a", "CustomResourceDefinition a"],
                vec!["PriorityClass a"],
                vec!["ServiceAccount a"],
                vec!["Secret a"],
                vec!["ConfigMap a"],
                vec!["Service a"],
                vec!["Deployment a", "Deployment b"],
                vec!["ValidatingWebhookConfiguration a"],
                vec!["Gadget a"],
                vec!["Widget a"],
            ]
        );
        let foundations: Vec<_> = stages.iter().map(|stage| stage.is_foundation).collect();
        assert_eq!(foundations, [true, false, false, false, false, false, false, false, false, false]);
    }

    #[test]
    fn the_order_of_the_input_makes_no_difference() {
        let mut objects = OBJECTS.map(id).to_vec();
        let stages = install(objects.clone(), |id| id);
        for _ in 0..objects.len() {
            objects.rotate_left(1);
            assert_eq!(install(objects.clone(), |id| id), stages);
        }
    }

    #[test]
    fn taking_away_goes_the_opposite_way() {
        let stages = uninstall(OBJECTS.map(id).to_vec(), |id| id);
        let kinds: Vec<_> = stages.iter().map(|stage| stage.objects[0].kind.as_str()).collect();
        assert_eq!(kinds[..3], ["Widget", "Gadget", "ValidatingWebhookConfiguration"]);
        assert!(stages.last().unwrap().is_foundation);
        assert_eq!(uninstall(Vec::<ObjectId>::new(), |id| id), []);
    }

    #[test]
    fn only_kubernetes_own_namespaces_and_definitions_are_foundations() {
        assert!(is_foundation(&id("Namespace")));
        assert!(!is_foundation(&id("Namespace.example.com")));
        assert!(!is_foundation(&id("CustomResourceDefinition.example.com")));
    }
}
