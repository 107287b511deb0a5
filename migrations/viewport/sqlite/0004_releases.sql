-- What was stored, frozen, and what its user says of it now.
CREATE TABLE releases (
    namespace           TEXT NOT NULL,
    application         TEXT NOT NULL,
    version             TEXT NOT NULL,
    digest              TEXT NOT NULL,
    stored_at           TEXT NOT NULL,
    stored_by           TEXT NOT NULL,
    stored_seq          INTEGER NOT NULL,
    owner               TEXT,
    origin_revision     TEXT,
    origin_committed_at TEXT,
    origin_url          TEXT,
    purged_at           TEXT,
    purged_by           TEXT,
    PRIMARY KEY (namespace, application, version)
) STRICT;
CREATE INDEX releases_by_digest ON releases (namespace, digest);
CREATE INDEX releases_in_order ON releases (namespace, application, stored_seq);
