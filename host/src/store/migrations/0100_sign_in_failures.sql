-- Failures to sign in, by account (the hash of its address, whether there is one or not) and by where they came from: every daemon on this
-- database makes the next attempt wait by the same count. What is an hour old does not count and is cleared away.
CREATE TABLE sign_in_failures (
    counted_by TEXT NOT NULL,
    whose      TEXT NOT NULL,
    failures   BIGINT NOT NULL,
    last_at    BIGINT NOT NULL,
    PRIMARY KEY (counted_by, whose)
);
CREATE INDEX sign_in_failures_by_age ON sign_in_failures (last_at);
