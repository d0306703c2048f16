-- Several daemons on one database. A lease ends at a time of the database's clock; its term counts how often it changed hands.
CREATE TABLE leases (
    name       TEXT NOT NULL PRIMARY KEY,
    holder     TEXT NOT NULL,
    term       BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- What one daemon tells the others; numbered in the order in which it was committed.
CREATE TABLE messages (
    number BIGINT NOT NULL PRIMARY KEY,
    daemon TEXT NOT NULL,
    body   TEXT NOT NULL
);

-- Who works on it, so that others know when nobody does any more; null where there is only one daemon.
ALTER TABLE deployments ADD COLUMN daemon TEXT;
ALTER TABLE idempotency_keys ADD COLUMN daemon TEXT;
