//! What reports are made from. Each question reads what happened in the report's days by time, in an index that has all
//! it asks for; only what went wrong is followed further, and that is little. Of one application, what there is of it is
//! read instead.

use jiff::{Timestamp, civil::Date};
use sqlx::any::AnyRow;

use super::{Select, maybe, number, text};
use crate::viewport::{
    Viewport,
    database::Dialect,
    days::Days,
    error::ViewportError,
    reports::{Arrival, Incident, Records, Report, ReportRequest, Trouble, report},
};

const COUNT_BY_DAY: &str = "SELECT SUBSTR(m.reached_at, 1, 10) AS day, COUNT(*) AS count";
const BY_DAY: &str = " GROUP BY SUBSTR(m.reached_at, 1, 10)";

/// The same place, of two tables.
fn same_place(one: &str, other: &str) -> String {
    ["namespace", "application", "environment", "cluster_namespace", "cluster_name", "cluster_uid"]
        .map(|column| format!("{one}.{column} = {other}.{column}"))
        .join(" AND ")
}

impl Viewport {
    /// How deliveries went in a namespace.
    pub async fn report(&self, namespace: &str, request: &ReportRequest) -> Result<Report, ViewportError> {
        let database = &self.database;
        let dialect = database.dialect;
        let mut lease = database.lease().await?;
        let on_day = |row: &AnyRow| {
            let day = text(row, "day")?.parse::<Date>().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
            Ok((day, number(row, "count")?))
        };
        let records = Records {
            applied: applied(dialect, namespace, request).fetch_as(database, &mut lease, on_day).await?,
            returned: returned(namespace, request).fetch_as(database, &mut lease, on_day).await?,
            troubles: troubles(dialect, namespace, request).fetch_as(database, &mut lease, read_trouble).await?,
            arrivals: arrivals(dialect, namespace, request)
                .fetch_as(database, &mut lease, |row| {
                    Ok(Arrival { stored_at: time(row, "stored_at")?, healthy_at: time(row, "healthy_at")? })
                })
                .await?,
            incidents: incidents(dialect, namespace, request).fetch_as(database, &mut lease, read_incident).await?,
        };
        lease.done();
        Ok(report(request, &records))
    }
}

/// A table as `m`, read by time.
fn by_time(dialect: Dialect, table: &str, request: &ReportRequest) -> String {
    let index = dialect.by_index(&format!("{table}_by_time"));
    format!("{table} m{}", if request.application.is_none() { &index } else { "" })
}

fn applied(dialect: Dialect, namespace: &str, request: &ReportRequest) -> Select {
    let milestones = by_time(dialect, "milestones", request);
    let sql = format!("{COUNT_BY_DAY} FROM {milestones} WHERE m.namespace = ? AND m.state = 'applied'");
    let mut select = within(Select::new(&sql, [namespace.into()]), "m.reached_at", request.counted(), request);
    select.sql.push_str(BY_DAY);
    select
}

/// Begun from what was rolled back, which is what there is little of: SQLite takes the tables of a CROSS JOIN in the
/// order in which they are written.
fn returned(namespace: &str, request: &ReportRequest) -> Select {
    let sql = format!(
        "{COUNT_BY_DAY} FROM milestones b CROSS JOIN milestones m ON {} AND m.attempt = b.attempt + 1 \
         AND m.state = 'applied' WHERE b.namespace = ? AND b.state = 'rolledBack' AND b.reached_at < ?",
        same_place("m", "b"),
    );
    // What was rolled back was so before.
    let [_, end] = request.counted().bounds();
    let select = Select::new(&sql, [namespace.into(), end.into()]);
    let mut select = within(select, "m.reached_at", request.counted(), request);
    select.sql.push_str(BY_DAY);
    select
}

fn troubles(dialect: Dialect, namespace: &str, request: &ReportRequest) -> Select {
    let attempt = |table: &str, which: &str, state: &str| {
        let place = same_place(table, "m");
        format!("LEFT JOIN milestones {table} ON {place} AND {table}.attempt = {which} AND {table}.state = '{state}'")
    };
    let sql = format!(
        "SELECT m.application AS application, m.environment AS environment, \
         m.cluster_namespace AS cluster_namespace, m.cluster_name AS cluster_name, m.cluster_uid AS cluster_uid, \
         m.attempt AS attempt, m.reached_at AS reached_at, a.reached_at AS applied_at, f.reached_at AS failed_at, \
         b.reached_at AS rolled_back_at FROM {} {} {} {} \
         WHERE m.namespace = ? AND m.state IN ('degraded', 'failed', 'rolledBack')",
        by_time(dialect, "milestones", request),
        attempt("a", "m.attempt", "applied"),
        attempt("f", "m.attempt", "failed"),
        attempt("b", "m.attempt - 1", "rolledBack"),
    );
    within(Select::new(&sql, [namespace.into()]), "m.reached_at", request.troubled(), request)
}

fn arrivals(dialect: Dialect, namespace: &str, request: &ReportRequest) -> Select {
    let sql = format!(
        "SELECT m.healthy_at AS healthy_at, r.stored_at AS stored_at FROM {} JOIN releases r \
         ON r.namespace = m.namespace AND r.application = m.application AND r.version = m.version \
         WHERE m.namespace = ?",
        by_time(dialect, "arrivals", request),
    );
    within(Select::new(&sql, [namespace.into()]), "m.healthy_at", request.counted(), request)
}

