//! Chart Store (C20): charts, what users say of their releases, and the journal, in one table.
//!
//! [`Table`] is the little that is asked of a database: items under a partition and a sort key, read
//! consistently, written in all-or-nothing transactions with conditions. DynamoDB and SQLite implement it;
//! everything else in this folder is written once, on top of it.

mod audit;
mod changes;
mod deployment;
mod dynamodb;
mod error;
mod event;
mod journal;
mod layout;
mod links;
mod lookup;
mod sessions;
mod sqlite;
mod store;
mod table;
mod verify;

pub use audit::{AnsweredRequest, Spec, SpecChange, SpecRecord, StreamEnd, changes_of, is_application, requests_of};
pub use changes::{EnvironmentRecord, RenderedRecord, Selection};
pub use deployment::{Deployed, Deployment, DeploymentRecord, DeploymentState};
pub use dynamodb::DynamoDbTable;
pub use error::ChartStoreError;
pub use event::{Event, Fact, MAX_INLINE_SPEC, Recurrence, SCHEMA_VERSION, SpecText, UnknownFact};
pub use journal::{Entry, Head, Recorded};
pub use layout::HEAD_PARTITIONS;
pub use lookup::ReleaseRef;
pub use sessions::{Advance, SessionState, UploadSession};
pub use sqlite::SqliteTable;
pub use store::{ChartStore, Page, open, open_existing};
pub use table::{Action, Condition, Item, ItemKey, Range, Table, TableError, Write, etag};
pub use verify::{Finding, Verified, verify, verify_journal};
