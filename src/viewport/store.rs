//! The Viewport itself: where each application is, and the one way in which it moves on.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use sqlx::{
    Any, AnyConnection, AssertSqlSafe, Connection, Row, TypeInfo, ValueRef,
    any::{AnyArguments, AnyRow},
    error::ErrorKind,
    query::Query,
};

use super::{
    change::{Change, Rows, Value, Values},
    database::{Database, Dialect, bounded},
    error::ViewportError,
    projection::project,
    schema::{PROJECTION_VERSION, TABLES, Table},
};
use crate::{chart_store::Event, digest::Digest, release::ApplicationKey, settings::StoreSettings};

/// The Viewport of one plane (C32). Clones are cheap and share everything.
#[derive(Debug, Clone)]
pub struct Viewport {
    pub(super) database: Arc<Database>,
}

/// Up to which event of its journal an application is projected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The event's position.
    pub seq: u64,
    /// Its [`Event::hash`].
    pub hash: Digest,
}

/// What is to be projected of an application next.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// The application.
    pub key: &'a ApplicationKey,
    /// Where it is said to be.
    pub at: Option<Cursor>,
    /// Events of its journal that follow.
    pub events: &'a [Event],
}

/// The Viewport that the settings name: the MySQL database, or else the SQLite database in the data directory.
///
/// Nothing is connected yet, so that a database that is down keeps nobody from starting. The first use makes the tables
/// where they are missing.
pub fn open(settings: &StoreSettings) -> Result<Viewport, ViewportError> {
    let database = match &settings.mysql_url {
        Some(url) => Database::mysql(settings.plane(), url)?,
        None => Database::sqlite(settings.plane(), &settings.data_dir())?,
    };
    Ok(Viewport { database: Arc::new(database) })
}

impl Viewport {
    /// The plane's name.
    pub fn plane(&self) -> &str {
        self.database.plane()
    }

    /// Which database it is in, for people.
    pub fn location(&self) -> &str {
        self.database.name()
    }

    /// Whether the database answers, has its tables and belongs to this plane.
    pub async fn ping(&self) -> Result<(), ViewportError> {
        let mut lease = self.database.lease().await?;
        self.database.run(sqlx::query("SELECT plane FROM planes").fetch_one(&mut *lease)).await?;
        lease.done();
        Ok(())
    }

