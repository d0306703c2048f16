-- People, where they may do what, and how they come in. An organisation is 'msp' or a tenant's id; `tenant_id` repeats the latter so that
-- what belongs to a tenant goes with it.

CREATE TABLE users (
    id            TEXT NOT NULL PRIMARY KEY,
    email         TEXT NOT NULL,
    email_key     TEXT NOT NULL UNIQUE,
    name          TEXT NOT NULL,
    password_hash TEXT,
    state         TEXT NOT NULL,
    version       BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL
);

-- `limited`: only to the cost centers named beside it. A limited membership without any sees nothing, so that a cost center that goes
-- never opens what it closed.
CREATE TABLE memberships (
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    organisation TEXT NOT NULL,
    tenant_id    TEXT REFERENCES tenants (id) ON DELETE CASCADE,
    role         TEXT NOT NULL,
    limited      BIGINT NOT NULL,
    created_by   TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    PRIMARY KEY (user_id, organisation)
);
CREATE INDEX memberships_by_organisation ON memberships (organisation, user_id);

CREATE TABLE cost_centers (
    id         TEXT NOT NULL PRIMARY KEY,
    tenant_id  TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    name_key   TEXT NOT NULL,
    created_by TEXT NOT NULL,
    version    BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (tenant_id, name_key)
);

CREATE TABLE cost_center_subaccounts (
    cost_center_id TEXT NOT NULL REFERENCES cost_centers (id) ON DELETE CASCADE,
    subaccount_id  TEXT NOT NULL REFERENCES subaccounts (id) ON DELETE CASCADE,
    PRIMARY KEY (cost_center_id, subaccount_id)
);

CREATE TABLE membership_cost_centers (
    user_id        TEXT NOT NULL,
    organisation   TEXT NOT NULL,
    cost_center_id TEXT NOT NULL REFERENCES cost_centers (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, organisation, cost_center_id),
    FOREIGN KEY (user_id, organisation) REFERENCES memberships (user_id, organisation) ON DELETE CASCADE
);

-- Teams of the MSP: who is in one sees only the tenants of their teams.
CREATE TABLE teams (
    id         TEXT NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,
    name_key   TEXT NOT NULL UNIQUE,
    version    BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE team_members (
    team_id TEXT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (team_id, user_id)
);
CREATE INDEX team_members_by_user ON team_members (user_id, team_id);

CREATE TABLE team_tenants (
    team_id   TEXT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    tenant_id TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    PRIMARY KEY (team_id, tenant_id)
);

-- A browser that is signed in. The cookie's secret is known by its SHA-256 only. `entered` is the tenant in which a person of the MSP acts.
CREATE TABLE sessions (
    id           TEXT NOT NULL PRIMARY KEY,
    sha256       TEXT NOT NULL UNIQUE,
    user_id      TEXT NOT NULL,
    organisation TEXT NOT NULL,
    entered      TEXT REFERENCES tenants (id) ON DELETE SET NULL,
    address      TEXT,
    created_at   BIGINT NOT NULL,
    seen_at      BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    FOREIGN KEY (user_id, organisation) REFERENCES memberships (user_id, organisation) ON DELETE CASCADE
);
CREATE INDEX sessions_by_user ON sessions (user_id, organisation);

-- Answers are kept for a day, for whoever called: a token or a session. The ones from before go: they name tokens only.
DROP TABLE idempotency_keys;
CREATE TABLE idempotency_keys (
    caller_id      TEXT NOT NULL,
    key            TEXT NOT NULL,
    request_sha256 TEXT NOT NULL,
    status         BIGINT,
    headers        TEXT,
    body           TEXT,
    created_at     BIGINT NOT NULL,
    PRIMARY KEY (caller_id, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- Tokens belong to an organisation, and to a person or to a service (no user). `holder` is the user's id or empty, for the names' sake.
ALTER TABLE tokens RENAME TO tokens_before;
CREATE TABLE tokens (
    id           TEXT NOT NULL PRIMARY KEY,
    name         TEXT NOT NULL,
    sha256       TEXT NOT NULL UNIQUE,
    shown        TEXT NOT NULL,
    user_id      TEXT,
    holder       TEXT NOT NULL,
    organisation TEXT NOT NULL,
    tenant_id    TEXT REFERENCES tenants (id) ON DELETE CASCADE,
    role         TEXT NOT NULL,
    created_by   TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    used_at      BIGINT,
    UNIQUE (organisation, holder, name),
    FOREIGN KEY (user_id, organisation) REFERENCES memberships (user_id, organisation) ON DELETE CASCADE
);
INSERT INTO tokens (id, name, sha256, shown, user_id, holder, organisation, tenant_id, role, created_by, created_at)
SELECT id, name, sha256, '', NULL, '', 'msp', NULL, 'owner', 'rerate', created_at FROM tokens_before;
DROP TABLE tokens_before;

-- A one-time link that makes somebody a member.
CREATE TABLE invitations (
    id           TEXT NOT NULL PRIMARY KEY,
    email        TEXT NOT NULL,
    email_key    TEXT NOT NULL,
    organisation TEXT NOT NULL,
    tenant_id    TEXT REFERENCES tenants (id) ON DELETE CASCADE,
    role         TEXT NOT NULL,
    limited      BIGINT NOT NULL,
    cost_centers TEXT NOT NULL,
    sha256       TEXT NOT NULL UNIQUE,
    created_by   TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    UNIQUE (email_key, organisation)
);

-- Who exactly, as whom, from where, and whose thing it was. The person's or token's id; the tenant that a person of the MSP acted in.
ALTER TABLE audit ADD COLUMN actor_id TEXT;
ALTER TABLE audit ADD COLUMN acting_in TEXT;
ALTER TABLE audit ADD COLUMN address TEXT;
ALTER TABLE audit ADD COLUMN tenant_id TEXT;
CREATE INDEX audit_by_tenant ON audit (tenant_id, id);
CREATE INDEX audit_by_time ON audit (at);

-- The log's chain: a link for each change, in the order in which they were written down. `hash` covers the link before and the change.
-- Changes from before the chain get their links when the program first opens the database. `audit_head` is the last link; writers queue
-- on its row.
CREATE TABLE audit_chain (
    number   BIGINT NOT NULL PRIMARY KEY,
    audit_id TEXT NOT NULL UNIQUE,
    hash     TEXT NOT NULL
);
CREATE TRIGGER audit_chain_is_not_changed BEFORE UPDATE ON audit_chain BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_chain_is_not_deleted BEFORE DELETE ON audit_chain BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TABLE audit_head (
    name   TEXT NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL,
    hash   TEXT NOT NULL
);
