//! The store itself: a plane's name, a table, and a bell that rings on every append.

use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::watch;

use super::{
    dynamodb::DynamoDbTable,
    error::ChartStoreError,
    layout::Layout,
    sqlite::SqliteTable,
    table::{Item, ItemKey, Range, Table, TableError, Write},
};
use crate::settings::StoreSettings;

/// The Chart Store of one plane. Clones are cheap and share everything.
#[derive(Debug, Clone)]
pub struct ChartStore {
    pub(super) layout: Layout,
    pub(super) table: Arc<dyn Table>,
    appended: watch::Sender<u64>,
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// What it lists.
    pub items: Vec<T>,
    /// What to pass as `after` for the page that follows; none when there is none.
    pub next: Option<String>,
}

/// Opens the store that the settings name: the DynamoDB table, or else the SQLite database in the data directory.
/// Either is created when missing.
pub async fn open(settings: &StoreSettings) -> Result<ChartStore, ChartStoreError> {
    let table: Arc<dyn Table> = match &settings.dynamodb_table {
        Some(name) => Arc::new(DynamoDbTable::open(name, settings.dynamodb_endpoint.as_ref()).await?),
        None => Arc::new(SqliteTable::open(&settings.data_dir()).await?),
    };
    ChartStore::on(settings.plane(), table)
}

/// Opens the store for a command that looks at what is there: of one that was never written it would say that all is
/// well.
pub async fn open_existing(settings: &StoreSettings) -> Result<ChartStore, ChartStoreError> {
    let directory = settings.data_dir();
    if settings.dynamodb_table.is_none() && !SqliteTable::exists(&directory) {
        return Err(ChartStoreError::Missing { directory });
    }
    open(settings).await
}

impl ChartStore {
    /// The store of a plane on a table.
    pub fn on(plane: &str, table: Arc<dyn Table>) -> Result<Self, ChartStoreError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if plane.is_empty() || plane.len() > 40 || !plane.bytes().all(allowed) {
            return Err(ChartStoreError::PlaneName { name: plane.chars().take(80).collect() });
        }
        Ok(Self { layout: Layout::new(plane), table, appended: watch::Sender::new(0) })
    }

    /// The plane's name.
    pub fn plane(&self) -> &str {
        self.layout.plane()
    }

    /// Changes with every event that this store, or a clone of it, appends to any journal. What other processes append
    /// is not seen.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.appended.subscribe()
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), ChartStoreError> {
        Ok(self.table.ping().await?)
    }

    pub(super) fn announce_append(&self) {
        self.appended.send_modify(|count| *count += 1);
    }

    /// Makes the writes durable, all or none.
    pub(super) async fn commit(&self, what: &'static str, writes: &[Write]) -> Result<(), TableError> {
        self.table.transact(writes).await?;
        crate::failpoint::after_write(what);
        Ok(())
    }

    /// The content of an item, and the item it was read from.
    pub(super) async fn read<T: DeserializeOwned>(&self, key: &ItemKey) -> Result<Option<(T, Item)>, ChartStoreError> {
        let Some(item) = self.table.get(key).await? else { return Ok(None) };
        Ok(Some((decode(&item)?, item)))
    }

    /// The content of an item.
    pub(super) async fn read_body<T: DeserializeOwned>(&self, key: &ItemKey) -> Result<Option<T>, ChartStoreError> {
        Ok(self.read(key).await?.map(|(body, _)| body))
    }

    /// The first `limit` items of a range, read by `read`, which also says what `after` is to be for what follows.
    pub(super) async fn page<T>(
        &self,
        range: &Range,
        limit: usize,
        read: impl Fn(&Item) -> Result<(T, String), ChartStoreError>,
    ) -> Result<Page<T>, ChartStoreError> {
        // One more than asked for tells whether another page follows.
        let found = self.table.query(range, limit.saturating_add(1)).await?;
        let mut page = Page { items: Vec::with_capacity(found.len().min(limit)), next: None };
        let more = found.len() > limit;
        for item in found.iter().take(limit) {
            let (content, position) = read(item)?;
            page.items.push(content);
            page.next = more.then_some(position);
        }
        Ok(page)
    }

    /// Every item of a range, a hundred at a time.
    pub(super) async fn all(&self, mut range: Range) -> Result<Vec<Item>, ChartStoreError> {
        const AT_ONCE: usize = 100;
        let mut items = Vec::new();
        loop {
            let found = self.table.query(&range, AT_ONCE).await?;
            let last = found.len() < AT_ONCE;
            range.after = found.last().map(|item| item.key.sort.clone());
            items.extend(found);
            if last {
                return Ok(items);
            }
        }
    }
}

pub(super) fn decode<T: DeserializeOwned>(item: &Item) -> Result<T, ChartStoreError> {
    serde_json::from_str(&item.body)
        .map_err(|error| ChartStoreError::Corrupt { item: item.key.to_string(), problem: error.to_string() })
}

/// The plane's own types as an item's body.
pub(super) fn encode(body: &impl Serialize) -> String {
    String::from_utf8(crate::digest::canonical_json(body)).expect("JSON is UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_never_written_is_neither_looked_at_nor_made() {
        let parent = tempfile::tempdir().unwrap();
        let data_dir = parent.path().join("elsewhere");
        let settings = StoreSettings { data_dir: Some(data_dir.clone()), ..StoreSettings::default() };
        let error = open_existing(&settings).await.unwrap_err();
        assert!(error.to_string().contains("holds no Chart Store: name the directory"), "{error}");
        assert!(!data_dir.exists());
        open(&settings).await.unwrap();
        open_existing(&settings).await.unwrap();
    }
}
