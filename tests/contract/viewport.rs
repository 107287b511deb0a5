//! The Viewport contract: SQLite and MySQL.
