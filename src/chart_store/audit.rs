//! What is recorded beside the histories of applications: the requests to the plane's own API, and how specs change.
//!
//! Both have journals of their own, so that no release's history grows with them: the same events, linked and verified
//! by the same code, under a name that no application can have. There is one of each for a namespace, and one of the
//! requests that belong to none.

use std::collections::HashSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    ChartStore, ChartStoreError, Event, Fact, Head, SCHEMA_VERSION,
    journal::{event_id, now},
    store::encode,
    table::{Condition, TableError, Write},
};
use crate::{digest::Digest, release::ApplicationKey};

/// The journal of requests; DNS-1035 names, which applications have, hold no underscore.
const REQUESTS: &str = "_requests";
/// The journal of changes of specs.
const CHANGES: &str = "_changes";

/// Requests that are recorded in one transaction: one item each, and the head.
const BATCH: usize = 80;
/// How often a batch is tried while others append to the same journal.
const ATTEMPTS: u32 = 24;

/// The journal of the requests about a namespace; of those about none, where it is empty.
pub fn requests_of(namespace: &str) -> ApplicationKey {
    ApplicationKey::new(namespace, REQUESTS)
}

/// The journal of the specs of a namespace's objects.
pub fn changes_of(namespace: &str) -> ApplicationKey {
    ApplicationKey::new(namespace, CHANGES)
}

/// Whether a journal is an application's, and not one of those here.
pub fn is_application(key: &ApplicationKey) -> bool {
    !key.application.starts_with('_')
}

/// A request that the plane's own API has answered or refused, or several that are the same but for the time.
///
/// Neither what stood after the question mark, nor headers, nor bodies: nothing of it opens anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnsweredRequest {
    /// The first one's id, as its answer had it (`X-Request-Id`).
    pub request: String,
    /// Where it came from, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The HTTP method.
    pub method: String,
    /// The path. It ends in `*` where the requests went to several below.
    pub path: String,
    /// The namespace that the path names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The application that the path names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// The HTTP status; none where the client went away before there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Of an answer that goes on by itself: which end of it this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamEnd>,
    /// How many.
    pub count: u64,
    /// When the first came.
    pub first: Timestamp,
    /// When the last came.
    pub last: Timestamp,
}

/// An end of an event stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StreamEnd {
    /// Its beginning.
    Opened,
    /// Its end.
    Ended,
}

/// The spec of one of the plane's objects is another than it was when the journal had it last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SpecChange {
    /// The object's kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its UID: one that is made anew under the same name is another.
    pub uid: String,
    /// The application that it belongs to, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// The environment that it belongs to, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Its spec as it was, where there was one. The journal says so itself ([`SpecChange::following`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Spec>,
    /// Its spec as it is; none where the object is gone. Generations in between were never seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Spec>,
}

/// A spec, by what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// `metadata.generation`.
    pub generation: i64,
    /// Digest of its RFC 8785 form.
    pub digest: Digest,
}

/// The spec that the journal has last of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SpecRecord {
    /// The object: kind and name.
    pub object: String,
    /// Its UID.
    pub uid: String,
    /// Its spec; none where it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<Spec>,
}

impl SpecChange {
    /// The object: kind and name.
    pub fn object(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }

    /// The change as it is after what was recorded.
    pub(super) fn following(&self, record: Option<&SpecRecord>) -> Self {
        Self { before: record.and_then(|record| record.spec), ..self.clone() }
    }

    /// Whether this, or something later, is recorded already: what a watch saw long ago is no news.
    pub(super) fn is_known(&self, record: Option<&SpecRecord>) -> bool {
        let Some(record) = record.filter(|record| record.uid == self.uid) else {
            // Of what was never there no end is recorded.
            return self.after.is_none() && record.is_none_or(|record| record.spec.is_none());
        };
        match (record.spec, self.after) {
            (None, _) => true,
            (Some(known), Some(now)) => now.generation <= known.generation,
            (Some(_), None) => false,
        }
    }

    pub(super) fn record(&self) -> SpecRecord {
        SpecRecord { object: self.object(), uid: self.uid.clone(), spec: self.after }
    }
}

impl SpecRecord {
    /// Whether an object that is ending has this spec of another than is recorded: it was changed while nobody looked,
    /// and then deleted. The generation alone does not say so: a deletion counts as one.
    pub fn is_behind(record: Option<&Self>, uid: &str, last: &Spec) -> bool {
        let Some(record) = record.filter(|record| record.uid == uid) else { return true };
        record.spec.is_some_and(|spec| spec.digest != last.digest)
    }
}

impl ChartStore {
    /// The spec that a journal of changes has last of an object, named by kind and name.
    ///
    /// # Errors
    /// What the store says.
    pub async fn spec_record(&self, key: &ApplicationKey, object: &str) -> Result<Option<SpecRecord>, ChartStoreError> {
        Ok(self.read::<SpecRecord>(&self.layout.spec(key, object)).await?.map(|(record, _)| record))
    }

    /// Appends requests to the journal that is theirs, in order, a transaction for every 80 of them: with who sent each.
    /// How many are recorded when it ends, whether or not it fails; those that are left can be given again with `again`,
    /// alone or with others after them: it is looked first which of them an answer that was lost is there of.
    ///
    /// # Errors
    /// What the store says of the first transaction that cannot be made.
    pub async fn record_requests(
        &self,
        key: &ApplicationKey,
        requests: &[(String, AnsweredRequest)],
        mut again: bool,
    ) -> (usize, Result<(), ChartStoreError>) {
        let mut recorded = 0;
        for batch in requests.chunks(BATCH) {
            if let Err(error) = self.record_batch(key, batch, again).await {
                return (recorded, Err(error));
            }
            again = false;
            recorded += batch.len();
        }
        (recorded, Ok(()))
    }

