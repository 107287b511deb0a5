-- The Chart Store's one table: what DynamoDB holds under the same two keys.
-- Text compares by its UTF-8 bytes (collation BINARY), as DynamoDB's sort keys do.
CREATE TABLE items (
    partition TEXT NOT NULL,
    sort      TEXT NOT NULL,
    body      TEXT NOT NULL,
    blob      BLOB,
    etag      TEXT NOT NULL,
    PRIMARY KEY (partition, sort)
) STRICT;
