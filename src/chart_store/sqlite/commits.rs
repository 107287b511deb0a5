//! Makes transactions durable, many at a time.
//!
//! SQLite lets one transaction write at a time, and each has to wait for the disk. Those that wait meanwhile are made
//! together in one transaction of SQLite's, and wait for the disk once: group commit (DeWitt et al., "Implementation
//! Techniques for Main Memory Database Systems", SIGMOD 1984). Each is whole by itself, sees those before it, and is
//! answered only when all are durable.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
};

use futures::FutureExt;
use sqlx::{QueryBuilder, Row, Sqlite, SqlitePool, Transaction};
use tokio::sync::{mpsc, oneshot};

use super::{rows, unavailable};
use crate::chart_store::table::{Action, Condition, ItemKey, TableError, Write, etag};

/// The most transactions that are made together: a DynamoDB transaction is 4 MB at most, so these may be 128 MB.
const TOGETHER: usize = 32;

type Answer = Result<(), TableError>;

/// A transaction that waits.
struct Waiting {
    writes: Vec<Write>,
    answer: oneshot::Sender<Answer>,
}

/// Who makes them. It ends with the last clone.
#[derive(Debug, Clone)]
pub struct Commits {
    queue: mpsc::Sender<Waiting>,
    path: PathBuf,
}

impl Commits {
    /// Begins to take transactions for a database.
    pub fn begin(pool: SqlitePool, path: &Path) -> Self {
        let (queue, mut waiting) = mpsc::channel(TOGETHER);
        let commits = Self { queue, path: path.to_owned() };
        let path = path.to_owned();
        tokio::spawn(async move {
            let mut group = Vec::with_capacity(TOGETHER);
            while waiting.recv_many(&mut group, TOGETHER).await > 0 {
                let (transactions, answers): (Vec<_>, Vec<_>) =
                    group.drain(..).map(|one: Waiting| (one.writes, one.answer)).unzip();
                // A defect that some transaction brings to light must not end those after it.
                let verdicts = match AssertUnwindSafe(make(&pool, &transactions)).catch_unwind().await {
                    Ok(Ok(verdicts)) => verdicts,
                    // None of them was made, as far as that can be known.
                    failed => {
                        let message = failed.map_or("a defect of the plane".to_owned(), |made| {
                            made.err().map(|error| error.to_string()).unwrap_or_default()
                        });
                        answers.iter().map(|_| Err(unavailable(&path, message.clone()))).collect()
                    }
                };
                for (answer, verdict) in answers.into_iter().zip(verdicts) {
                    // Who does not wait any more finds out from what is stored.
                    let _ = answer.send(verdict);
                }
            }
        });
        commits
    }

