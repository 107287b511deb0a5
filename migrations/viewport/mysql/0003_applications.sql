-- Every application with a journal.
CREATE TABLE IF NOT EXISTS applications (
    namespace      VARCHAR(63) NOT NULL,
    application    VARCHAR(63) NOT NULL,
    first_event_at VARCHAR(32),
    last_event_at  VARCHAR(32),
    last_version   VARCHAR(128),
    PRIMARY KEY (namespace, application)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;
