//! The embedded table: one SQLite database in the data directory.

mod commits;

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use sqlx::{
    QueryBuilder, Row, SqlSafeStr, Sqlite, SqliteExecutor, SqlitePool,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous},
};

use self::commits::Commits;
use super::table::{Item, ItemKey, Range, Table, TableError, Write, check_limits};
use crate::embedded;

/// The database's name in the data directory.
pub const FILE_NAME: &str = "chart-store.db";

/// How long a writer waits for the ones before it: another process may be writing, too.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// What an [`Item`] is read from.
const COLUMNS: &str = "partition, sort, body, blob, etag";

/// A table in a SQLite database. Clones share its connections.
#[derive(Debug, Clone)]
pub struct SqliteTable {
    pool: SqlitePool,
    commits: Commits,
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
            // A file's connection does not go dead meanwhile, and to ask it is a trip to its thread and back.
            .test_before_acquire(false)
            .connect_with(options)
            .await
            .map_err(|error| unavailable(&path, format!("the database cannot be opened: {error}")))?;
        migrations().run(&pool).await.map_err(|error| {
            unavailable(&path, format!("the database's schema cannot be brought up to date: {error}"))
        })?;
        let commits = Commits::begin(pool.clone(), &path);
        Ok(Self { pool, commits, path })
    }

    async fn items(&self, keys: &[&ItemKey]) -> Result<Vec<Item>, TableError> {
        rows(&self.pool, keys, COLUMNS)
            .await
            .and_then(|rows| rows.iter().map(item).collect())
            .map_err(|error| self.failed(error))
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

fn item(row: &SqliteRow) -> Result<Item, sqlx::Error> {
    Ok(Item {
        key: ItemKey::new(row.try_get::<String, _>("partition")?, row.try_get::<String, _>("sort")?),
        body: row.try_get("body")?,
        blob: row.try_get::<Option<Vec<u8>>, _>("blob")?.map(Bytes::from),
        etag: row.try_get("etag")?,
    })
}

/// The rows of those of the items that are there, read at one moment.
async fn rows(
    from: impl SqliteExecutor<'_>,
    keys: &[&ItemKey],
    columns: &'static str,
) -> Result<Vec<SqliteRow>, sqlx::Error> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    // A condition on pairs of columns has SQLite 3.40 read the whole table; a cross join keeps to this order.
    let mut query = QueryBuilder::<Sqlite>::new("WITH wanted(in_partition, at) AS (");
    query.push_values(keys, |mut row, key| {
        row.push_bind(&key.partition).push_bind(&key.sort);
    });
    query
        .push(") SELECT ")
        .push(columns)
        .push(" FROM wanted CROSS JOIN items ON partition = in_partition AND sort = at");
    query.build().fetch_all(from).await
}

#[async_trait]
impl Table for SqliteTable {
    async fn get(&self, key: &ItemKey) -> Result<Option<Item>, TableError> {
        Ok(self.items(&[key]).await?.into_iter().next())
    }

    async fn get_all(&self, keys: &[ItemKey]) -> Result<Vec<Option<Item>>, TableError> {
        let keys: Vec<_> = keys.iter().collect();
        let mut found: HashMap<_, _> =
            self.items(&keys).await?.into_iter().map(|item| (item.key.clone(), item)).collect();
        Ok(keys.iter().map(|key| found.remove(*key)).collect())
    }

    async fn query(&self, range: &Range, limit: usize) -> Result<Vec<Item>, TableError> {
        let Some((lower, upper)) = range.bounds() else { return Ok(Vec::new()) };
        sqlx::query(
            "SELECT partition, sort, body, blob, etag FROM items WHERE partition = ? AND sort BETWEEN ? AND ? ORDER BY sort LIMIT ?",
        )
        .bind(&range.partition)
        .bind(lower)
        .bind(upper)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await
        .and_then(|rows| rows.iter().map(item).collect())
        .map_err(|error| self.failed(error))
    }

    async fn transact(&self, writes: &[Write]) -> Result<(), TableError> {
        check_limits(writes)?;
        self.commits.make(writes).await
    }

    async fn ping(&self) -> Result<(), TableError> {
        sqlx::query("SELECT 1 FROM items LIMIT 1")
            .fetch_optional(&self.pool)
            .await
            .map(drop)
            .map_err(|error| self.failed(error))
    }
}
