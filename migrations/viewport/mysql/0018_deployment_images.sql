-- The images that a deployment runs, as far as they are pinned.
CREATE TABLE IF NOT EXISTS deployment_images (
    namespace         VARCHAR(63) NOT NULL,
    digest            VARCHAR(71) NOT NULL,
    application       VARCHAR(63) NOT NULL,
    environment       VARCHAR(63) NOT NULL,
    cluster_namespace VARCHAR(63) NOT NULL,
    cluster_name      VARCHAR(63) NOT NULL,
    cluster_uid       VARCHAR(63) NOT NULL,
    attempt           BIGINT NOT NULL,
    PRIMARY KEY (namespace, digest, application, environment, cluster_namespace, cluster_name, cluster_uid, attempt),
    INDEX deployment_images_of (namespace, application, environment, cluster_namespace, cluster_name, cluster_uid, attempt)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;