/// Where a place was not in trouble before, with the change that ended it.
fn incidents(dialect: Dialect, namespace: &str, request: &ReportRequest) -> Select {
    const TROUBLE: &str = "('degraded', 'failed')";
    let sql = format!(
        "SELECT m.namespace AS namespace, m.application AS application, m.environment AS environment, \
         m.cluster_namespace AS cluster_namespace, m.cluster_name AS cluster_name, m.cluster_uid AS cluster_uid, \
         m.changed_at AS changed_at, \
         (SELECT p.state FROM health p WHERE {} AND p.seq < m.seq ORDER BY p.seq DESC LIMIT 1) AS state_before, \
         (SELECT n.seq FROM health n WHERE {} AND n.seq > m.seq AND n.state NOT IN {TROUBLE} ORDER BY n.seq LIMIT 1) \
         AS seq_after FROM {} WHERE m.namespace = ? AND m.state IN {TROUBLE}",
        same_place("p", "m"),
        same_place("n", "m"),
        by_time(dialect, "health", request),
    );
    let Select { sql, values } =
        within(Select::new(&sql, [namespace.into()]), "m.changed_at", request.counted(), request);
    let sql = format!(
        "SELECT i.changed_at AS began_at, e.state AS state_after, e.changed_at AS ended_at FROM ({sql}) i \
         LEFT JOIN health e ON {} AND e.seq = i.seq_after \
         WHERE i.state_before IS NULL OR i.state_before NOT IN {TROUBLE}",
        same_place("e", "i"),
    );
    Select { sql, values }
}

/// In these days, of the application and the environment that are asked for.
fn within(select: Select, time: &str, days: Days, request: &ReportRequest) -> Select {
    let bounds = days.bounds().map(Into::into);
    let mut select = select.and(&format!("{time} >= ? AND {time} < ?"), bounds);
    for (column, name) in [("application", &request.application), ("environment", &request.environment)] {
        if let Some(name) = name {
            select = select.and(&format!("m.{column} = ?"), [name.as_str().into()]);
        }
    }
    select
}

fn read_trouble(row: &AnyRow) -> Result<Trouble, sqlx::Error> {
    let mut deployment = vec![number(row, "attempt")?.to_string()];
    for column in ["application", "environment", "cluster_namespace", "cluster_name", "cluster_uid"] {
        deployment.push(text(row, column)?);
    }
    Ok(Trouble {
        deployment,
        at: time(row, "reached_at")?,
        applied_at: maybe_time(row, "applied_at")?,
        failed_at: maybe_time(row, "failed_at")?,
        returns: maybe(row, "rolled_back_at")?.is_some(),
    })
}

fn read_incident(row: &AnyRow) -> Result<Incident, sqlx::Error> {
    let is_healthy = maybe(row, "state_after")?.as_deref() == Some("healthy");
    let healthy_at = maybe_time(row, "ended_at")?.filter(|_| is_healthy);
    Ok(Incident { began_at: time(row, "began_at")?, healthy_at })
}

fn time(row: &AnyRow, column: &str) -> Result<Timestamp, sqlx::Error> {
    parsed(&text(row, column)?)
}

fn maybe_time(row: &AnyRow, column: &str) -> Result<Option<Timestamp>, sqlx::Error> {
    maybe(row, column)?.as_deref().map(parsed).transpose()
}

fn parsed(text: &str) -> Result<Timestamp, sqlx::Error> {
    text.parse().map_err(|error: jiff::Error| sqlx::Error::Decode(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        settings::StoreSettings,
        viewport::{self, Period},
    };

    #[tokio::test]
    async fn every_answer_begins_where_an_index_leads() {
        let directory = tempfile::tempdir().unwrap();
        let settings = StoreSettings { data_dir: Some(directory.path().to_owned()), ..StoreSettings::default() };
        let viewport = viewport::open(&settings).unwrap();
        let days = Days::until("2026-01-31".parse().unwrap(), 30).unwrap();
        let request = ReportRequest { application: None, environment: None, days, period: Period::Day };
        const APPLIED: &str = "milestones_by_time (namespace=? AND state=? AND reached_at>? AND reached_at<?)";
        const PLACE: &str = "(namespace=? AND application=? AND environment=? AND cluster_namespace=? \
             AND cluster_name=? AND cluster_uid=? AND";
        for (select, enters) in [
            (applied(Dialect::Sqlite, "shop", &request), vec![APPLIED]),
            (returned("shop", &request), vec!["milestones_by_time (namespace=? AND state=? AND reached_at<?)", PLACE]),
            (troubles(Dialect::Sqlite, "shop", &request), vec![APPLIED, PLACE]),
            (
                arrivals(Dialect::Sqlite, "shop", &request),
                vec!["arrivals_by_time (namespace=? AND healthy_at>? AND healthy_at<?)"],
            ),
            (
                incidents(Dialect::Sqlite, "shop", &request),
                vec!["health_by_time (namespace=? AND state=? AND changed_at>? AND changed_at<?)", PLACE],
            ),
        ] {
            let plan = select.plan(&viewport.database).await;
            for enters in enters {
                assert!(plan.contains(enters), "{enters}\n{plan}");
            }
            assert!(!plan.contains("SCAN m") && !plan.contains("SCAN b"), "{plan}");
        }
    }
}
