//! What can be asked of the Viewport. Every question is about one namespace: namespaces are tenants.

mod audit;
mod deployments;
mod environments;
mod images;
mod lifecycle;
mod matrix;
mod reports;
mod uploads;

pub use audit::{AuditFilter, Shown};
pub use deployments::Clusters;
pub use matrix::MatrixFilter;

use std::collections::BTreeMap;

use sqlx::{AnyConnection, AssertSqlSafe, Row, any::AnyRow};

use super::{
    answers::Page,
    change::Value,
    database::Database,
    error::ViewportError,
    paging::{Order, PageRequest},
    store::bind,
};

/// A SELECT while it is put together, with what its question marks stand for.
struct Select {
    sql: String,
    values: Vec<Value>,
}

impl Select {
    fn new(sql: &str, values: impl IntoIterator<Item = Value>) -> Self {
        Self { sql: sql.to_owned(), values: values.into_iter().collect() }
    }

    /// The rows of which these columns hold one of these. Every alternative names all of them: planners then look each
    /// up by itself.
    fn one_of<const N: usize>(
        sql: &str,
        columns: [&str; N],
        alternatives: impl IntoIterator<Item = [Value; N]>,
    ) -> Self {
        let values: Vec<_> = alternatives.into_iter().collect();
        let alternative = format!("({})", columns.map(|column| format!("{column} = ?")).join(" AND "));
        let condition = vec![alternative; values.len()].join(" OR ");
        Self { sql: format!("{sql} WHERE {condition}"), values: values.into_iter().flatten().collect() }
    }

    /// One more condition.
    fn and(mut self, condition: &str, values: impl IntoIterator<Item = Value>) -> Self {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
        self.values.extend(values);
        self
    }

    /// That a column holds one of these.
    fn and_in(self, column: &str, values: impl IntoIterator<Item = Value>) -> Self {
        let values: Vec<_> = values.into_iter().collect();
        let marks = vec!["?"; values.len()].join(", ");
        self.and(&format!("{column} IN ({marks})"), values)
    }

    /// One page in this order, and one row more, which tells whether another page follows.
    fn page(self, order: &Order, request: &PageRequest) -> Result<Self, ViewportError> {
        let select = match request.position(order.0.len())? {
            Some(position) => {
                let (condition, values) = order.beyond(&position);
                self.and(&condition, values.into_iter().map(Value::from))
            }
            None => self,
        };
        Ok(select.ordered(&order.by(), request.limit() + 1))
    }

    fn ordered(mut self, by: &str, limit: usize) -> Self {
        self.sql.push_str(&format!(" ORDER BY {by} LIMIT {limit}"));
        self
    }

    async fn fetch(&self, database: &Database, connection: &mut AnyConnection) -> Result<Vec<AnyRow>, ViewportError> {
        let query = bind(sqlx::query(AssertSqlSafe(self.sql.clone())), self.values.iter().collect());
        database.run(query.fetch_all(connection)).await
    }

    /// The rows, each read by `read`.
    async fn fetch_as<T>(
        &self,
        database: &Database,
        connection: &mut AnyConnection,
        read: impl Fn(&AnyRow) -> Result<T, sqlx::Error>,
    ) -> Result<Vec<T>, ViewportError> {
        let rows = self.fetch(database, connection).await?;
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| database.failed(&error))
    }
}

#[cfg(test)]
impl Select {
    /// How SQLite goes about it, a line each step.
    async fn plan(mut self, database: &Database) -> String {
        self.sql.insert_str(0, "EXPLAIN QUERY PLAN ");
        let mut lease = database.lease().await.unwrap();
        let steps = self.fetch_as(database, &mut lease, |row| text(row, "detail")).await.unwrap();
        lease.done();
        steps.join("\n")
    }
}

fn text(row: &AnyRow, column: &str) -> Result<String, sqlx::Error> {
    row.try_get(column)
}

fn maybe(row: &AnyRow, column: &str) -> Result<Option<String>, sqlx::Error> {
    row.try_get(column)
}

fn number(row: &AnyRow, column: &str) -> Result<i64, sqlx::Error> {
    row.try_get(column)
}

/// A release of a namespace: application and version.
type ReleaseKey = (String, String);

/// What users say of releases in their own labels.
async fn metadata(
    database: &Database,
    connection: &mut AnyConnection,
    namespace: &str,
    releases: impl IntoIterator<Item = ReleaseKey>,
) -> Result<BTreeMap<ReleaseKey, BTreeMap<String, String>>, ViewportError> {
    let mut wanted: Vec<ReleaseKey> = releases.into_iter().collect();
    wanted.sort();
    wanted.dedup();
    let mut found = BTreeMap::<_, BTreeMap<_, _>>::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    let values =
        wanted.into_iter().map(|(application, version)| [namespace.into(), application.into(), version.into()]);
    let select = Select::one_of(
        "SELECT application, version, name, value FROM metadata",
        ["namespace", "application", "version"],
        values,
    );
    let read = |row: &AnyRow| {
        Ok(((text(row, "application")?, text(row, "version")?), (text(row, "name")?, text(row, "value")?)))
    };
    for (release, (name, value)) in select.fetch_as(database, connection, read).await? {
        found.entry(release).or_default().insert(name, value);
    }
    Ok(found)
}

impl<T> Page<T> {
    /// The same page of something else.
    fn map<U>(self, to: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(to).collect(), next: self.next }
    }
}
