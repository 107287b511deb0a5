//! What happened in a namespace, and who did it.

use sqlx::{Row, any::AnyRow};

use super::{Select, maybe, number, text};
use crate::viewport::{
    Viewport,
    answers::Page,
    audit_event::{AuditEvent, AuditRequest},
    change::cut,
    database::Dialect,
    error::ViewportError,
    paging::{Direction, Order, PageRequest},
    schema::{EVENTS, REQUESTS, Table},
};

const EVENT: &str = "application, seq, id, hash, prev_hash, occurred_at, actor, transition, version, environment, digest, \
     detail, spec_digest, about, object, digest_before";
const REQUEST: &str = "application, seq, id, hash, prev_hash, occurred_at, last_at, actor, address, method, path, \
     about_namespace, about, status, stream, count, request_id";

/// How a request is called among events.
const KIND: &str = "request";

const NEWEST_FIRST: Order =
    Order(&[("occurred_at", Direction::Down), ("application", Direction::Down), ("seq", Direction::Down)]);

/// Which events; all but requests where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Those about one application.
    pub application: Option<String>,
    /// Those of one actor.
    pub actor: Option<String>,
    /// Those of one type.
    pub kind: Option<String>,
    /// Whether requests are among them where no type is said.
    pub requests: Shown,
}

/// Whether requests to the plane's own API are shown among other events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shown {
    /// They are not: there are many of them.
    #[default]
    No,
    /// They are.
    Yes,
}

impl AuditFilter {
    fn wants_events(&self) -> bool {
        self.kind.as_deref() != Some(KIND)
    }

    fn wants_requests(&self) -> bool {
        self.kind.as_deref().map_or(self.requests == Shown::Yes, |kind| kind == KIND)
    }

