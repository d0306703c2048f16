-- The bucket in which the files of this database are; no row where they are in the daemon's folder alone. `id` stands in the bucket too, so
-- that two databases cannot take one another's files for litter. `key_check` is a known text, sealed: it opens with the right key only.
-- `settled_at`: when every file that the database named was there.
CREATE TABLE lake_place (
    id         TEXT NOT NULL PRIMARY KEY,
    location   TEXT NOT NULL,
    key_check  TEXT NOT NULL,
    settled_at BIGINT
);

-- 1 for a failed run that is tried again by itself, since no rule is at fault.
ALTER TABLE runs ADD COLUMN again BIGINT NOT NULL DEFAULT 0;
