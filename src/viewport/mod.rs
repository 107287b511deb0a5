//! Viewport (C32): the queryable projection of the journal, in SQL.
