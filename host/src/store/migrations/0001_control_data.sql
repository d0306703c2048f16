-- The control data. Amounts are exact decimal text, times milliseconds since 1970, periods `YYYY-MM`, lists and objects JSON text.
-- `*_key` columns hold a name as it is compared: trimmed, in lower case.

CREATE TABLE tenants (
    id            TEXT NOT NULL PRIMARY KEY,
    name          TEXT NOT NULL,
    name_key      TEXT NOT NULL UNIQUE,
    contact_email TEXT,
    contact_key   TEXT UNIQUE,
    version       BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL
);

CREATE TABLE integrations (
    id              TEXT NOT NULL PRIMARY KEY,
    name            TEXT NOT NULL,
    name_key        TEXT NOT NULL UNIQUE,
    kind            TEXT NOT NULL,
    location        TEXT NOT NULL,
    endpoint        TEXT,
    region          TEXT,
    status          TEXT NOT NULL,
    error           TEXT,
    last_refresh_at BIGINT,
    version         BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    UNIQUE (kind, location)
);

-- Discovered from bills. An account of a bill that names none has an empty sub_account_id.
CREATE TABLE subaccounts (
    id                 TEXT NOT NULL PRIMARY KEY,
    integration_id     TEXT NOT NULL REFERENCES integrations (id) ON DELETE CASCADE,
    billing_account_id TEXT NOT NULL,
    sub_account_id     TEXT NOT NULL,
    name               TEXT NOT NULL,
    provider           TEXT NOT NULL,
    search_key         TEXT NOT NULL,
    tenant_id          TEXT REFERENCES tenants (id) ON DELETE SET NULL,
    created_at         BIGINT NOT NULL,
    updated_at         BIGINT NOT NULL,
    UNIQUE (integration_id, billing_account_id, sub_account_id)
);
CREATE INDEX subaccounts_by_tenant ON subaccounts (tenant_id, id);

-- A version never changes once it is stored; which one is active for a name does.
CREATE TABLE plugin_versions (
    digest        TEXT NOT NULL PRIMARY KEY,
    name          TEXT NOT NULL,
    version       TEXT NOT NULL,
    title         TEXT NOT NULL,
    summary       TEXT NOT NULL,
    config_schema TEXT NOT NULL,
    capabilities  TEXT NOT NULL,
    size          BIGINT NOT NULL,
    origin        TEXT NOT NULL,
    created_at    BIGINT NOT NULL
);
CREATE INDEX plugin_versions_by_name ON plugin_versions (name, created_at);

CREATE TABLE plugins (
    name          TEXT NOT NULL PRIMARY KEY,
    active_digest TEXT NOT NULL REFERENCES plugin_versions (digest),
    disabled      BOOLEAN NOT NULL,
    version       BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL
);

CREATE TABLE rules (
    id            TEXT NOT NULL PRIMARY KEY,
    title         TEXT NOT NULL,
    title_key     TEXT NOT NULL UNIQUE,
    plugin        TEXT NOT NULL REFERENCES plugins (name),
    pinned_digest TEXT REFERENCES plugin_versions (digest),
    config        TEXT NOT NULL,
    version       BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL
);

-- One list for all tenants, numbered from 1 without gaps; a tenant's chain is what of it applies to the tenant, in this order.
CREATE TABLE assignments (
    id          TEXT NOT NULL PRIMARY KEY,
    rule_id     TEXT NOT NULL REFERENCES rules (id),
    tenant_id   TEXT REFERENCES tenants (id) ON DELETE CASCADE,
    position    BIGINT NOT NULL,
    from_period TEXT,
    to_period   TEXT,
    version     BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);
CREATE INDEX assignments_by_position ON assignments (position);
CREATE INDEX assignments_by_rule ON assignments (rule_id);

