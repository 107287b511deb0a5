//! What happened in a namespace, and who did it.

use sqlx::any::AnyRow;

use super::{Select, maybe, number, text};
use crate::viewport::{
    Viewport,
    answers::{AuditEvent, Page},
    change::cut,
    database::Dialect,
    error::ViewportError,
    paging::{Direction, Order, PageRequest},
    schema::EVENTS,
};

const COLUMNS: &str = "application, seq, id, hash, prev_hash, occurred_at, actor, transition, version, environment, \
     digest, detail, spec_digest";

const NEWEST_FIRST: Order =
    Order(&[("occurred_at", Direction::Down), ("application", Direction::Down), ("seq", Direction::Down)]);
/// Of one application: as its journal has them, whatever the clock said.
const OF_ONE: Order = Order(&[("seq", Direction::Down)]);

/// Which events; all where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Those of one application.
    pub application: Option<String>,
    /// Those of one actor.
    pub actor: Option<String>,
    /// Those of one type.
    pub kind: Option<String>,
}

impl AuditFilter {
    fn order(&self) -> Order {
        if self.application.is_some() { OF_ONE } else { NEWEST_FIRST }
    }

    /// The index in which all that matches lies together, in order; that of an application's journal is its key.
    fn index(&self) -> Option<&'static str> {
        match (&self.application, &self.actor, &self.kind) {
            (Some(_), _, _) => None,
            (None, None, None) => Some("events_by_time"),
            (None, Some(_), None) => Some("events_by_actor"),
            (None, None, Some(_)) => Some("events_by_type"),
            (None, Some(_), Some(_)) => Some("events_by_actor_and_type"),
        }
    }

    fn select(&self, dialect: Dialect, namespace: &str) -> Select {
        let by_index = self.index().map(|name| dialect.by_index(name)).unwrap_or_default();
        let all = format!("SELECT {COLUMNS} FROM events{by_index} WHERE namespace = ?");
        let mut select = Select::new(&all, [namespace.into()]);
        let columns = [("application", &self.application), ("actor", &self.actor), ("transition", &self.kind)];
        for (column, value) in columns.into_iter().filter_map(|(column, value)| Some((column, value.as_ref()?))) {
            let mut value = value.clone();
            // As it was when it was stored.
            cut(&mut value, EVENTS.column(column).length.unwrap_or(usize::MAX));
            select = select.and(&format!("{column} = ?"), [value.into()]);
        }
        select
    }
}

impl Viewport {
    /// The events of a namespace's journals, the newest first.
    pub async fn audit(
        &self,
        namespace: &str,
        filter: &AuditFilter,
        request: &PageRequest,
    ) -> Result<Page<AuditEvent>, ViewportError> {
        let select = filter.select(self.database.dialect, namespace).page(&filter.order(), request)?;
        let read = |row: &AnyRow| {
            Ok(AuditEvent {
                at: text(row, "occurred_at")?,
                actor: text(row, "actor")?,
                kind: text(row, "transition")?,
                application: text(row, "application")?,
                version: maybe(row, "version")?,
                environment: maybe(row, "environment")?,
                digest: maybe(row, "digest")?,
                spec_digest: maybe(row, "spec_digest")?,
                detail: maybe(row, "detail")?,
                seq: number(row, "seq")?,
                id: text(row, "id")?,
                hash: text(row, "hash")?,
                prev_hash: maybe(row, "prev_hash")?,
            })
        };
        let database = &self.database;
        let mut lease = database.lease().await?;
        let events = select.fetch_as(database, &mut lease, read).await?;
        lease.done();
        let whole = filter.application.is_none();
        Ok(request.page(events, |event| {
            let seq = event.seq.to_string();
            if whole { vec![event.at.clone(), event.application.clone(), seq] } else { vec![seq] }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{settings::StoreSettings, viewport};

    #[tokio::test]
    async fn every_page_begins_where_an_index_leads() {
        let directory = tempfile::tempdir().unwrap();
        let settings = StoreSettings { data_dir: Some(directory.path().to_owned()), ..StoreSettings::default() };
        let viewport = viewport::open(&settings).unwrap();
        let filter = |application: Option<&str>, actor: Option<&str>, kind: Option<&str>| {
            let [application, actor, kind] = [application, actor, kind].map(|text| text.map(str::to_owned));
            AuditFilter { application, actor, kind }
        };
        for (filter, enters) in [
            (filter(None, None, None), "events_by_time (namespace=? AND occurred_at<?"),
            (filter(None, Some("maria"), None), "events_by_actor (namespace=? AND actor=? AND occurred_at<?"),
            (filter(None, None, Some("stored")), "events_by_type (namespace=? AND transition=? AND occurred_at<?"),
            (
                filter(None, Some("maria"), Some("stored")),
                "events_by_actor_and_type (namespace=? AND actor=? AND transition=? AND occurred_at<?",
            ),
            (filter(Some("web"), None, None), "(namespace=? AND application=? AND seq<?"),
        ] {
            let order = filter.order();
            let position = ["2026-01-01", "web", "7"].map(str::to_owned);
            let (condition, values) = order.beyond(&position[3 - order.0.len()..]);
            let select = filter.select(Dialect::Sqlite, "shop").and(&condition, values.into_iter().map(Into::into));
            let select = select.page(&order, &PageRequest::default()).unwrap();
            let plan = select.plan(&viewport.database).await;
            assert!(plan.contains(enters) && !plan.contains("ORDER BY"), "{enters}\n{plan}");
        }
    }
}
