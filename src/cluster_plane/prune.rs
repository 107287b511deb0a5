//! What is taken away: what an earlier artifact asked for and the present one does not.
//!
//! What holds data is never taken away by leaving it out of an overlay: claims and volumes, and definitions, with which
//! every object of their kind would go (Helm keeps those of `crds/` for the same reason). Nor is a namespace, which would
//! take everything in it along, what others put there and claims included.
//!
//! An object that is annotated `helm.sh/resource-policy: keep` stays as it does for Helm.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    objects::ObjectId,
    order::{self, Stage},
};

/// Helm's own way to say that an object outlives its release.
const RESOURCE_POLICY: &str = "helm.sh/resource-policy";

/// What is to be taken away of what was applied, one stage after the other, now that this is asked for; for the end of a
/// delivery, nothing is.
pub fn plan<'a>(
    applied: impl IntoIterator<Item = &'a ObjectId>,
    desired: impl IntoIterator<Item = &'a ObjectId>,
) -> Vec<Stage<ObjectId>> {
    let desired: BTreeSet<_> = desired.into_iter().collect();
    let superfluous = applied.into_iter().filter(|id| !desired.contains(id));
    let goes: BTreeSet<_> = superfluous.filter(|id| !holds_data(id) && !order::is_namespace(id)).cloned().collect();
    order::uninstall(goes.into_iter().collect(), |id| id)
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

    fn planned(applied: &[&str], desired: &[&str]) -> Vec<Vec<String>> {
        plan(&ids(applied), &ids(desired)).iter().map(|stage| names(&stage.objects)).collect()
    }

    #[test]
    fn what_is_not_asked_for_any_more_goes() {
        let applied = ["Namespace shop", "ConfigMap web-1", "ConfigMap web-2", "Deployment.apps web"];
        let desired = ["Namespace shop", "ConfigMap web-2", "ConfigMap web-3", "Deployment.apps web"];
        assert_eq!(planned(&applied, &desired), [["ConfigMap web-1"]]);
    }

    #[test]
    fn the_end_takes_all_but_what_holds_data_and_namespaces() {
        let order = planned(&APPLIED, &[]).concat();
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
    }

    #[test]
    fn what_is_still_asked_for_stays() {
        assert!(planned(&APPLIED, &APPLIED).is_empty());
        assert!(planned(&[], &APPLIED).is_empty());
        assert!(planned(&["PersistentVolumeClaim data"], &[]).is_empty());
    }

    #[test]
    fn an_object_of_the_same_name_in_another_group_is_another() {
        let plan = planned(&["PersistentVolumeClaim.example.com a"], &["PersistentVolumeClaim a"]);
        assert_eq!(plan, [["PersistentVolumeClaim.example.com a"]]);
    }

    #[test]
    fn helms_policy_is_kept_to() {
        let annotations = |value: &str| BTreeMap::from([(RESOURCE_POLICY.to_owned(), value.to_owned())]);
        assert!(is_kept(&annotations("keep")) && is_kept(&annotations(" Keep ")));
        assert!(!is_kept(&annotations("delete")) && !is_kept(&BTreeMap::new()));
    }
}
