-- Where a release may go.
CREATE TABLE release_environments (
    namespace   TEXT NOT NULL,
    application TEXT NOT NULL,
    version     TEXT NOT NULL,
    environment TEXT NOT NULL,
    PRIMARY KEY (namespace, application, version, environment)
) STRICT;
CREATE INDEX release_environments_by_environment ON release_environments (namespace, environment);
