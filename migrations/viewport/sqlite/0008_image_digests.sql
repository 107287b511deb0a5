-- Every digest an image goes by: its own, its platforms' manifests and configs.
CREATE TABLE image_digests (
    namespace    TEXT NOT NULL,
    application  TEXT NOT NULL,
    digest       TEXT NOT NULL,
    version      TEXT NOT NULL,
    name         TEXT NOT NULL,
    image_digest TEXT NOT NULL,
    PRIMARY KEY (namespace, digest, application, version, name)
) STRICT;
CREATE INDEX image_digests_by_release ON image_digests (namespace, application, version);
