-- Where a release may go.
CREATE TABLE IF NOT EXISTS release_environments (
    namespace   VARCHAR(63) NOT NULL,
    application VARCHAR(63) NOT NULL,
    version     VARCHAR(128) NOT NULL,
    environment VARCHAR(63) NOT NULL,
    PRIMARY KEY (namespace, application, version, environment),
    INDEX release_environments_by_environment (namespace, environment)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;
