-- When each deployment first came to a state that reports count.
CREATE TABLE IF NOT EXISTS milestones (
    namespace         VARCHAR(63) NOT NULL,
    application       VARCHAR(63) NOT NULL,
    environment       VARCHAR(63) NOT NULL,
    cluster_namespace VARCHAR(63) NOT NULL,
    cluster_name      VARCHAR(63) NOT NULL,
    cluster_uid       VARCHAR(63) NOT NULL,
    attempt           BIGINT NOT NULL,
    state             VARCHAR(32) NOT NULL,
    reached_at        VARCHAR(32) NOT NULL,
    PRIMARY KEY (namespace, application, environment, cluster_namespace, cluster_name, cluster_uid, attempt, state),
    INDEX milestones_by_time (namespace, state, reached_at, application, environment, cluster_namespace, cluster_name, cluster_uid, attempt)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;
