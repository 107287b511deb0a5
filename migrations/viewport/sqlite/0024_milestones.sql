-- When each deployment first came to a state that reports count.
CREATE TABLE milestones (
    namespace         TEXT NOT NULL,
    application       TEXT NOT NULL,
    environment       TEXT NOT NULL,
    cluster_namespace TEXT NOT NULL,
    cluster_name      TEXT NOT NULL,
    cluster_uid       TEXT NOT NULL,
    attempt           INTEGER NOT NULL,
    state             TEXT NOT NULL,
    reached_at        TEXT NOT NULL,
    PRIMARY KEY (namespace, application, environment, cluster_namespace, cluster_name, cluster_uid, attempt, state)
) STRICT;
CREATE INDEX milestones_by_time
    ON milestones (namespace, state, reached_at, application, environment, cluster_namespace, cluster_name, cluster_uid, attempt);