CREATE TABLE snapshots (
    id             TEXT NOT NULL PRIMARY KEY,
    integration_id TEXT NOT NULL REFERENCES integrations (id) ON DELETE CASCADE,
    period         TEXT NOT NULL,
    state          TEXT NOT NULL,
    source_digest  TEXT NOT NULL,
    manifest_id    TEXT,
    location       TEXT NOT NULL,
    parts          TEXT NOT NULL,
    charges        BIGINT NOT NULL,
    totals         TEXT NOT NULL,
    report         TEXT NOT NULL,
    created_at     BIGINT NOT NULL,
    superseded_at  BIGINT
);
CREATE UNIQUE INDEX snapshots_one_published ON snapshots (integration_id, period) WHERE state = 'published';
CREATE INDEX snapshots_by_source ON snapshots (integration_id, source_digest);

-- What an import is writing: a folder without a row here and no snapshot in it is litter of a stopped process.
CREATE TABLE imports (
    id             TEXT NOT NULL PRIMARY KEY,
    integration_id TEXT NOT NULL REFERENCES integrations (id) ON DELETE CASCADE,
    source_digest  TEXT NOT NULL,
    manifest_id    TEXT,
    created_at     BIGINT NOT NULL
);

CREATE TABLE snapshot_subaccounts (
    snapshot_id   TEXT NOT NULL REFERENCES snapshots (id) ON DELETE CASCADE,
    subaccount_id TEXT NOT NULL REFERENCES subaccounts (id) ON DELETE CASCADE,
    currency      TEXT NOT NULL,
    charges       BIGINT NOT NULL,
    billed        TEXT NOT NULL,
    PRIMARY KEY (snapshot_id, subaccount_id, currency)
);
CREATE INDEX snapshot_subaccounts_by_subaccount ON snapshot_subaccounts (subaccount_id);

CREATE TABLE runs (
    id             TEXT NOT NULL PRIMARY KEY,
    tenant_id      TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    period         TEXT NOT NULL,
    currency       TEXT NOT NULL,
    identity       TEXT NOT NULL,
    state          TEXT NOT NULL,
    progress_done  BIGINT NOT NULL,
    progress_total BIGINT NOT NULL,
    failure        TEXT,
    chain          TEXT NOT NULL,
    snapshots      TEXT NOT NULL,
    charges        BIGINT NOT NULL,
    dropped        BIGINT NOT NULL,
    billed         TEXT,
    charged        TEXT,
    by_rule        TEXT NOT NULL,
    findings       TEXT NOT NULL,
    lines          TEXT NOT NULL,
    overlay        TEXT,
    rating_millis  BIGINT,
    created_at     BIGINT NOT NULL,
    started_at     BIGINT,
    finished_at    BIGINT
);
CREATE INDEX runs_by_tenant ON runs (tenant_id, period, currency, id);
CREATE INDEX runs_by_state ON runs (state, id);
CREATE INDEX runs_by_identity ON runs (identity);

-- What readers are shown of a tenant's month: one row is one switch.
CREATE TABLE published (
    tenant_id TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    period    TEXT NOT NULL,
    currency  TEXT NOT NULL,
    run_id    TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    PRIMARY KEY (tenant_id, period, currency)
);
CREATE INDEX published_by_run ON published (run_id);

CREATE TABLE period_splits (
    period             TEXT NOT NULL,
    currency           TEXT NOT NULL,
    source             TEXT NOT NULL,
    source_charges     BIGINT NOT NULL,
    unassigned         TEXT NOT NULL,
    unassigned_charges BIGINT NOT NULL,
    tenants            TEXT NOT NULL,
    snapshots          TEXT NOT NULL,
    updated_at         BIGINT NOT NULL,
    PRIMARY KEY (period, currency)
);

CREATE TABLE tokens (
    id         TEXT NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    sha256     TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

-- status is null while the request that reserved the key is under way.
CREATE TABLE idempotency_keys (
    token_id       TEXT NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    key            TEXT NOT NULL,
    request_sha256 TEXT NOT NULL,
    status         BIGINT,
    headers        TEXT,
    body           TEXT,
    created_at     BIGINT NOT NULL,
    PRIMARY KEY (token_id, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
