-- The journals but those of requests, as a list.
CREATE TABLE events (
    namespace      TEXT NOT NULL,
    application    TEXT NOT NULL,
    seq            INTEGER NOT NULL,
    id             TEXT NOT NULL,
    prev_hash      TEXT,
    hash           TEXT NOT NULL,
    schema_version INTEGER NOT NULL,
    occurred_at    TEXT NOT NULL,
    actor          TEXT NOT NULL,
    transition     TEXT NOT NULL,
    version        TEXT,
    environment    TEXT,
    digest         TEXT,
    detail         TEXT,
    spec_digest    TEXT,
    about          TEXT,
    object         TEXT,
    digest_before  TEXT,
    PRIMARY KEY (namespace, application, seq),
    UNIQUE (namespace, application, id)
) STRICT;
CREATE INDEX events_by_version ON events (namespace, application, version, seq);
CREATE INDEX events_by_time ON events (namespace, occurred_at, application, seq);
CREATE INDEX events_by_application ON events (namespace, about, occurred_at, application, seq);
CREATE INDEX events_by_actor ON events (namespace, actor, occurred_at, application, seq);
CREATE INDEX events_by_type ON events (namespace, transition, occurred_at, application, seq);
CREATE INDEX events_by_actor_and_type ON events (namespace, actor, transition, occurred_at, application, seq);