    /// Where every application is.
    ///
    /// # Errors
    /// [`ViewportError::OlderProjection`] and [`ViewportError::NewerProjection`] where the rows are not this program's.
    pub async fn cursors(&self) -> Result<HashMap<ApplicationKey, Cursor>, ViewportError> {
        let select = sqlx::query("SELECT namespace, application, seq, hash FROM cursors");
        let mut lease = self.database.lease().await?;
        self.check_projection(&mut lease, "").await?;
        let rows = self.database.run(select.fetch_all(&mut *lease)).await?;
        lease.done();
        let read = |row: &AnyRow| {
            let key = ApplicationKey::new(row.try_get::<String, _>(0)?, row.try_get::<String, _>(1)?);
            Ok((key, cursor(row, 2)?))
        };
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| self.database.failed(&error))
    }

    /// Where one application is; none where nothing of it is projected.
    pub async fn cursor(&self, key: &ApplicationKey) -> Result<Option<Cursor>, ViewportError> {
        let select = sqlx::query("SELECT seq, hash FROM cursors WHERE namespace = ? AND application = ?")
            .bind(key.namespace.clone())
            .bind(key.application.clone());
        let mut lease = self.database.lease().await?;
        let row = self.database.run(select.fetch_optional(&mut *lease)).await?;
        lease.done();
        row.map(|row| cursor(&row, 0)).transpose().map_err(|error| self.database.failed(&error))
    }

    /// Moves an application on from where it is said to be: all that the events change, and the cursor, or nothing.
    /// Events that are projected already are skipped. Returns where the application is then.
    ///
    /// # Errors
    /// [`ViewportError::CursorMoved`] where it is somewhere else, [`ViewportError::Gap`] and
    /// [`ViewportError::BrokenChain`] where the events do not continue it.
    pub async fn apply(
        &self,
        key: &ApplicationKey,
        at: Option<Cursor>,
        events: &[Event],
    ) -> Result<Option<Cursor>, ViewportError> {
        Ok(self.apply_all(&[Step { key, at, events }]).await?.pop().flatten())
    }

    /// The same of several applications in one transaction: all of them, or none.
    pub async fn apply_all(&self, steps: &[Step<'_>]) -> Result<Vec<Option<Cursor>>, ViewportError> {
        let continued = steps.iter().map(|step| continuation(step.key, step.at, step.events));
        let continued = continued.collect::<Result<Vec<_>, _>>()?;
        let ends = steps.iter().zip(&continued).map(|(step, (_, end))| end.or(step.at)).collect();
        if continued.iter().all(|(_, end)| end.is_none()) {
            return Ok(ends);
        }
        let database = &self.database;
        let mut lease = database.lease().await?;
        let mut transaction = database.run(lease.begin_with(database.dialect.begin())).await?;
        self.check_projection(&mut transaction, database.dialect.shared()).await?;
        for (Step { key, at, .. }, (following, end)) in steps.iter().zip(continued) {
            let Some(end) = end else { continue };
            // The cursor first: it is the lock on everything else of this application.
            self.move_cursor(&mut transaction, key, *at, end).await?;
            for event in following {
                for change in project(event) {
                    self.write(&mut transaction, key, &change).await?;
                }
            }
        }
        database.run(transaction.commit()).await?;
        lease.done();
        crate::failpoint::after_write("viewport events");
        Ok(ends)
    }

    /// Forgets everything, so that it is projected again from the beginning. Cursors go first: whoever is about to move
    /// an application on finds that it has moved.
    pub async fn reset(&self) -> Result<(), ViewportError> {
        let database = &self.database;
        let mut lease = database.lease().await?;
        let mut transaction = database.run(lease.begin_with(database.dialect.begin())).await?;
        // Against every transaction that moves an application on: they share this row, this one has it alone.
        let claim = sqlx::query("UPDATE planes SET projection = ? WHERE only_row = 1 AND projection <= ?")
            .bind(PROJECTION_VERSION)
            .bind(PROJECTION_VERSION);
        if database.run(claim.execute(&mut *transaction)).await?.rows_affected() == 0 {
            self.check_projection(&mut transaction, "").await?;
        }
        for table in TABLES {
            let delete = AssertSqlSafe(format!("DELETE FROM {}", table.name));
            // As long as it takes: there may be millions of rows.
            sqlx::query(delete).execute(&mut *transaction).await.map_err(|error| database.failed(&error))?;
        }
        database.run(transaction.commit()).await?;
        lease.done();
        crate::failpoint::after_write("viewport reset");
        Ok(())
    }

    /// All rows of an application, cursor included, or of all applications, as they are in the database.
    pub async fn rows(&self, key: Option<&ApplicationKey>) -> Result<Rows, ViewportError> {
        let mut rows = Rows::default();
        let mut lease = self.database.lease().await?;
        for table in TABLES {
            let columns: Vec<_> = table.columns.iter().map(|column| column.name).collect();
            let mut sql = format!("SELECT {} FROM {}", columns.join(", "), table.name);
            if key.is_some() {
                sql.push_str(" WHERE namespace = ? AND application = ?");
            }
            let mut select = sqlx::query(AssertSqlSafe(sql));
            if let Some(key) = key {
                select = select.bind(key.namespace.clone()).bind(key.application.clone());
            }
            for row in self.database.run(select.fetch_all(&mut *lease)).await? {
                rows.insert(table, values(table, &row).map_err(|error| self.database.failed(&error))?);
            }
        }
        lease.done();
        Ok(rows)
    }

    /// Every application that has a row in any table.
    pub async fn applications(&self) -> Result<BTreeSet<ApplicationKey>, ViewportError> {
        let selects = TABLES.map(|table| format!("SELECT namespace, application FROM {}", table.name));
        let select = sqlx::query(AssertSqlSafe(selects.join(" UNION ")));
        let mut lease = self.database.lease().await?;
        let rows = self.database.run(select.fetch_all(&mut *lease)).await?;
        lease.done();
        let key = |row: &AnyRow| Ok(ApplicationKey::new(row.try_get::<String, _>(0)?, row.try_get::<String, _>(1)?));
        rows.iter().map(key).collect::<Result<_, _>>().map_err(|error| self.database.failed(&error))
    }

    /// Everything in it, a line per row, in an order of its own: two Viewports of the same journals give the same lines,
    /// whatever they are in.
    pub async fn dump(&self) -> Result<Vec<String>, ViewportError> {
        Ok(self.rows(None).await?.lines())
    }

    /// That the rows are of this program's projection.
    async fn check_projection(&self, connection: &mut AnyConnection, lock: &str) -> Result<(), ViewportError> {
        let select = AssertSqlSafe(format!("SELECT projection FROM planes WHERE only_row = 1{lock}"));
        let row = self.database.run(sqlx::query(select).fetch_one(connection)).await?;
        let found: i64 = row.try_get(0).map_err(|error| self.database.failed(&error))?;
        let (database, known) = (self.database.name().to_owned(), PROJECTION_VERSION);
        match found.cmp(&known) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Less => Err(ViewportError::OlderProjection { database, found, known }),
            std::cmp::Ordering::Greater => Err(ViewportError::NewerProjection { database, found, known }),
        }
    }

    async fn move_cursor(
        &self,
        connection: &mut AnyConnection,
        key: &ApplicationKey,
        from: Option<Cursor>,
        to: Cursor,
    ) -> Result<(), ViewportError> {
        let moved = || ViewportError::CursorMoved { key: key.clone() };
        let (namespace, application) = (key.namespace.clone(), key.application.clone());
        let Some(from) = from else {
            let insert = sqlx::query("INSERT INTO cursors (namespace, application, seq, hash) VALUES (?, ?, ?, ?)")
                .bind(namespace)
                .bind(application)
                .bind(number(to.seq))
                .bind(to.hash.to_string());
            return match bounded(insert.execute(connection)).await {
                Ok(_) => Ok(()),
                Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Err(moved()),
                Err(error) => Err(self.refused(key, error)),
            };
        };
        let update = sqlx::query(
            "UPDATE cursors SET seq = ?, hash = ? WHERE namespace = ? AND application = ? AND seq = ? AND hash = ?",
        )
        .bind(number(to.seq))
        .bind(to.hash.to_string())
        .bind(namespace)
        .bind(application)
        .bind(number(from.seq))
        .bind(from.hash.to_string());
        match self.database.run(update.execute(connection)).await?.rows_affected() {
            1 => Ok(()),
            _ => Err(moved()),
        }
    }

    async fn write(
        &self,
        connection: &mut AnyConnection,
        key: &ApplicationKey,
        change: &Change,
    ) -> Result<(), ViewportError> {
        let (sql, values) = statement(self.database.dialect, change);
        let query = bind(sqlx::query(AssertSqlSafe(sql)), values);
        bounded(query.execute(connection)).await.map_err(|error| self.refused(key, error)).map(drop)
    }

    /// Whether the database does not work, or does not want this.
    fn refused(&self, key: &ApplicationKey, error: sqlx::Error) -> ViewportError {
        match &error {
            // SQLSTATE 22: the data are not what the column takes.
            sqlx::Error::Database(said)
                if said.kind() != ErrorKind::Other || said.code().is_some_and(|code| code.starts_with("22")) =>
            {
                let (database, message) = (self.database.name().to_owned(), said.to_string());
                ViewportError::Refused { database, key: key.clone(), message }
            }
            _ => self.database.failed(&error),
        }
    }
}

