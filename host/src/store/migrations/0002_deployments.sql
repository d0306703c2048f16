-- Deployments step by step, the log of changes, and whose signatures count.

-- The version to roll back to: the one that was active before.
ALTER TABLE plugins ADD COLUMN previous_digest TEXT;

-- finished_at is null while it is under way; what a stopped process left so is marked interrupted at the next start.
CREATE TABLE deployments (
    id          TEXT NOT NULL PRIMARY KEY,
    digest      TEXT NOT NULL,
    name        TEXT,
    origin      TEXT NOT NULL,
    source      TEXT NOT NULL,
    state       TEXT NOT NULL,
    steps       TEXT NOT NULL,
    actor       TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    finished_at BIGINT
);
CREATE INDEX deployments_by_name ON deployments (name, id);
CREATE INDEX deployments_under_way ON deployments (id) WHERE finished_at IS NULL;

-- Who changed what. `before` is null for what was made, `after` for what was deleted.
CREATE TABLE audit (
    id           TEXT NOT NULL PRIMARY KEY,
    at           BIGINT NOT NULL,
    actor        TEXT NOT NULL,
    action       TEXT NOT NULL,
    noun         TEXT NOT NULL,
    subject      TEXT NOT NULL,
    before_value TEXT,
    after_value  TEXT
);
CREATE INDEX audit_by_subject ON audit (noun, subject, id);
-- Append-only, whoever asks: a program with a bug, and a person with a shell who did not mean to.
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

-- Keys whose signatures count. A revoked key keeps its row, so that its signatures are told from those of a stranger.
CREATE TABLE signing_keys (
    id         TEXT NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,
    public_key TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);

-- Choices that hold for the whole daemon; an absent one has its default.
CREATE TABLE settings (
    name       TEXT NOT NULL PRIMARY KEY,
    value      TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);