    async fn record_batch(
        &self,
        key: &ApplicationKey,
        batch: &[(String, AnsweredRequest)],
        mut again: bool,
    ) -> Result<(), ChartStoreError> {
        for _ in 0..ATTEMPTS {
            let head = self.read::<Head>(&self.layout.head(key)).await?;
            let (mut seq, mut prev_hash) = head.as_ref().map_or((0, None), |(head, _)| (head.seq, Some(head.hash)));
            let known = if again { self.recorded(key, seq, batch).await? } else { 0 };
            if known == batch.len() {
                return Ok(());
            }
            let mut writes = Vec::with_capacity(batch.len() - known + 1);
            for (actor, request) in &batch[known..] {
                let fact = Fact::Request(request.clone());
                seq += 1;
                let event = Event {
                    schema_version: SCHEMA_VERSION,
                    plane: self.plane().to_owned(),
                    key: key.clone(),
                    seq,
                    prev_hash,
                    id: event_id(self.plane(), key, &fact, None),
                    time: now(),
                    actor: actor.clone(),
                    fact,
                    spec: None,
                };
                prev_hash = Some(event.hash());
                writes.push(Write::put(self.layout.event(key, seq), encode(&event), Condition::Absent));
            }
            let Some(hash) = prev_hash else { return Ok(()) };
            let end = Head { key: key.clone(), seq, hash };
            let unchanged = Condition::unchanged(head.as_ref().map(|(_, item)| item));
            writes.push(Write::put(self.layout.head(key), encode(&end), unchanged));
            match self.commit("requests", &writes).await {
                Ok(()) => {
                    self.announce_append();
                    return Ok(());
                }
                // The head moved, and this transaction may be what moved it.
                Err(TableError::ConditionFailed { .. }) => again = true,
                Err(error) => return Err(error.into()),
            }
        }
        Err(ChartStoreError::contended_journal(key))
    }

    /// How many of a batch the last events of a journal have, from its first on: a transaction has all of what it was
    /// given, which need not be all of this. Ids are of random requests: no other has them.
    async fn recorded(
        &self,
        key: &ApplicationKey,
        end: u64,
        batch: &[(String, AnsweredRequest)],
    ) -> Result<usize, ChartStoreError> {
        let last = self.events(key, end.saturating_sub(2 * BATCH as u64), 2 * BATCH).await?;
        let known: HashSet<Digest> = last.iter().map(|event| event.id).collect();
        let id = |request: &AnsweredRequest| event_id(self.plane(), key, &Fact::Request(request.clone()), None);
        Ok(batch.iter().take_while(|(_, request)| known.contains(&id(request))).count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(uid: &str, generation: Option<i64>) -> SpecChange {
        let after = generation.map(|generation| Spec { generation, digest: Digest::of(generation.to_string()) });
        SpecChange {
            kind: "ImageUpload".into(),
            name: "web".into(),
            uid: uid.into(),
            application: Some("web".into()),
            environment: None,
            before: None,
            after,
        }
    }

    #[test]
    fn what_is_older_than_the_record_is_no_news() {
        let record = |uid, generation| change(uid, generation).record();
        for (record, seen, known) in [
            (None, change("a", Some(1)), false),
            (None, change("a", None), true),
            (Some(record("a", Some(2))), change("a", Some(1)), true),
            (Some(record("a", Some(2))), change("a", Some(2)), true),
            (Some(record("a", Some(2))), change("a", Some(5)), false),
            (Some(record("a", Some(2))), change("a", None), false),
            (Some(record("a", None)), change("a", Some(3)), true),
            (Some(record("a", None)), change("a", None), true),
            (Some(record("a", None)), change("b", Some(1)), false),
            (Some(record("a", Some(2))), change("b", Some(1)), false),
            // One that took its place while nobody looked is gone as well.
            (Some(record("a", Some(2))), change("b", None), false),
            (Some(record("a", None)), change("b", None), true),
        ] {
            assert_eq!(seen.is_known(record.as_ref()), known, "{record:?}, then {seen:?}");
        }
    }

    #[test]
    fn what_was_changed_and_deleted_unseen_is_told_from_what_was_deleted() {
        let record = |generation| change("a", generation).record();
        let last = |generation: i64, of: i64| Spec { generation, digest: Digest::of(of.to_string()) };
        for (record, uid, last, behind) in [
            (Some(record(Some(3))), "a", last(4, 3), false),
            (Some(record(Some(3))), "a", last(5, 4), true),
            (Some(record(None)), "a", last(5, 4), false),
            (Some(record(Some(3))), "b", last(1, 3), true),
            (None, "a", last(1, 1), true),
        ] {
            assert_eq!(SpecRecord::is_behind(record.as_ref(), uid, &last), behind, "{record:?} {uid} {last:?}");
        }
    }

    #[test]
    fn generations_that_were_never_seen_are_told_by_both_ends() {
        let before = change("a", Some(3));
        let seen = change("a", Some(7)).following(Some(&before.record()));
        assert_eq!((seen.before, seen.after.map(|spec| spec.generation)), (before.after, Some(7)));
    }

    #[test]
    fn no_application_has_the_name_of_such_a_journal() {
        for key in [requests_of("shop"), requests_of(""), changes_of("shop")] {
            assert!(!is_application(&key), "{key}");
        }
        assert!(is_application(&ApplicationKey::new("shop", "web")));
    }
}
