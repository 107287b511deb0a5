-- The images that a rendering runs.
CREATE TABLE overlay_images (
    namespace   TEXT NOT NULL,
    application TEXT NOT NULL,
    seq         INTEGER NOT NULL,
    position    INTEGER NOT NULL,
    environment TEXT NOT NULL,
    reference   TEXT NOT NULL,
    digest      TEXT,
    tracked     INTEGER NOT NULL,
    PRIMARY KEY (namespace, application, seq, position)
) STRICT;
CREATE INDEX overlay_images_by_digest ON overlay_images (namespace, digest);
