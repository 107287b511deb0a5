//! Why the Viewport did not do as asked.

use crate::release::ApplicationKey;

/// Why the Viewport did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum ViewportError {
    /// The database does not answer as it should. Trying again later is right.
    #[error("{database}: {message}")]
    Unavailable {
        /// Which one, as in "MySQL database orbit at db.example:3306".
        database: String,
        /// What it said.
        message: String,
    },
    /// The database does not take these rows. Trying again does not change that.
    #[error("{database} does not take what the journal of {key} says: {message}")]
    Refused {
        /// Which one.
        database: String,
        /// Whose rows.
        key: ApplicationKey,
        /// What it said.
        message: String,
    },
    /// Another projector was faster. Nothing was written.
    #[error("another projector has moved {key} on: its cursor has to be read again")]
    CursorMoved {
        /// The application.
        key: ApplicationKey,
    },
    /// The events do not follow the last one that was projected. Nothing was written.
    #[error("event {found} of {key} cannot follow event {after}: there is a gap. `orbit verify` tells more")]
    Gap {
        /// The application.
        key: ApplicationKey,
        /// The last event that was projected.
        after: u64,
        /// The event that was to follow.
        found: u64,
    },
    /// An event does not continue the chain of those that were projected. Nothing was written.
    #[error(
        "event {seq} of {key} does not continue the history that the Viewport has: if `orbit verify` finds the journal whole, `orbit viewport rebuild` makes the Viewport anew"
    )]
    BrokenChain {
        /// The application.
        key: ApplicationKey,
        /// The event.
        seq: u64,
    },
    /// The database belongs to another plane.
    #[error(
        "{database} belongs to plane {theirs:?}, and this is plane {ours:?}: give each plane a database of its own"
    )]
    OtherPlane {
        /// Which database.
        database: String,
        /// Whose it is.
        theirs: String,
        /// Who asked.
        ours: String,
    },
    /// The rows were projected by an older program, and are to be made anew.
    #[error("{database} was projected by an older orbit (projection {found}; this one makes {known}): it is made anew")]
    OlderProjection {
        /// Which database.
        database: String,
        /// The projection of its rows.
        found: i64,
        /// This program's.
        known: i64,
    },
    /// The rows were projected by a newer program, which alone may add to them.
    #[error(
        "{database} was projected by a newer orbit (projection {found}; this one knows up to {known}): upgrade this one"
    )]
    NewerProjection {
        /// Which database.
        database: String,
        /// The projection of its rows.
        found: i64,
        /// This program's.
        known: i64,
    },
    /// What asks for the next page was not made here.
    #[error("{0:?} is not what a page before this one gave as `continue`: begin without it")]
    Continue(String),
}

impl ViewportError {
    /// Whether the same call may succeed later although nobody changes anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::CursorMoved { .. } | Self::OlderProjection { .. })
    }

    /// Whether it may go away when the cursor is read again: what is remembered of it may be too old.
    pub(super) fn may_be_of_a_stale_cursor(&self) -> bool {
        matches!(self, Self::CursorMoved { .. } | Self::Gap { .. } | Self::BrokenChain { .. })
    }

    /// Whether it is about one application and leaves all others as they are.
    pub fn is_of_one_application(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Gap { .. } | Self::BrokenChain { .. } | Self::CursorMoved { .. })
    }
}