/// The events that follow a position, and where they lead; nowhere where none follow.
fn continuation<'a>(
    key: &ApplicationKey,
    at: Option<Cursor>,
    events: &'a [Event],
) -> Result<(&'a [Event], Option<Cursor>), ViewportError> {
    let after = at.map_or(0, |cursor| cursor.seq);
    let following = &events[events.partition_point(|event| event.seq <= after)..];
    let mut end = at;
    for event in following {
        let last = end.map_or(0, |cursor| cursor.seq);
        if event.seq != last + 1 || event.key != *key {
            return Err(ViewportError::Gap { key: key.clone(), after: last, found: event.seq });
        }
        if event.prev_hash != end.map(|cursor| cursor.hash) {
            return Err(ViewportError::BrokenChain { key: key.clone(), seq: event.seq });
        }
        end = Some(Cursor { seq: event.seq, hash: event.hash() });
    }
    Ok((following, end.filter(|_| !following.is_empty())))
}

/// The SQL of a change, and what its question marks stand for.
fn statement(dialect: Dialect, change: &Change) -> (String, Vec<&Value>) {
    let names = |values: &Values| values.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    let contents = |values: &'_ Values| -> Vec<usize> { (0..values.len()).collect() };
    let insert = |table: &Table, values: &Values| {
        let marks = vec!["?"; values.len()].join(", ");
        format!("INSERT INTO {} ({}) VALUES ({marks})", table.name, names(values).join(", "))
    };
    let is_key = |table: &Table, name: &str| table.key_columns().iter().any(|column| column.name == name);
    let equal = |names: &[&str], between: &str| {
        names.iter().map(|name| format!("{name} = ?")).collect::<Vec<_>>().join(between)
    };
    let (sql, order, values) = match change {
        Change::Add(table, values) => (insert(table, values), contents(values), values),
        Change::Put(table, values) => {
            let key: Vec<_> = table.key_columns().iter().map(|column| column.name).collect();
            let rest: Vec<_> = names(values).into_iter().filter(|name| !is_key(table, name)).collect();
            (insert(table, values) + &dialect.or_update(&key, &rest), contents(values), values)
        }
        Change::Keep(table, values) => {
            let key: Vec<_> = table.key_columns().iter().map(|column| column.name).collect();
            (insert(table, values) + &dialect.or_update(&key, &[]), contents(values), values)
        }
        Change::Set(table, values) => {
            let (key, rest): (Vec<usize>, Vec<usize>) =
                contents(values).into_iter().partition(|position| is_key(table, values[*position].0));
            let named = |positions: &[usize]| positions.iter().map(|position| values[*position].0).collect::<Vec<_>>();
            let (set, condition) = (equal(&named(&rest), ", "), equal(&named(&key), " AND "));
            let sql = format!("UPDATE {} SET {set} WHERE {condition}", table.name);
            (sql, rest.into_iter().chain(key).collect(), values)
        }
        Change::Remove(table, values) => {
            let condition = equal(&names(values), " AND ");
            (format!("DELETE FROM {} WHERE {condition}", table.name), contents(values), values)
        }
    };
    (sql, order.into_iter().map(|position| &values[position].1).collect())
}

