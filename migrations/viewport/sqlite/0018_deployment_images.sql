-- The images that a deployment runs, as far as they are pinned.
CREATE TABLE deployment_images (
    namespace         TEXT NOT NULL,
    digest            TEXT NOT NULL,
    application       TEXT NOT NULL,
    environment       TEXT NOT NULL,
    cluster_namespace TEXT NOT NULL,
    cluster_name      TEXT NOT NULL,
    cluster_uid       TEXT NOT NULL,
    attempt           INTEGER NOT NULL,
    PRIMARY KEY (namespace, digest, application, environment, cluster_namespace, cluster_name, cluster_uid, attempt)
) STRICT;
CREATE INDEX deployment_images_of
    ON deployment_images (namespace, application, environment, cluster_namespace, cluster_name, cluster_uid, attempt);
