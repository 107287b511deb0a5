-- Up to which event of an application's journal the other tables are.
CREATE TABLE cursors (
    namespace   TEXT NOT NULL,
    application TEXT NOT NULL,
    seq         INTEGER NOT NULL,
    hash        TEXT NOT NULL,
    PRIMARY KEY (namespace, application)
) STRICT;
