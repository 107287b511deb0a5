//! The Chart Store contract: SQLite and DynamoDB.
