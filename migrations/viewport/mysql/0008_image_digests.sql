-- Every digest an image goes by: its own, its platforms' manifests and configs.
CREATE TABLE IF NOT EXISTS image_digests (
    namespace    VARCHAR(63) NOT NULL,
    application  VARCHAR(63) NOT NULL,
    digest       VARCHAR(71) NOT NULL,
    version      VARCHAR(128) NOT NULL,
    name         VARCHAR(63) NOT NULL,
    image_digest VARCHAR(71) NOT NULL,
    PRIMARY KEY (namespace, digest, application, version, name),
    INDEX image_digests_by_release (namespace, application, version)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;
