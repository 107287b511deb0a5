//! The embedded table: one SQLite database in the data directory.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use sqlx::{
    Row, SqlSafeStr, SqlitePool,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous},
};

use super::table::{Action, Condition, Item, ItemKey, Range, Table, TableError, Write, check_limits, etag};
use crate::embedded;

/// The database's name in the data directory.
pub const FILE_NAME: &str = "chart-store.db";

/// How long a writer waits for the ones before it: another process may be writing, too.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// A table in a SQLite database. Clones share its connections.
#[derive(Debug, Clone)]
pub struct SqliteTable {
    pool: SqlitePool,
    path: PathBuf,
}

impl SqliteTable {
    /// Whether the directory holds such a database.
    pub fn exists(directory: &Path) -> bool {
        directory.join(FILE_NAME).exists()
    }

    /// Opens the database in a directory; both are made when missing, readable to their owner only.
    pub async fn open(directory: &Path) -> Result<Self, TableError> {
        let path = directory.join(FILE_NAME);
        let lock = {
            let path = path.clone();
            tokio::task::spawn_blocking(move || embedded::prepare(&path)).await
        };
        // The migrator takes no lock on SQLite: this one lets one process at a time through.
        let _lock = lock
            .map_err(io::Error::other)
            .and_then(|result| result)
            .map_err(|error| unavailable(&path, format!("the database cannot be opened: {error}")))?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = SqlitePoolOptions::new()
            .max_connections(8)
            .connect_with(options)
            .await
            .map_err(|error| unavailable(&path, format!("the database cannot be opened: {error}")))?;
        migrations().run(&pool).await.map_err(|error| {
            unavailable(&path, format!("the database's schema cannot be brought up to date: {error}"))
        })?;
        Ok(Self { pool, path })
    }

    fn failed(&self, error: sqlx::Error) -> TableError {
        unavailable(&self.path, error.to_string())
    }
}

fn migrations() -> Migrator {
    let items = include_str!("../../migrations/chart-store/0001_items.sql").into_sql_str();
    Migrator::with_migrations(vec![Migration::new(1, "items".into(), MigrationType::Simple, items, false)])
}

fn unavailable(path: &Path, message: String) -> TableError {
    TableError::Unavailable { store: format!("SQLite database {}", path.display()), message }
}

fn item(row: SqliteRow, partition: &str) -> Result<Item, sqlx::Error> {
    Ok(Item {
        key: ItemKey::new(partition, row.try_get::<String, _>("sort")?),
        body: row.try_get("body")?,
        blob: row.try_get::<Option<Vec<u8>>, _>("blob")?.map(Bytes::from),
        etag: row.try_get("etag")?,
    })
}

#[async_trait]
impl Table for SqliteTable {
    async fn get(&self, key: &ItemKey) -> Result<Option<Item>, TableError> {
        sqlx::query("SELECT sort, body, blob, etag FROM items WHERE partition = ? AND sort = ?")
            .bind(&key.partition)
            .bind(&key.sort)
            .fetch_optional(&self.pool)
            .await
            .and_then(|row| row.map(|row| item(row, &key.partition)).transpose())
            .map_err(|error| self.failed(error))
    }

    async fn query(&self, range: &Range, limit: usize) -> Result<Vec<Item>, TableError> {
        let Some((lower, upper)) = range.bounds() else { return Ok(Vec::new()) };
        sqlx::query(
            "SELECT sort, body, blob, etag FROM items WHERE partition = ? AND sort BETWEEN ? AND ? ORDER BY sort LIMIT ?",
        )
        .bind(&range.partition)
        .bind(lower)
        .bind(upper)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await
        .and_then(|rows| rows.into_iter().map(|row| item(row, &range.partition)).collect())
        .map_err(|error| self.failed(error))
    }

    async fn transact(&self, writes: &[Write]) -> Result<(), TableError> {
        check_limits(writes)?;
        let failed = |error| self.failed(error);
        // A deferred transaction that reads first loses against any other writer; this one waits for its turn.
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let mut unmet = Vec::new();
        for (position, write) in writes.iter().enumerate() {
            if write.condition == Condition::Any {
                continue;
            }
            let stored: Option<String> = sqlx::query_scalar("SELECT etag FROM items WHERE partition = ? AND sort = ?")
                .bind(&write.key.partition)
                .bind(&write.key.sort)
                .fetch_optional(&mut *transaction)
                .await
                .map_err(failed)?;
            if !write.condition.holds(stored.as_deref()) {
                unmet.push(position);
            }
        }
        if !unmet.is_empty() {
            transaction.rollback().await.map_err(failed)?;
            return Err(TableError::ConditionFailed { failed: unmet });
        }
        for write in writes {
            let statement = match &write.action {
                Action::Put { body, blob } => sqlx::query(
                    "INSERT INTO items (partition, sort, body, blob, etag) VALUES (?, ?, ?, ?, ?) ON CONFLICT (partition, \
                     sort) DO UPDATE SET body = excluded.body, blob = excluded.blob, etag = excluded.etag",
                )
                .bind(&write.key.partition)
                .bind(&write.key.sort)
                .bind(body)
                .bind(blob.as_deref())
                .bind(etag(body, blob.as_deref())),
                Action::Delete => sqlx::query("DELETE FROM items WHERE partition = ? AND sort = ?")
                    .bind(&write.key.partition)
                    .bind(&write.key.sort),
                Action::Check => continue,
            };
            statement.execute(&mut *transaction).await.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    async fn ping(&self) -> Result<(), TableError> {
        sqlx::query("SELECT 1 FROM items LIMIT 1")
            .fetch_optional(&self.pool)
            .await
            .map(drop)
            .map_err(|error| self.failed(error))
    }
}
