-- Every attempt to run an environment in a cluster, and how far it got.
CREATE TABLE deployments (
    namespace         TEXT NOT NULL,
    application       TEXT NOT NULL,
    environment       TEXT NOT NULL,
    cluster_namespace TEXT NOT NULL,
    cluster_name      TEXT NOT NULL,
    cluster_uid       TEXT NOT NULL,
    attempt           INTEGER NOT NULL,
    version           TEXT,
    artifact          TEXT NOT NULL,
    state             TEXT NOT NULL,
    since             TEXT NOT NULL,
    detail            TEXT,
    is_current        INTEGER NOT NULL,
    is_running        INTEGER,
    requested_at      TEXT,
    applied_at        TEXT,
    healthy_at        TEXT,
    degraded_at       TEXT,
    failed_at         TEXT,
    ended_at          TEXT,
    PRIMARY KEY (namespace, application, environment, cluster_namespace, cluster_name, cluster_uid, attempt)
) STRICT;
CREATE INDEX deployments_now
    ON deployments (namespace, application, is_current, is_running, environment, cluster_namespace, cluster_name, cluster_uid, attempt);
CREATE INDEX deployments_by_cluster
    ON deployments (namespace, cluster_namespace, cluster_name, cluster_uid, application, environment, attempt);
CREATE INDEX deployments_by_uid
    ON deployments (namespace, cluster_uid, cluster_namespace, cluster_name, application, environment, attempt);
CREATE INDEX deployments_in_clusters_now
    ON deployments (namespace, ended_at, cluster_namespace, cluster_name, cluster_uid, application, environment, attempt);
