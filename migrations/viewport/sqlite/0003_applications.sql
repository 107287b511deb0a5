-- Every application with a journal.
CREATE TABLE applications (
    namespace      TEXT NOT NULL,
    application    TEXT NOT NULL,
    first_event_at TEXT,
    last_event_at  TEXT,
    last_version   TEXT,
    PRIMARY KEY (namespace, application)
) STRICT;
