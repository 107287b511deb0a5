-- The images of a release.
CREATE TABLE images (
    namespace   TEXT NOT NULL,
    application TEXT NOT NULL,
    version     TEXT NOT NULL,
    name        TEXT NOT NULL,
    digest      TEXT NOT NULL,
    media_type  TEXT NOT NULL,
    size        INTEGER NOT NULL,
    platforms   TEXT NOT NULL,
    PRIMARY KEY (namespace, application, version, name)
) STRICT;
CREATE INDEX images_by_digest ON images (namespace, digest);
