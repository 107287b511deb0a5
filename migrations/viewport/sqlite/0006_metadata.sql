-- The user's own labels of a release.
CREATE TABLE metadata (
    namespace   TEXT NOT NULL,
    application TEXT NOT NULL,
    version     TEXT NOT NULL,
    name        TEXT NOT NULL,
    value       TEXT NOT NULL,
    PRIMARY KEY (namespace, application, version, name)
) STRICT;
CREATE INDEX metadata_by_value ON metadata (namespace, name, value);
