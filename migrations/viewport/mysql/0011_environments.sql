-- What an environment is to run of an application now.
CREATE TABLE IF NOT EXISTS environments (
    namespace        VARCHAR(63) NOT NULL,
    application      VARCHAR(63) NOT NULL,
    environment      VARCHAR(63) NOT NULL,
    version          VARCHAR(128),
    chart_digest     VARCHAR(71),
    reason           VARCHAR(32),
    selected_at      VARCHAR(32),
    selected_by      VARCHAR(255),
    rendered_version VARCHAR(128),
    artifact         VARCHAR(71),
    inputs_digest    VARCHAR(71),
    objects          BIGINT,
    rendered_at      VARCHAR(32),
    rendered_seq     BIGINT,
    removed_at       VARCHAR(32),
    PRIMARY KEY (namespace, application, environment),
    INDEX environments_by_name (namespace, environment, application),
    INDEX environments_by_version (namespace, application, version)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;
