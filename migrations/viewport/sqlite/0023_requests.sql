-- The journals of requests, as a list.
CREATE TABLE requests (
    namespace       TEXT NOT NULL,
    application     TEXT NOT NULL,
    seq             INTEGER NOT NULL,
    id              TEXT NOT NULL,
    prev_hash       TEXT,
    hash            TEXT NOT NULL,
    occurred_at     TEXT NOT NULL,
    last_at         TEXT NOT NULL,
    actor           TEXT NOT NULL,
    address         TEXT,
    method          TEXT NOT NULL,
    path            TEXT NOT NULL,
    about_namespace TEXT,
    about           TEXT,
    status          INTEGER,
    stream          TEXT,
    count           INTEGER NOT NULL,
    request_id      TEXT NOT NULL,
    PRIMARY KEY (namespace, application, seq)
) STRICT;
CREATE INDEX requests_by_time ON requests (namespace, occurred_at, application, seq);
CREATE INDEX requests_by_application ON requests (namespace, about, occurred_at, application, seq);
CREATE INDEX requests_by_actor ON requests (namespace, actor, occurred_at, application, seq);
