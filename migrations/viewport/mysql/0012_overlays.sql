-- Every rendering that was published.
CREATE TABLE IF NOT EXISTS overlays (
    namespace     VARCHAR(63) NOT NULL,
    application   VARCHAR(63) NOT NULL,
    seq           BIGINT NOT NULL,
    environment   VARCHAR(63) NOT NULL,
    version       VARCHAR(128),
    artifact      VARCHAR(71) NOT NULL,
    inputs_digest VARCHAR(71) NOT NULL,
    objects       BIGINT NOT NULL,
    rendered_at   VARCHAR(32) NOT NULL,
    PRIMARY KEY (namespace, application, seq),
    INDEX overlays_by_environment (namespace, application, environment, seq),
    INDEX overlays_by_artifact (namespace, artifact)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;
