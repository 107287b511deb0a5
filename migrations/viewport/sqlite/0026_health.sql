-- How the health of each environment in each cluster changed, and when it ended.
CREATE TABLE health (
    namespace         TEXT NOT NULL,
    application       TEXT NOT NULL,
    environment       TEXT NOT NULL,
    cluster_namespace TEXT NOT NULL,
    cluster_name      TEXT NOT NULL,
    cluster_uid       TEXT NOT NULL,
    seq               INTEGER NOT NULL,
    state             TEXT NOT NULL,
    changed_at        TEXT NOT NULL,
    PRIMARY KEY (namespace, application, environment, cluster_namespace, cluster_name, cluster_uid, seq)
) STRICT;
CREATE INDEX health_by_time
    ON health (namespace, state, changed_at, application, environment, cluster_namespace, cluster_name, cluster_uid, seq);
