//! How an object in a cluster says that it belongs to a delivery, and what of it is the plane's.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::api::{DynamicObject, ObjectMeta};

use super::health::one_line;
use crate::{
    api::{FIELD_MANAGER, label},
    digest::Digest,
};

/// A `Delivery`: what it belongs to in the plane's own cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryKey {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for DeliveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl DeliveryKey {
    /// The value of the label: names are longer than labels take.
    pub fn label(&self) -> String {
        Digest::of(self.to_string()).hex()[..32].to_owned()
    }
}

/// Whose an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// This delivery's.
    Ours,
    /// Another one's: what its annotation says.
    OtherDelivery(String),
    /// Somebody's who is not the plane, by the field managers that made it.
    Foreign(Vec<String>),
}

/// The marks of one plane and one of its deliveries.
#[derive(Debug, Clone)]
pub struct Ownership {
    plane: String,
    delivery: DeliveryKey,
}

impl Ownership {
    /// What `plane` delivers as `delivery`.
    pub fn new(plane: &str, delivery: DeliveryKey) -> Self {
        Self { plane: plane.to_owned(), delivery }
    }

    /// The plane.
    pub fn plane(&self) -> &str {
        &self.plane
    }

    /// The delivery.
    pub fn delivery(&self) -> &DeliveryKey {
        &self.delivery
    }

    /// Marks an object before it is applied.
    pub fn mark(&self, object: &mut DynamicObject) {
        let labels = object.metadata.labels.get_or_insert_default();
        labels.insert(label::PLANE.to_owned(), self.plane.clone());
        labels.insert(label::DELIVERY.to_owned(), self.delivery.label());
        let annotations = object.metadata.annotations.get_or_insert_default();
        annotations.insert(label::DELIVERY.to_owned(), self.delivery.to_string());
    }

    /// Whose the object is that is there already.
    pub fn of(&self, meta: &ObjectMeta) -> Owner {
        let label = |name| meta.labels.as_ref().and_then(|labels| labels.get(name));
        match (label(label::PLANE), label(label::DELIVERY)) {
            (Some(plane), Some(delivery)) if *plane == self.plane && *delivery == self.delivery.label() => Owner::Ours,
            (_, Some(delivery)) => {
                let spelled = meta.annotations.as_ref().and_then(|annotations| annotations.get(label::DELIVERY));
                Owner::OtherDelivery(spelled.unwrap_or(delivery).clone())
            }
            _ => {
                let mut managers: Vec<_> =
                    meta.managed_fields.iter().flatten().filter_map(|entry| entry.manager.clone()).collect();
                managers.sort();
                managers.dedup();
                Owner::Foreign(managers)
            }
        }
    }
}

/// The delivery that an object says it belongs to.
pub fn delivery_of(meta: &ObjectMeta) -> Option<DeliveryKey> {
    let spelled = meta.annotations.as_ref()?.get(label::DELIVERY)?;
    // What the API server takes: a cluster may say anything.
    let (namespace, name) =
        spelled.split_once('/').filter(|(namespace, name)| namespace.len() <= 63 && name.len() <= 253)?;
    let key = DeliveryKey { namespace: namespace.to_owned(), name: name.to_owned() };
    (meta.labels.as_ref()?.get(label::DELIVERY) == Some(&key.label())).then_some(key)
}

/// A digest of the fields that the plane owns of an object by having applied them (Kubernetes, "Server-Side Apply",
/// "Field management"). Whoever changes one of them takes its ownership with it, so that another digest means that what
/// was applied is not what is there; what others add, and the status, change nothing.
pub fn fingerprint(meta: &ObjectMeta) -> Option<Digest> {
    let ours = meta.managed_fields.iter().flatten().find(|entry| is_ours(entry))?;
    Some(Digest::of_canonical(&ours.fields_v1.as_ref()?.0))
}

/// Who else changed the object last, but for its status.
pub fn last_other_manager(meta: &ObjectMeta) -> Option<String> {
    let is_status = |entry: &ManagedFieldsEntry| entry.subresource.as_deref() == Some("status");
    let others = meta.managed_fields.iter().flatten().filter(|entry| !is_ours(entry) && !is_status(entry));
    let last = others.max_by_key(|entry| entry.time.as_ref().map(|time| time.0));
    last.and_then(|entry| entry.manager.as_deref()).map(one_line)
}

fn is_ours(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref() == Some(FIELD_MANAGER)
        && entry.operation.as_deref() == Some("Apply")
        && entry.subresource.is_none()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ownership() -> Ownership {
        Ownership::new("orbit", DeliveryKey { namespace: "shop".into(), name: "web.prod.fleet.eu-1".into() })
    }

    fn meta(value: serde_json::Value) -> ObjectMeta {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn an_object_that_was_marked_is_known_again() {
        let mut object: DynamicObject =
            serde_json::from_value(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}))
                .unwrap();
        assert_eq!(ownership().of(&object.metadata), Owner::Foreign(Vec::new()));
        ownership().mark(&mut object);
        assert_eq!(ownership().of(&object.metadata), Owner::Ours);
        assert_eq!(delivery_of(&object.metadata), Some(ownership().delivery));
        let other =
            Ownership::new("orbit", DeliveryKey { namespace: "shop".into(), name: "web.dev.fleet.eu-1".into() });
        assert_eq!(other.of(&object.metadata), Owner::OtherDelivery("shop/web.prod.fleet.eu-1".into()));
        assert!(object.metadata.labels.unwrap()[label::DELIVERY].len() <= 63);
    }

    #[test]
    fn an_annotation_alone_is_nobodys_word() {
        let forged = meta(json!({"annotations": {label::DELIVERY: "shop/web.prod.fleet.eu-1"}}));
        assert_eq!(delivery_of(&forged), None);
    }

    #[test]
    fn foreign_objects_are_told_by_who_made_them() {
        let foreign = meta(json!({"managedFields": [
            {"manager": "kubectl-client-side-apply", "operation": "Update"},
            {"manager": "argocd-controller", "operation": "Apply"},
        ]}));
        let managers = vec!["argocd-controller".into(), "kubectl-client-side-apply".into()];
        assert_eq!(ownership().of(&foreign), Owner::Foreign(managers));
    }

    #[test]
    fn only_what_the_plane_applied_makes_the_fingerprint() {
        let ours = json!({"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": {"f:data": {"f:a": {}}}});
        let status = json!({"manager": "kubelet", "operation": "Update", "subresource": "status", "time": "2026-01-03T00:00:00Z"});
        let scaled = json!({"manager": "kubectl", "operation": "Update", "time": "2026-01-02T00:00:00Z"});
        let alone = meta(json!({"managedFields": [ours]}));
        let joined = meta(json!({"managedFields": [scaled, status, ours]}));
        assert_eq!(fingerprint(&alone), fingerprint(&joined));
        assert!(fingerprint(&alone).is_some());
        assert_eq!(fingerprint(&meta(json!({"managedFields": [scaled]}))), None);
        assert_eq!(last_other_manager(&joined).as_deref(), Some("kubectl"));
        assert_eq!(last_other_manager(&alone), None);
    }
}
