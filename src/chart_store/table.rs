//! What the Chart Store asks of a database: items under a partition and a sort key, consistent reads, ordered pages,
//! and all-or-nothing transactions with conditions.
//!
//! The limits are DynamoDB's (Developer Guide, "Quotas in Amazon DynamoDB"), checked here so that every
//! implementation refuses the same: a plane that began on SQLite can move.

use std::{collections::HashSet, fmt};

use async_trait::async_trait;
use bytes::Bytes;

use crate::digest::Hasher;

/// The most writes in one transaction.
pub const MAX_WRITES: usize = 100;
/// The most bytes of one item: body and blob. DynamoDB's 400 KB less room for keys and names.
pub const MAX_ITEM_BYTES: usize = 384 * 1024;
/// The most bytes of one transaction. DynamoDB's 4 MB less room for keys and names.
pub const MAX_TRANSACTION_BYTES: usize = 3_900_000;
/// The longest partition key in bytes.
pub const MAX_PARTITION_BYTES: usize = 2048;
/// The longest sort key in bytes.
pub const MAX_SORT_BYTES: usize = 1024;

/// A table of items.
///
/// Reads see every transaction that was committed before they began. Partitions and sort keys are compared by their
/// UTF-8 bytes.
#[async_trait]
pub trait Table: Send + Sync + fmt::Debug {
    /// The item under a key.
    async fn get(&self, key: &ItemKey) -> Result<Option<Item>, TableError>;

    /// The items under keys, each of which occurs once, in their order: read one after the other, or all at one moment.
    async fn get_all(&self, keys: &[ItemKey]) -> Result<Vec<Option<Item>>, TableError> {
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            found.push(self.get(key).await?);
        }
        Ok(found)
    }

    /// The first `limit` items of a range, in the order of their sort keys. Fewer mean that there are no more.
    async fn query(&self, range: &Range, limit: usize) -> Result<Vec<Item>, TableError>;

    /// Makes all of the writes, durably, or none of them. Each key occurs once.
    async fn transact(&self, writes: &[Write]) -> Result<(), TableError>;

    /// Whether the table answers.
    async fn ping(&self) -> Result<(), TableError>;
}

/// Where an item lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemKey {
    /// The partition: what is read together.
    pub partition: String,
    /// The item in it.
    pub sort: String,
}

impl ItemKey {
    /// The key of `sort` in `partition`.
    pub fn new(partition: impl Into<String>, sort: impl Into<String>) -> Self {
        Self { partition: partition.into(), sort: sort.into() }
    }
}

impl fmt::Display for ItemKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.sort)
    }
}

/// A stored item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Where it lies.
    pub key: ItemKey,
    /// JSON.
    pub body: String,
    /// Bytes beside it.
    pub blob: Option<Bytes>,
    /// [`etag`] of the content.
    pub etag: String,
}

/// Identifies an item's content, so that "unchanged since I read it" is a condition any database can check. Equal
/// content has an equal tag: a write that is repeated changes nothing.
pub fn etag(body: &str, blob: Option<&[u8]>) -> String {
    let mut hasher = Hasher::new();
    hasher.update(body.as_bytes());
    if let Some(blob) = blob {
        // JSON text holds no NUL: body and blob cannot run into each other.
        hasher.update(b"\0");
        hasher.update(blob);
    }
    hasher.finish().hex()
}

/// Items of one partition whose sort keys begin with a prefix and come after a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// The partition.
    pub partition: String,
    /// What the sort keys begin with.
    pub prefix: String,
    /// The sort key after which the range begins.
    pub after: Option<String>,
}

impl Range {
    /// The items of `partition` whose sort keys begin with `prefix`.
    pub fn new(partition: impl Into<String>, prefix: impl Into<String>) -> Self {
        Self { partition: partition.into(), prefix: prefix.into(), after: None }
    }

    /// Only what comes after this sort key, whether or not an item has it.
    pub fn after(mut self, sort: Option<impl Into<String>>) -> Self {
        self.after = sort.map(Into::into);
        self
    }

