-- When each version was first healthy in each environment, whichever cluster it was in.
CREATE TABLE arrivals (
    namespace   TEXT NOT NULL,
    application TEXT NOT NULL,
    environment TEXT NOT NULL,
    version     TEXT NOT NULL,
    healthy_at  TEXT NOT NULL,
    PRIMARY KEY (namespace, application, environment, version)
) STRICT;
CREATE INDEX arrivals_by_time
    ON arrivals (namespace, healthy_at, application, environment, version);
