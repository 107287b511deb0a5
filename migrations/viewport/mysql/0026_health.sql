-- How the health of each environment in each cluster changed, and when it ended.
CREATE TABLE IF NOT EXISTS health (
    namespace         VARCHAR(63) NOT NULL,
    application       VARCHAR(63) NOT NULL,
    environment       VARCHAR(63) NOT NULL,
    cluster_namespace VARCHAR(63) NOT NULL,
    cluster_name      VARCHAR(63) NOT NULL,
    cluster_uid       VARCHAR(63) NOT NULL,
    seq               BIGINT NOT NULL,
    state             VARCHAR(32) NOT NULL,
    changed_at        VARCHAR(32) NOT NULL,
    PRIMARY KEY (namespace, application, environment, cluster_namespace, cluster_name, cluster_uid, seq),
    INDEX health_by_time (namespace, state, changed_at, application, environment, cluster_namespace, cluster_name, cluster_uid, seq)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;
