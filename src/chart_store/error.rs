//! Why the Chart Store did not do as asked, for the person who reads it in a condition.

use std::path::PathBuf;

use super::table::TableError;
use crate::{digest::Digest, release::ApplicationKey};

/// Why the Chart Store did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum ChartStoreError {
    /// The version is stored with other content.
    #[error(
        "version {version} is stored with other content ({stored}; offered now is {offered}), and what is stored never changes: give spec.version a new value"
    )]
    VersionConflict {
        /// The version.
        version: String,
        /// The release digest that is stored.
        stored: Digest,
        /// The release digest that was to be stored.
        offered: Digest,
    },
    /// The version's data was given up.
    #[error("the data of version {version} was given up, and the version cannot be used again: use another one")]
    VersionPurged {
        /// The version.
        version: String,
    },
    /// There is no such release.
    #[error("no version {version} of this application is stored")]
    ReleaseUnknown {
        /// The version.
        version: String,
    },
    /// A packaged chart is not what its record says.
    #[error("the packaged chart of version {version} cannot be kept: {problem}")]
    ChartPackage {
        /// The version.
        version: String,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no such upload session.
    #[error("no upload session {id} is open: it expired, or was never opened. Begin again")]
    SessionUnknown {
        /// The session.
        id: String,
    },
    /// An upload session cannot be complete yet.
    #[error("the upload session {id} has {offset} of {size} bytes: send the rest first")]
    SessionIncomplete {
        /// The session.
        id: String,
        /// Bytes that arrived.
        offset: u64,
        /// Bytes that were announced.
        size: u64,
    },
    /// The plane's name cannot be part of a key.
    #[error("{name:?} cannot be a plane's name: it must be of 1 to 40 lower-case letters, digits and hyphens")]
    PlaneName {
        /// The name.
        name: String,
    },
    /// Nothing was ever stored there.
    #[error(
        "{} holds no Chart Store: name the directory that the controller was started with (--data-dir or ORBIT_DATA_DIR), or its table (--dynamodb-table)",
        .directory.display()
    )]
    Missing {
        /// Where it was looked for.
        directory: PathBuf,
    },
    /// It does not fit into the database.
    #[error("too large for the Chart Store: {0}")]
    TooLarge(String),
    /// What is stored is not what this program writes.
    #[error("the Chart Store holds something unreadable under {item}: {problem}. `orbit verify` tells more")]
    Corrupt {
        /// Partition and sort key.
        item: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A later release of this program wrote it.
    #[error(
        "{item} was written by a newer orbit (event schema {found}; this one knows up to {known}): upgrade this one"
    )]
    NewerSchema {
        /// Partition and sort key.
        item: String,
        /// The version it was written with.
        found: u32,
        /// The newest version this program knows.
        known: u32,
    },
    /// Others kept changing the same thing first. Trying again later is right.
    #[error("others kept changing {what} at the same time: nothing was written, it is tried again")]
    Contended {
        /// What.
        what: String,
    },
    /// The database does not answer as it should. Trying again later is right.
    #[error("{store}: {message}")]
    Unavailable {
        /// Which database, as in "DynamoDB table orbit".
        store: String,
        /// What it said.
        message: String,
    },
}

impl ChartStoreError {
    /// Whether the same call may succeed later although nobody changes anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Contended { .. } | Self::Unavailable { .. })
    }

    pub(super) fn contended(what: impl Into<String>) -> Self {
        Self::Contended { what: what.into() }
    }

    pub(super) fn contended_journal(key: &ApplicationKey) -> Self {
        Self::contended(format!("the journal of {key}"))
    }
}

impl From<TableError> for ChartStoreError {
    fn from(error: TableError) -> Self {
        match error {
            TableError::ConditionFailed { .. } => Self::contended("the same items"),
            TableError::Limit(reason) => Self::TooLarge(reason),
            TableError::Unavailable { store, message } => Self::Unavailable { store, message },
        }
    }
}
