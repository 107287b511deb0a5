-- Who had what stored, from where, and whether the object that asked for it is gone.
CREATE TABLE uploads (
    namespace      TEXT NOT NULL,
    application    TEXT NOT NULL,
    version        TEXT NOT NULL,
    uploaded_at    TEXT NOT NULL,
    uploaded_by    TEXT NOT NULL,
    source         TEXT NOT NULL,
    release_digest TEXT NOT NULL,
    deleted_at     TEXT,
    deleted_by     TEXT,
    retention      TEXT,
    PRIMARY KEY (namespace, application, version)
) STRICT;
CREATE INDEX uploads_by_user ON uploads (namespace, uploaded_by, uploaded_at);
CREATE INDEX uploads_by_time ON uploads (namespace, uploaded_at);
