-- Published charts.
CREATE TABLE charts (
    namespace      TEXT NOT NULL,
    application    TEXT NOT NULL,
    version        TEXT NOT NULL,
    digest         TEXT NOT NULL,
    package_digest TEXT NOT NULL,
    size           INTEGER NOT NULL,
    unrestricted   TEXT,
    published_at   TEXT NOT NULL,
    PRIMARY KEY (namespace, application, version)
) STRICT;
CREATE INDEX charts_by_digest ON charts (namespace, digest);