    /// Makes all of the writes, durably, or none of them. Who stops waiting does not know which.
    pub async fn make(&self, writes: &[Write]) -> Answer {
        let (answer, answered) = oneshot::channel();
        let ended = || unavailable(&self.path, "its writer has ended".to_owned());
        self.queue.send(Waiting { writes: writes.to_vec(), answer }).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

/// Makes those transactions whose conditions hold, in their order.
async fn make(pool: &SqlitePool, transactions: &[Vec<Write>]) -> Result<Vec<Answer>, sqlx::Error> {
    // A deferred transaction that reads first loses against any other writer; this one waits for its turn.
    let mut group = pool.begin_with("BEGIN IMMEDIATE").await?;
    let mut verdicts = Vec::with_capacity(transactions.len());
    for writes in transactions {
        let failed = unmet(&mut group, writes).await?;
        if failed.is_empty() {
            write(&mut group, writes).await?;
            verdicts.push(Ok(()));
        } else {
            verdicts.push(Err(TableError::ConditionFailed { failed }));
        }
    }
    group.commit().await?;
    Ok(verdicts)
}

/// The positions of the writes whose conditions do not hold.
async fn unmet(group: &mut Transaction<'_, Sqlite>, writes: &[Write]) -> Result<Vec<usize>, sqlx::Error> {
    let conditional = writes.iter().filter(|write| write.condition != Condition::Any);
    let keys: Vec<_> = conditional.map(|write| &write.key).collect();
    let mut etags = HashMap::with_capacity(keys.len());
    for row in rows(&mut **group, &keys, "partition, sort, etag").await? {
        let key = ItemKey::new(row.try_get::<String, _>("partition")?, row.try_get::<String, _>("sort")?);
        etags.insert(key, row.try_get::<String, _>("etag")?);
    }
    let holds = |write: &Write| write.condition.holds(etags.get(&write.key).map(String::as_str));
    Ok(writes.iter().enumerate().filter(|(_, write)| !holds(write)).map(|(position, _)| position).collect())
}

/// Makes writes, each of another item.
async fn write(group: &mut Transaction<'_, Sqlite>, writes: &[Write]) -> Result<(), sqlx::Error> {
    if let Some(mut statement) = put(writes) {
        statement.build().execute(&mut **group).await?;
    }
    for write in writes.iter().filter(|write| write.action == Action::Delete) {
        sqlx::query("DELETE FROM items WHERE partition = ? AND sort = ?")
            .bind(&write.key.partition)
            .bind(&write.key.sort)
            .execute(&mut **group)
            .await?;
    }
    Ok(())
}

/// One statement for all that is put: each is a message to SQLite's thread and back.
fn put(writes: &[Write]) -> Option<QueryBuilder<Sqlite>> {
    let puts = writes.iter().filter_map(|write| match &write.action {
        Action::Put { body, blob } => Some((&write.key, body, blob.as_deref())),
        Action::Delete | Action::Check => None,
    });
    let mut puts = puts.peekable();
    puts.peek()?;
    let mut statement = QueryBuilder::new("INSERT INTO items (partition, sort, body, blob, etag) ");
    statement.push_values(puts, |mut row, (key, body, blob)| {
        row.push_bind(&key.partition).push_bind(&key.sort);
        row.push_bind(body).push_bind(blob).push_bind(etag(body, blob));
    });
    statement.push(
        " ON CONFLICT (partition, sort) DO UPDATE SET body = excluded.body, blob = excluded.blob, etag = excluded.etag",
    );
    Some(statement)
}

#[cfg(test)]
mod tests {
    use super::{super::SqliteTable, *};
    use crate::chart_store::table::{Item, Range, Table};

    fn put(sort: &str, body: &str, condition: Condition) -> Vec<Write> {
        vec![Write::put(ItemKey::new("p", sort), body, condition)]
    }

    #[tokio::test]
    async fn transactions_that_are_made_together_are_whole_each_and_see_those_before_them() {
        let folder = tempfile::tempdir().unwrap();
        let table = SqliteTable::open(folder.path()).await.unwrap();
        let half = [put("b", "1", Condition::Absent), put("a", "2", Condition::Absent)].concat();
        let transactions = [
            put("a", "1", Condition::Absent),
            half,
            put("a", "3", Condition::Etag(etag("1", None))),
            put("a", "4", Condition::Etag(etag("1", None))),
        ];
        let verdicts = make(&table.pool, &transactions).await.unwrap();
        let failed = |verdict: &Answer| match verdict {
            Ok(()) => None,
            Err(TableError::ConditionFailed { failed }) => Some(failed.clone()),
            Err(other) => panic!("{other}"),
        };
        assert_eq!(verdicts.iter().map(failed).collect::<Vec<_>>(), [None, Some(vec![1]), None, Some(vec![0])]);
        let body = |item: Option<Item>| item.map(|item| item.body);
        assert_eq!(body(table.get(&ItemKey::new("p", "a")).await.unwrap()).as_deref(), Some("3"));
        assert_eq!(body(table.get(&ItemKey::new("p", "b")).await.unwrap()), None);
    }

    #[tokio::test]
    async fn who_stops_waiting_holds_up_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let table = SqliteTable::open(folder.path()).await.unwrap();
        for number in 0..TOGETHER {
            let writes = put(&number.to_string(), "1", Condition::Any);
            let waiting = table.transact(&writes);
            assert!(waiting.now_or_never().is_none(), "it waits for the disk");
        }
        table.transact(&put("last", "1", Condition::Absent)).await.unwrap();
        let range = Range::new("p", "");
        assert_eq!(table.query(&range, 100).await.unwrap().len(), TOGETHER + 1);
    }
}
