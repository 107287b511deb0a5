-- Published charts.
CREATE TABLE IF NOT EXISTS charts (
    namespace      VARCHAR(63) NOT NULL,
    application    VARCHAR(63) NOT NULL,
    version        VARCHAR(128) NOT NULL,
    digest         VARCHAR(71) NOT NULL,
    package_digest VARCHAR(71) NOT NULL,
    size           BIGINT NOT NULL,
    unrestricted   VARCHAR(1024),
    published_at   VARCHAR(32) NOT NULL,
    PRIMARY KEY (namespace, application, version),
    INDEX charts_by_digest (namespace, digest)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;
