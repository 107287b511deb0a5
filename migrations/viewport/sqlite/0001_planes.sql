-- The one plane that this database belongs to, and the projection its rows were made by.
CREATE TABLE planes (
    only_row   INTEGER NOT NULL,
    plane      TEXT NOT NULL,
    projection INTEGER NOT NULL,
    PRIMARY KEY (only_row),
    CHECK (only_row = 1)
) STRICT;
