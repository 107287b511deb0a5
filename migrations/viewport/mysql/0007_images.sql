-- The images of a release.
CREATE TABLE IF NOT EXISTS images (
    namespace   VARCHAR(63) NOT NULL,
    application VARCHAR(63) NOT NULL,
    version     VARCHAR(128) NOT NULL,
    name        VARCHAR(63) NOT NULL,
    digest      VARCHAR(71) NOT NULL,
    media_type  VARCHAR(255) NOT NULL,
    size        BIGINT NOT NULL,
    platforms   VARCHAR(1024) NOT NULL,
    PRIMARY KEY (namespace, application, version, name),
    INDEX images_by_digest (namespace, digest)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;
