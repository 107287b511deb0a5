-- What ran in which cluster. Nothing writes it yet: it is for the Cluster Plane.
CREATE TABLE deployments (
    namespace    TEXT NOT NULL,
    application  TEXT NOT NULL,
    environment  TEXT NOT NULL,
    cluster_name TEXT NOT NULL,
    seq          INTEGER NOT NULL,
    version      TEXT,
    image_digest TEXT,
    state        TEXT NOT NULL,
    requested_at TEXT,
    applied_at   TEXT,
    healthy_at   TEXT,
    ended_at     TEXT,
    PRIMARY KEY (namespace, application, environment, cluster_name, seq)
) STRICT;
CREATE INDEX deployments_by_image ON deployments (namespace, image_digest);
