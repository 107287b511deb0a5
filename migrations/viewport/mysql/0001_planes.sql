-- The one plane that this database belongs to, and the projection its rows were made by.
CREATE TABLE IF NOT EXISTS planes (
    only_row   BIGINT NOT NULL,
    plane      VARCHAR(63) NOT NULL,
    projection BIGINT NOT NULL,
    PRIMARY KEY (only_row),
    CHECK (only_row = 1)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;