    /// The smallest and the largest sort key that can be in the range, or none when it is empty.
    pub(super) fn bounds(&self) -> Option<(String, String)> {
        let first = if self.prefix.is_empty() { "\0" } else { &self.prefix };
        let last = format!("{}\u{10ffff}", self.prefix);
        let lower = match &self.after {
            // No string lies between a string and the same one followed by NUL.
            Some(after) if after.as_str() >= first => format!("{after}\0"),
            _ => first.to_owned(),
        };
        (lower <= last).then_some((lower, last))
    }
}

/// One write of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Where.
    pub key: ItemKey,
    /// What.
    pub action: Action,
    /// What must be true of the item for any write of the transaction to happen.
    pub condition: Condition,
}

/// What a write does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Stores content in place of what is there.
    Put {
        /// JSON.
        body: String,
        /// Bytes beside it.
        blob: Option<Bytes>,
    },
    /// Removes the item.
    Delete,
    /// Leaves the item as it is: only the condition counts.
    Check,
}

/// What must be true of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    Any,
    /// There is none.
    Absent,
    /// There is one.
    Present,
    /// There is one with this [`Item::etag`].
    Etag(String),
}

impl Condition {
    /// That an item is still as it was read.
    pub fn unchanged(item: Option<&Item>) -> Self {
        item.map_or(Self::Absent, |item| Self::Etag(item.etag.clone()))
    }

    /// Whether it holds for an item with this etag, or for none.
    pub(super) fn holds(&self, etag: Option<&str>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => etag.is_none(),
            Self::Present => etag.is_some(),
            Self::Etag(expected) => etag == Some(expected),
        }
    }
}

impl Write {
    /// Stores a body.
    pub fn put(key: ItemKey, body: impl Into<String>, condition: Condition) -> Self {
        Self { key, action: Action::Put { body: body.into(), blob: None }, condition }
    }

    /// Stores a body with bytes beside it.
    pub fn put_blob(key: ItemKey, body: impl Into<String>, blob: Bytes, condition: Condition) -> Self {
        Self { key, action: Action::Put { body: body.into(), blob: Some(blob) }, condition }
    }

    /// Removes an item.
    pub fn delete(key: ItemKey, condition: Condition) -> Self {
        Self { key, action: Action::Delete, condition }
    }

    /// Only asks for a condition.
    pub fn check(key: ItemKey, condition: Condition) -> Self {
        Self { key, action: Action::Check, condition }
    }

    fn bytes(&self) -> usize {
        match &self.action {
            Action::Put { body, blob } => body.len() + blob.as_ref().map_or(0, Bytes::len),
            Action::Delete | Action::Check => 0,
        }
    }
}

/// Why the table did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// Nothing was written: the conditions of these writes (by position, ascending) do not hold.
    #[error("the conditions of the writes at {failed:?} do not hold")]
    ConditionFailed {
        /// Positions in the transaction.
        failed: Vec<usize>,
    },
    /// Nothing was written: the transaction is beyond what a table takes.
    #[error("{0}")]
    Limit(String),
    /// The database does not answer as it should. A transaction may or may not have been made.
    #[error("{store}: {message}")]
    Unavailable {
        /// Which database, as in "DynamoDB table orbit".
        store: String,
        /// What it said.
        message: String,
    },
}

