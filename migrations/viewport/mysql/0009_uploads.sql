-- Who had what stored, from where, and whether the object that asked for it is gone.
CREATE TABLE IF NOT EXISTS uploads (
    namespace      VARCHAR(63) NOT NULL,
    application    VARCHAR(63) NOT NULL,
    version        VARCHAR(128) NOT NULL,
    uploaded_at    VARCHAR(32) NOT NULL,
    uploaded_by    VARCHAR(255) NOT NULL,
    source         VARCHAR(1024) NOT NULL,
    release_digest VARCHAR(71) NOT NULL,
    deleted_at     VARCHAR(32),
    deleted_by     VARCHAR(255),
    retention      VARCHAR(32),
    PRIMARY KEY (namespace, application, version),
    INDEX uploads_by_user (namespace, uploaded_by, uploaded_at),
    INDEX uploads_by_time (namespace, uploaded_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;