pub(super) type AnyQuery<'q> = Query<'q, Any, AnyArguments>;

pub(super) fn bind<'q>(query: AnyQuery<'q>, values: Vec<&Value>) -> AnyQuery<'q> {
    values.into_iter().fold(query, |query, value| match value {
        Value::Null => query.bind(None::<String>),
        Value::Number(number) => query.bind(*number),
        Value::Text(text) => query.bind(text.clone()),
    })
}

fn cursor(row: &AnyRow, first: usize) -> Result<Cursor, sqlx::Error> {
    let hash: String = row.try_get(first + 1)?;
    let hash = hash.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok(Cursor { seq: row.try_get::<i64, _>(first)?.try_into().unwrap_or(0), hash })
}

fn values(table: &'static Table, row: &AnyRow) -> Result<Values, sqlx::Error> {
    let value = |position: usize| -> Result<Value, sqlx::Error> {
        let raw = row.try_get_raw(position)?;
        if raw.is_null() || raw.type_info().is_null() {
            return Ok(Value::Null);
        }
        match table.columns[position].length {
            Some(_) => Ok(Value::Text(row.try_get(position)?)),
            None => Ok(Value::Number(row.try_get(position)?)),
        }
    };
    table.columns.iter().enumerate().map(|(position, column)| Ok((column.name, value(position)?))).collect()
}

fn number(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}
