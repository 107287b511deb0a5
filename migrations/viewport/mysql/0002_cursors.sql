-- Up to which event of an application's journal the other tables are.
CREATE TABLE IF NOT EXISTS cursors (
    namespace   VARCHAR(63) NOT NULL,
    application VARCHAR(63) NOT NULL,
    seq         BIGINT NOT NULL,
    hash        VARCHAR(71) NOT NULL,
    PRIMARY KEY (namespace, application)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;