/// Refuses what no implementation could write.
pub(super) fn check_limits(writes: &[Write]) -> Result<(), TableError> {
    let refuse = |reason: String| Err(TableError::Limit(reason));
    if writes.len() > MAX_WRITES {
        return refuse(format!("a transaction of {} writes is too large: {MAX_WRITES} are allowed", writes.len()));
    }
    let mut keys = HashSet::new();
    let mut total = 0;
    for write in writes {
        let ItemKey { partition, sort } = &write.key;
        if partition.is_empty() || sort.is_empty() {
            return refuse(format!("an item cannot lie at {}: neither part of its key may be empty", write.key));
        }
        if partition.len() > MAX_PARTITION_BYTES || sort.len() > MAX_SORT_BYTES {
            let start: String = write.key.to_string().chars().take(80).collect();
            return refuse(format!("the key that begins with {start} is too long"));
        }
        if !keys.insert(&write.key) {
            return refuse(format!("a transaction writes {} twice", write.key));
        }
        if write.bytes() > MAX_ITEM_BYTES {
            return refuse(format!(
                "the item {} of {} bytes is too large: {MAX_ITEM_BYTES} are allowed",
                write.key,
                write.bytes()
            ));
        }
        total += write.bytes();
    }
    if total > MAX_TRANSACTION_BYTES {
        return refuse(format!("a transaction of {total} bytes is too large: {MAX_TRANSACTION_BYTES} are allowed"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    #[test]
    fn bounds_hold_exactly_what_has_the_prefix_and_comes_after() {
        let sorts = ["a", "event", "event/", "event/1", "event/1\0", "event/2", "event/\u{10fffe}", "event0", "z"];
        let within = |range: Range| -> Vec<&str> {
            let bounds = range.bounds();
            sorts
                .into_iter()
                .filter(|sort| {
                    bounds.as_ref().is_some_and(|(low, high)| *sort >= low.as_str() && *sort <= high.as_str())
                })
                .collect()
        };
        let range = |prefix: &str, after: Option<&str>| within(Range::new("p", prefix).after(after));
        assert_eq!(range("", None), sorts);
        assert_eq!(range("event/", None), ["event/", "event/1", "event/1\0", "event/2", "event/\u{10fffe}"]);
        assert_eq!(range("event/", Some("event/1")), ["event/1\0", "event/2", "event/\u{10fffe}"]);
        assert_eq!(range("event/", Some("a")), range("event/", None));
        assert!(range("event/", Some("z")).is_empty());
        assert_eq!(range("", Some("event0")), ["z"]);
    }

    #[test]
    fn conditions_speak_of_presence_and_content() {
        for (condition, absent, same, other) in [
            (Condition::Any, true, true, true),
            (Condition::Absent, true, false, false),
            (Condition::Present, false, true, true),
            (Condition::Etag("e".into()), false, true, false),
        ] {
            assert_eq!(condition.holds(None), absent, "{condition:?}");
            assert_eq!(condition.holds(Some("e")), same, "{condition:?}");
            assert_eq!(condition.holds(Some("f")), other, "{condition:?}");
        }
    }

    #[test]
    fn etags_tell_body_and_blob_apart() {
        let tags = [etag("{}", None), etag("{}", Some(b"")), etag("{}", Some(b"x")), etag("{}x", None)];
        assert_eq!(tags.iter().collect::<HashSet<_>>().len(), tags.len());
    }

    #[test]
    fn limits_are_refused_before_any_database_is_asked() {
        let put = |sort: String, size: usize| Write::put(ItemKey::new("p", sort), "x".repeat(size), Condition::Any);
        let many = |count: usize, size: usize| (0..count).map(|n| put(n.to_string(), size)).collect::<Vec<_>>();
        assert!(check_limits(&many(MAX_WRITES, 2)).is_ok());
        for refused in [
            many(MAX_WRITES + 1, 2),
            many(1, MAX_ITEM_BYTES + 1),
            many(11, MAX_ITEM_BYTES),
            vec![put("s".into(), 1), put("s".into(), 1)],
            vec![put(String::new(), 1)],
            vec![put("s".repeat(MAX_SORT_BYTES + 1), 1)],
        ] {
            assert!(matches!(check_limits(&refused), Err(TableError::Limit(_))), "{} writes", refused.len());
        }
    }

    #[test]
    fn unchanged_is_absence_or_the_same_content() {
        let item = Item { key: ItemKey::new("p", "s"), body: "{}".into(), blob: None, etag: etag("{}", None) };
        assert_eq!(Condition::unchanged(None), Condition::Absent);
        assert_eq!(Condition::unchanged(Some(&item)), Condition::Etag(Digest::of("{}").hex()));
    }
}
