-- Every rendering that was published.
CREATE TABLE overlays (
    namespace     TEXT NOT NULL,
    application   TEXT NOT NULL,
    seq           INTEGER NOT NULL,
    environment   TEXT NOT NULL,
    version       TEXT,
    artifact      TEXT NOT NULL,
    inputs_digest TEXT NOT NULL,
    objects       INTEGER NOT NULL,
    rendered_at   TEXT NOT NULL,
    PRIMARY KEY (namespace, application, seq)
) STRICT;
CREATE INDEX overlays_by_environment ON overlays (namespace, application, environment, seq);
CREATE INDEX overlays_by_artifact ON overlays (namespace, artifact);
