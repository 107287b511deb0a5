-- What was stored, frozen, and what its user says of it now.
CREATE TABLE IF NOT EXISTS releases (
    namespace           VARCHAR(63) NOT NULL,
    application         VARCHAR(63) NOT NULL,
    version             VARCHAR(128) NOT NULL,
    digest              VARCHAR(71) NOT NULL,
    stored_at           VARCHAR(32) NOT NULL,
    stored_by           VARCHAR(255) NOT NULL,
    stored_seq          BIGINT NOT NULL,
    owner               VARCHAR(255),
    origin_revision     VARCHAR(128),
    origin_committed_at VARCHAR(32),
    origin_url          VARCHAR(1024),
    purged_at           VARCHAR(32),
    purged_by           VARCHAR(255),
    PRIMARY KEY (namespace, application, version),
    INDEX releases_by_digest (namespace, digest),
    INDEX releases_in_order (namespace, application, stored_seq)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;
