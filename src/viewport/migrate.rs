//! Brings a database's schema up to date and sees whose it is, once per process and before anything else.
//!
//! MySQL ends a transaction with every DDL statement. So there is one statement to a migration, each may be repeated
//! (`IF NOT EXISTS`), and a migration that was begun and not marked as done is begun again: whoever died in between
//! leaves nothing to be repaired by hand.

use std::{io, time::Duration};

use sqlx::{
    AnyConnection, Row, SqlSafeStr,
    migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator},
};
use tokio::time::timeout;

use super::{
    database::{Database, Dialect, bounded},
    error::ViewportError,
    schema::PROJECTION_VERSION,
};

/// The migrator's own table.
const HISTORY: &str = "_sqlx_migrations";

/// How long migrations may take, another process's included that has begun before. What is not done then goes on with the
/// next use.
const PATIENCE: Duration = Duration::from_secs(9);

macro_rules! migrations {
    ($folder:literal: $($name:literal)*) => {
        [$(($name, include_str!(concat!("../../migrations/viewport/", $folder, "/", $name, ".sql")))),*]
    };
}

macro_rules! migrations_of {
    ($folder:literal) => {
        migrations!($folder: "0001_planes" "0002_cursors" "0003_applications" "0004_releases"
            "0005_release_environments" "0006_metadata" "0007_images" "0008_image_digests" "0009_uploads" "0010_charts"
            "0011_environments" "0012_overlays" "0013_overlay_images" "0014_deployments" "0015_events"
            "0016_drop_deployments" "0017_deployments" "0018_deployment_images" "0019_drop_events" "0020_events"
            "0021_drop_events" "0022_events" "0023_requests" "0024_milestones" "0025_arrivals" "0026_health")
    };
}

const MYSQL: [(&str, &str); 26] = migrations_of!("mysql");
const SQLITE: [(&str, &str); 26] = migrations_of!("sqlite");

fn migrator(dialect: Dialect) -> Migrator {
    let files = match dialect {
        Dialect::MySql => MYSQL,
        Dialect::Sqlite => SQLITE,
    };
    let migrations = (1..).zip(files).map(|(version, (name, sql))| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    // Locked here already: sqlx locks SQLite not at all, and gives MySQL's lock back to the pool when it fails.
    migrator.set_locking(false);
    migrator
}

/// Makes the database ready for use, or says why it cannot be used.
pub(super) async fn prepare(database: &Database) -> Result<(), ViewportError> {
    let _lock = match database.file() {
        Some(path) => {
            let path = path.to_owned();
            let locked = tokio::task::spawn_blocking(move || crate::embedded::prepare(&path)).await;
            let locked = locked.map_err(io::Error::other).and_then(|result| result);
            Some(locked.map_err(|error| database.unavailable(format!("it cannot be opened: {error}")))?)
        }
        None => None,
    };
    let mut connection = database.connect().await?;
    match timeout(PATIENCE, migrate(database, &mut connection)).await {
        Ok(result) => result?,
        Err(_) => {
            return Err(database.unavailable(format!("its schema is not up to date after {} s", PATIENCE.as_secs())));
        }
    }
    claim(database, &mut connection).await
    // Dropping the connection gives up MySQL's lock, however this ends.
}

async fn migrate(database: &Database, connection: &mut AnyConnection) -> Result<(), ViewportError> {
    let failed = |error: MigrateError| match error {
        MigrateError::VersionMissing(_) => {
            database.unavailable("a newer orbit has changed its schema: upgrade this one")
        }
        error => database.unavailable(format!("its schema cannot be brought up to date: {error}")),
    };
    if database.dialect == Dialect::MySql {
        // Of this database, whoever else shares the server. Names of locks end at 64 characters.
        let lock = sqlx::query("SELECT GET_LOCK(CONCAT('orbit-', SHA2(DATABASE(), 224)), 8)");
        let row = database.run(lock.fetch_one(&mut *connection)).await?;
        if row.try_get::<Option<i64>, _>(0).ok().flatten() != Some(1) {
            return Err(database.unavailable("another process is bringing its schema up to date"));
        }
    }
    connection.ensure_migrations_table(HISTORY).await.map_err(failed)?;
    if database.dialect == Dialect::MySql {
        let unfinished = sqlx::query("DELETE FROM _sqlx_migrations WHERE success = FALSE");
        database.run(unfinished.execute(&mut *connection)).await?;
    }
    let done_before = connection.list_applied_migrations(HISTORY).await.map_err(failed)?.len();
    let migrator = migrator(database.dialect);
    // What `run` does once it has a connection; the future of `run` itself cannot be sent between threads.
    migrator.run_direct(None, connection, false).await.map_err(failed)?;
    if done_before < migrator.iter().count() {
        crate::failpoint::after_write("viewport schema");
    }
    Ok(())
}

/// Takes a database that is nobody's, and refuses one that is another plane's.
async fn claim(database: &Database, connection: &mut AnyConnection) -> Result<(), ViewportError> {
    let insert = sqlx::query("INSERT INTO planes (only_row, plane, projection) VALUES (1, ?, ?)")
        .bind(database.plane().to_owned())
        .bind(PROJECTION_VERSION);
    match bounded(insert.execute(&mut *connection)).await {
        Ok(_) => {
            crate::failpoint::after_write("viewport plane");
            Ok(())
        }
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
            let select = sqlx::query("SELECT plane FROM planes WHERE only_row = 1");
            let row = database.run(select.fetch_one(&mut *connection)).await?;
            let theirs: String = row.try_get(0).map_err(|error| database.failed(&error))?;
            if theirs == database.plane() {
                return Ok(());
            }
            let (database, ours) = (database.name().to_owned(), database.plane().to_owned());
            Err(ViewportError::OtherPlane { database, theirs, ours })
        }
        Err(error) => Err(database.failed(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_for_mysql_is_one_statement_that_can_be_repeated() {
        for (name, sql) in MYSQL {
            assert_eq!(sql.matches(';').count(), 1, "{name}");
            let makes = sql.contains("IF NOT EXISTS") && sql.contains("utf8mb4_0900_bin");
            assert!(makes || sql.contains("DROP TABLE IF EXISTS"), "{name}");
        }
    }

    #[test]
    fn both_databases_have_the_same_migrations() {
        assert_eq!(MYSQL.map(|(name, _)| name), SQLITE.map(|(name, _)| name));
    }
}
