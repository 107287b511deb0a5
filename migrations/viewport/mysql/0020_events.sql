-- The journal, as a list.
CREATE TABLE IF NOT EXISTS events (
    namespace      VARCHAR(63) NOT NULL,
    application    VARCHAR(63) NOT NULL,
    seq            BIGINT NOT NULL,
    id             VARCHAR(71) NOT NULL,
    prev_hash      VARCHAR(71),
    hash           VARCHAR(71) NOT NULL,
    schema_version BIGINT NOT NULL,
    occurred_at    VARCHAR(32) NOT NULL,
    actor          VARCHAR(255) NOT NULL,
    transition     VARCHAR(63) NOT NULL,
    version        VARCHAR(128),
    environment    VARCHAR(63),
    digest         VARCHAR(71),
    detail         VARCHAR(1024),
    spec_digest    VARCHAR(71),
    PRIMARY KEY (namespace, application, seq),
    UNIQUE (namespace, application, id),
    INDEX events_by_version (namespace, application, version, seq),
    INDEX events_by_time (namespace, occurred_at, application, seq),
    INDEX events_by_actor (namespace, actor, occurred_at, application, seq),
    INDEX events_by_type (namespace, transition, occurred_at, application, seq)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;
