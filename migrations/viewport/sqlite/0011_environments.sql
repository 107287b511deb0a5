-- What an environment is to run of an application now.
CREATE TABLE environments (
    namespace        TEXT NOT NULL,
    application      TEXT NOT NULL,
    environment      TEXT NOT NULL,
    version          TEXT,
    chart_digest     TEXT,
    reason           TEXT,
    selected_at      TEXT,
    selected_by      TEXT,
    rendered_version TEXT,
    artifact         TEXT,
    inputs_digest    TEXT,
    objects          INTEGER,
    rendered_at      TEXT,
    rendered_seq     INTEGER,
    removed_at       TEXT,
    PRIMARY KEY (namespace, application, environment)
) STRICT;
CREATE INDEX environments_by_name ON environments (namespace, environment, application);
CREATE INDEX environments_by_version ON environments (namespace, application, version);
