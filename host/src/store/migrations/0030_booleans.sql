-- SQLite only: its driver for either database knows no booleans, so that new columns of this type are written as BIGINT (0 or 1) there,
-- and this one, which may be older, is made so.
ALTER TABLE plugins ADD COLUMN is_disabled BIGINT NOT NULL DEFAULT 0;
UPDATE plugins SET is_disabled = disabled;
ALTER TABLE plugins DROP COLUMN disabled;
ALTER TABLE plugins RENAME COLUMN is_disabled TO disabled;
