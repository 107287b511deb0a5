-- What ran in which cluster. Nothing writes it yet: it is for the Cluster Plane.
CREATE TABLE IF NOT EXISTS deployments (
    namespace    VARCHAR(63) NOT NULL,
    application  VARCHAR(63) NOT NULL,
    environment  VARCHAR(63) NOT NULL,
    cluster_name VARCHAR(255) NOT NULL,
    seq          BIGINT NOT NULL,
    version      VARCHAR(128),
    image_digest VARCHAR(71),
    state        VARCHAR(32) NOT NULL,
    requested_at VARCHAR(32),
    applied_at   VARCHAR(32),
    healthy_at   VARCHAR(32),
    ended_at     VARCHAR(32),
    PRIMARY KEY (namespace, application, environment, cluster_name, seq),
    INDEX deployments_by_image (namespace, image_digest)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;
