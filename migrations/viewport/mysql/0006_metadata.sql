-- The user's own labels of a release.
CREATE TABLE IF NOT EXISTS metadata (
    namespace   VARCHAR(63) NOT NULL,
    application VARCHAR(63) NOT NULL,
    version     VARCHAR(128) NOT NULL,
    name        VARCHAR(255) NOT NULL,
    value       VARCHAR(256) NOT NULL,
    PRIMARY KEY (namespace, application, version, name),
    INDEX metadata_by_value (namespace, name, value)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;
