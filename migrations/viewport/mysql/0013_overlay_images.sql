-- The images that a rendering runs.
CREATE TABLE IF NOT EXISTS overlay_images (
    namespace   VARCHAR(63) NOT NULL,
    application VARCHAR(63) NOT NULL,
    seq         BIGINT NOT NULL,
    position    BIGINT NOT NULL,
    environment VARCHAR(63) NOT NULL,
    reference   VARCHAR(1024) NOT NULL,
    digest      VARCHAR(71),
    tracked     BIGINT NOT NULL,
    PRIMARY KEY (namespace, application, seq, position),
    INDEX overlay_images_by_digest (namespace, digest)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;
