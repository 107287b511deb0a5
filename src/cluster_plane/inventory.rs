//! What a delivery has in its cluster: a list of objects, kept in the Harbor.
//!
//! It is written before anything is applied, with all that may be there afterwards, and again when all is applied, with
//! what is there. A plane that dies in between finds each of its objects again.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::objects::ObjectId;
use crate::{
    api::InventoryRef,
    digest::{Digest, canonical_json},
    image_harbor::{self, HarborError, ImageHarbor},
};

/// The largest inventory that is read, in bytes; 10,000 objects take some 3 MiB.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// The objects of a delivery.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Inventory {
    objects: BTreeMap<ObjectId, Held>,
}

/// What is known of one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// The version of its API that it is asked for in.
    pub version: String,
    /// What the plane owned of it once it was applied; none before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Digest>,
}

/// As it is written: JSON has no maps with such keys.
#[derive(Serialize, Deserialize)]
struct Written {
    objects: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    id: ObjectId,
    #[serde(flatten)]
    held: Held,
}

impl From<Written> for Inventory {
    fn from(written: Written) -> Self {
        Self { objects: written.objects.into_iter().map(|Entry { id, held }| (id, held)).collect() }
    }
}

impl From<Inventory> for Written {
    fn from(inventory: Inventory) -> Self {
        Self { objects: inventory.objects.into_iter().map(|(id, held)| Entry { id, held }).collect() }
    }
}

impl Inventory {
    /// These objects.
    pub fn new(objects: BTreeMap<ObjectId, Held>) -> Self {
        Self { objects }
    }

    /// The objects, in their order.
    pub fn ids(&self) -> BTreeSet<ObjectId> {
        self.objects.keys().cloned().collect()
    }

    /// Those that were applied, and are not only about to be.
    pub fn applied(&self) -> BTreeSet<ObjectId> {
        self.objects.iter().filter(|(_, held)| held.fingerprint.is_some()).map(|(id, _)| id.clone()).collect()
    }

    /// The objects and what is known of each.
    pub fn objects(&self) -> &BTreeMap<ObjectId, Held> {
        &self.objects
    }

    /// This with all of `others`: what may be there while those are being applied.
    pub fn with(&self, others: BTreeMap<ObjectId, Held>) -> Self {
        let mut objects = others;
        objects.extend(self.objects.clone());
        Self { objects }
    }

    /// The same objects, of which it is not known how they were applied.
    pub fn unapplied(self) -> BTreeMap<ObjectId, Held> {
        self.objects.into_iter().map(|(id, held)| (id, Held { fingerprint: None, ..held })).collect()
    }

    /// How it is named in a status.
    pub fn reference(&self) -> InventoryRef {
        let objects = i32::try_from(self.objects.len()).unwrap_or(i32::MAX);
        InventoryRef { digest: Digest::of_canonical(self), objects }
    }

    /// Stores it. It is nobody's yet: whoever names it links it to its application.
    pub async fn store(&self, harbor: &dyn ImageHarbor) -> Result<InventoryRef, HarborError> {
        image_harbor::store_bytes(harbor, canonical_json(self)).await?;
        Ok(self.reference())
    }

    /// Reads one that was stored.
    pub async fn read(harbor: &dyn ImageHarbor, digest: &Digest) -> Result<Self, InventoryError> {
        let bytes = image_harbor::read_to_vec(harbor, digest, MAX_BYTES).await?;
        serde_json::from_slice(&bytes)
            .map_err(|problem| InventoryError::Damaged { digest: *digest, problem: problem.to_string() })
    }
}

/// Why an inventory cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// The Harbor did not give it.
    #[error(transparent)]
    Harbor(#[from] HarborError),
    /// It is none.
    #[error("the inventory {digest} cannot be read: {problem}")]
    Damaged {
        /// Its digest.
        digest: Digest,
        /// What is wrong.
        problem: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> ObjectId {
        ObjectId { group: String::new(), kind: "ConfigMap".into(), namespace: "shop".into(), name: name.into() }
    }

    fn inventory(objects: &[(&str, Option<&str>)]) -> Inventory {
        let held = |fingerprint: &Option<&str>| Held { version: "v1".into(), fingerprint: fingerprint.map(Digest::of) };
        Inventory::new(objects.iter().map(|(name, fingerprint)| (id(name), held(fingerprint))).collect())
    }

    #[test]
    fn while_something_is_applied_the_inventory_names_all_that_may_be_there() {
        let before = inventory(&[("a", Some("of a")), ("b", None)]);
        let during = before.with(inventory(&[("a", None), ("c", None)]).objects);
        assert_eq!(during, inventory(&[("a", Some("of a")), ("b", None), ("c", None)]));
        assert_eq!(before.with(before.objects.clone()), before);
        assert_eq!(during.applied(), BTreeSet::from([id("a")]), "the others may be somebody's by now");
    }

    #[test]
    fn it_is_written_in_one_way_only() {
        let one = inventory(&[("a", None), ("b", Some("of b"))]);
        let other = inventory(&[("b", Some("of b")), ("a", None)]);
        assert_eq!(one.reference(), other.reference());
        assert_eq!(one.reference().objects, 2);
        let read: Inventory = serde_json::from_slice(&canonical_json(&one)).unwrap();
        assert_eq!(read, one);
    }
}
