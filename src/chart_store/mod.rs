//! Chart Store (C20): charts, what users say of their releases, and the journal, in one table.
//!
//! [`Table`] is the little that is asked of a database: items under a partition and a sort key, read
//! consistently, written in all-or-nothing transactions with conditions. DynamoDB and SQLite implement it;
//! everything else in this folder is written once, on top of it.

mod event;

pub use event::{Event, Fact, MAX_INLINE_SPEC, Recurrence, SCHEMA_VERSION, SpecText, UnknownFact};