    /// The index in which all that matches lies together, in order.
    fn index(&self, of: &'static Table) -> &'static str {
        let of_events = of.name == EVENTS.name;
        match (&self.application, &self.actor, self.kind.as_ref().filter(|_| of_events)) {
            (Some(_), _, _) if of_events => "events_by_application",
            (Some(_), _, _) => "requests_by_application",
            (None, Some(_), Some(_)) => "events_by_actor_and_type",
            (None, Some(_), None) if of_events => "events_by_actor",
            (None, Some(_), None) => "requests_by_actor",
            (None, None, Some(_)) => "events_by_type",
            (None, None, None) if of_events => "events_by_time",
            (None, None, None) => "requests_by_time",
        }
    }

    fn select(&self, of: &'static Table, columns: &str, dialect: Dialect, namespace: &str) -> Select {
        let (name, by_index) = (of.name, dialect.by_index(self.index(of)));
        let sql = format!("SELECT {columns} FROM {name}{by_index} WHERE namespace = ?");
        let mut select = Select::new(&sql, [namespace.into()]);
        let kind = self.kind.as_ref().filter(|_| of.name == EVENTS.name);
        let columns = [("about", self.application.as_ref()), ("actor", self.actor.as_ref()), ("transition", kind)];
        for (column, value) in columns.into_iter().filter_map(|(column, value)| Some((column, value?))) {
            let mut value = value.clone();
            // As it was when it was stored.
            cut(&mut value, of.column(column).length.unwrap_or(usize::MAX));
            select = select.and(&format!("{column} = ?"), [value.into()]);
        }
        select
    }
}

impl Viewport {
    /// The events of a namespace's journals, the newest first; those of no namespace, where it is empty.
    pub async fn audit(
        &self,
        namespace: &str,
        filter: &AuditFilter,
        request: &PageRequest,
    ) -> Result<Page<AuditEvent>, ViewportError> {
        let database = &self.database;
        let own = Some(namespace).filter(|namespace| !namespace.is_empty());
        let mut events = Vec::new();
        let mut lease = database.lease().await?;
        if filter.wants_events() {
            let select = filter.select(&EVENTS, EVENT, database.dialect, namespace).page(&NEWEST_FIRST, request)?;
            events.extend(select.fetch_as(database, &mut lease, |row| event(row, own)).await?);
        }
        if filter.wants_requests() {
            let select = filter.select(&REQUESTS, REQUEST, database.dialect, namespace).page(&NEWEST_FIRST, request)?;
            events.extend(select.fetch_as(database, &mut lease, |row| asked(row, own)).await?);
        }
        lease.done();
        // Each has as many as a page takes, so that what is the newest of both is the newest of all.
        events.sort_by(|a, b| place(b).cmp(&place(a)));
        Ok(request.page(events, |event| vec![event.at.clone(), event.journal.clone(), event.seq.to_string()]))
    }
}

fn place(event: &AuditEvent) -> (&str, &str, i64) {
    (&event.at, &event.journal, event.seq)
}

fn event(row: &AnyRow, namespace: Option<&str>) -> Result<AuditEvent, sqlx::Error> {
    Ok(AuditEvent {
        at: text(row, "occurred_at")?,
        actor: text(row, "actor")?,
        kind: text(row, "transition")?,
        application: maybe(row, "about")?,
        namespace: namespace.map(str::to_owned),
        version: maybe(row, "version")?,
        environment: maybe(row, "environment")?,
        object: maybe(row, "object")?,
        digest: maybe(row, "digest")?,
        digest_before: maybe(row, "digest_before")?,
        spec_digest: maybe(row, "spec_digest")?,
        detail: maybe(row, "detail")?,
        address: None,
        request: None,
        journal: text(row, "application")?,
        seq: number(row, "seq")?,
        id: text(row, "id")?,
        hash: text(row, "hash")?,
        prev_hash: maybe(row, "prev_hash")?,
    })
}

fn asked(row: &AnyRow, namespace: Option<&str>) -> Result<AuditEvent, sqlx::Error> {
    let request = AuditRequest {
        method: text(row, "method")?,
        path: text(row, "path")?,
        status: row.try_get("status")?,
        stream: maybe(row, "stream")?,
        count: number(row, "count")?,
        last_at: text(row, "last_at")?,
        id: text(row, "request_id")?,
    };
    let named: Option<String> = maybe(row, "about_namespace")?;
    Ok(AuditEvent {
        at: text(row, "occurred_at")?,
        actor: text(row, "actor")?,
        kind: KIND.to_owned(),
        application: maybe(row, "about")?,
        namespace: namespace.map(str::to_owned).or(named),
        version: None,
        environment: None,
        object: None,
        digest: None,
        digest_before: None,
        spec_digest: None,
        detail: None,
        address: maybe(row, "address")?,
        request: Some(request),
        journal: text(row, "application")?,
        seq: number(row, "seq")?,
        id: text(row, "id")?,
        hash: text(row, "hash")?,
        prev_hash: maybe(row, "prev_hash")?,
    })
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
            AuditFilter { application, actor, kind, requests: Shown::Yes }
        };
        for (filter, index, equal) in [
            (filter(None, None, None), "by_time", "namespace=?"),
            (filter(None, Some("maria"), None), "by_actor", "namespace=? AND actor=?"),
            (filter(None, None, Some("stored")), "by_type", "namespace=? AND transition=?"),
            (
                filter(None, Some("maria"), Some("stored")),
                "by_actor_and_type",
                "namespace=? AND actor=? AND transition=?",
            ),
            (filter(Some("web"), None, None), "by_application", "namespace=? AND about=?"),
        ] {
            let position = ["2026-01-01", "web", "7"].map(str::to_owned);
            let (condition, values) = NEWEST_FIRST.beyond(&position);
            for (table, columns) in [(&EVENTS, EVENT), (&REQUESTS, REQUEST)] {
                if filter.kind.is_some() && table.name == REQUESTS.name {
                    continue;
                }
                let select = filter.select(table, columns, Dialect::Sqlite, "shop");
                let select = select.and(&condition, values.iter().cloned().map(Into::into));
                let select = select.page(&NEWEST_FIRST, &PageRequest::default()).unwrap();
                let plan = select.plan(&viewport.database).await;
                let enters = format!("{}_{index} ({equal} AND occurred_at<?", table.name);
                assert!(plan.contains(&enters) && !plan.contains("ORDER BY"), "{enters}\n{plan}");
            }
        }
    }
}
