//! What is taken away: what an earlier artifact asked for and the present one does not.
//!
//! What holds data is never taken away by leaving it out of an overlay: claims and volumes, and definitions, with which
//! every object of their kind would go (Helm keeps those of `crds/` for the same reason). A namespace takes everything
//! in it along, what others put there and claims included. So namespaces come last and apart: one may go only if the
//! plane made it, and nothing is left in it but what Kubernetes puts into every namespace.
//!
//! An object that is annotated `helm.sh/resource-policy: keep` stays as it does for Helm.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    objects::ObjectId,
    order::{self, Stage},
};

/// Helm's own way to say that an object outlives its release.
const RESOURCE_POLICY: &str = "helm.sh/resource-policy";

/// What is to be taken away, and what is left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrunePlan {
    /// These, one stage after the other.
    pub delete: Vec<Stage<ObjectId>>,
    /// Then these namespaces, each only if it is the plane's own and nothing is left in it.
    pub namespaces: Vec<ObjectId>,
    /// These stay and are nobody's any more.
    pub kept: Vec<ObjectId>,
}

impl PrunePlan {
    /// Whether nothing is to be taken away.
    pub fn is_empty(&self) -> bool {
        self.delete.is_empty() && self.namespaces.is_empty()
    }
}

/// From what was applied to what is asked for; for the end of a delivery, nothing is asked for.
pub fn plan<'a>(
    applied: impl IntoIterator<Item = &'a ObjectId>,
    desired: impl IntoIterator<Item = &'a ObjectId>,
) -> PrunePlan {
    let desired: BTreeSet<_> = desired.into_iter().collect();
    let superfluous: BTreeSet<_> = applied.into_iter().filter(|id| !desired.contains(id)).cloned().collect();
    let mut plan = PrunePlan::default();
    let mut delete = Vec::new();
    for id in superfluous {
        if holds_data(&id) {
            plan.kept.push(id);
        } else if order::is_namespace(&id) {
            plan.namespaces.push(id);
        } else {
            delete.push(id);
        }
    }
    plan.delete = order::uninstall(delete, |id| id);
    plan
}

/// Whether data would go with it.
pub fn holds_data(id: &ObjectId) -> bool {
    let is_volume = id.group.is_empty() && matches!(id.kind.as_str(), "PersistentVolumeClaim" | "PersistentVolume");
    is_volume || order::is_definition(id)
}

/// Whether an object's annotations say that it stays when it is not asked for any more.
pub fn is_kept(annotations: &BTreeMap<String, String>) -> bool {
    annotations.get(RESOURCE_POLICY).is_some_and(|policy| policy.trim().eq_ignore_ascii_case("keep"))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn ids(texts: &[&str]) -> Vec<ObjectId> {
        texts
            .iter()
            .map(|text| {
                let (kind, name) = text.split_once(' ').unwrap();
                let (kind, group) = kind.split_once('.').unwrap_or((kind, ""));
                ObjectId { group: group.into(), kind: kind.into(), namespace: String::new(), name: name.into() }
            })
            .collect()
    }

    fn names(ids: &[ObjectId]) -> Vec<String> {
        ids.iter().map(ToString::to_string).collect()
    }

    const APPLIED: [&str; 9] = [
        "Namespace shop",
        "ConfigMap web-1",
        "ConfigMap web-2",
        "Deployment.apps web",
        "Ingress.networking.k8s.io web",
        "PersistentVolumeClaim data",
        "PersistentVolume data",
        "CustomResourceDefinition.apiextensions.k8s.io widgets.example.com",
        "Widget.example.com a",
    ];

    #[test]
    fn what_is_not_asked_for_any_more_goes() {
        let desired = ["Namespace shop", "ConfigMap web-2", "ConfigMap web-3", "Deployment.apps web"];
        let plan = plan(
            &ids(&["Namespace shop", "ConfigMap web-1", "ConfigMap web-2", "Deployment.apps web"]),
            &ids(&desired),
        );
        assert_eq!(plan.delete.len(), 1);
        assert_eq!(names(&plan.delete[0].objects), ["ConfigMap web-1"]);
        assert_eq!((plan.namespaces, plan.kept), (vec![], vec![]));
    }

    #[test]
    fn the_end_takes_all_but_what_holds_data_and_namespaces_last() {
        let plan = plan(&ids(&APPLIED), &[]);
        let order: Vec<_> = plan.delete.iter().flat_map(|stage| names(&stage.objects)).collect();
        assert_eq!(
            order,
            [
                "Widget.example.com a",
                "Ingress.networking.k8s.io web",
                "Deployment.apps web",
                "ConfigMap web-1",
                "ConfigMap web-2"
            ]
        );
        assert_eq!(names(&plan.namespaces), ["Namespace shop"]);
        assert_eq!(
            names(&plan.kept),
            [
                "PersistentVolume data",
                "PersistentVolumeClaim data",
                "CustomResourceDefinition.apiextensions.k8s.io widgets.example.com",
            ]
        );
    }

    #[test]
    fn what_is_still_asked_for_stays() {
        assert!(plan(&ids(&APPLIED), &ids(&APPLIED)).is_empty());
        assert!(plan(&[], &ids(&APPLIED)).is_empty());
        assert!(plan(&ids(&["PersistentVolumeClaim data"]), &[]).is_empty());
    }

    #[test]
    fn an_object_of_the_same_name_in_another_group_is_another() {
        let plan = plan(&ids(&["PersistentVolumeClaim.example.com a"]), &ids(&["PersistentVolumeClaim a"]));
        assert_eq!(names(&plan.delete[0].objects), ["PersistentVolumeClaim.example.com a"]);
    }

    #[test]
    fn helms_policy_is_kept_to() {
        let annotations = |value: &str| BTreeMap::from([(RESOURCE_POLICY.to_owned(), value.to_owned())]);
        assert!(is_kept(&annotations("keep")) && is_kept(&annotations(" Keep ")));
        assert!(!is_kept(&annotations("delete")) && !is_kept(&BTreeMap::new()));
    }
}
