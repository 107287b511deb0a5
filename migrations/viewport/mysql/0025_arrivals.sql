-- When each version was first healthy in each environment, whichever cluster it was in.
CREATE TABLE IF NOT EXISTS arrivals (
    namespace   VARCHAR(63) NOT NULL,
    application VARCHAR(63) NOT NULL,
    environment VARCHAR(63) NOT NULL,
    version     VARCHAR(128) NOT NULL,
    healthy_at  VARCHAR(32) NOT NULL,
    PRIMARY KEY (namespace, application, environment, version),
    INDEX arrivals_by_time (namespace, healthy_at, application, environment, version)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;
