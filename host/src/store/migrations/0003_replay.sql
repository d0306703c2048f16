-- What a run was made of beside its chain and snapshots, so that it can be computed again years later; null for runs that were rated
-- before this was recorded.
ALTER TABLE runs ADD COLUMN inputs TEXT;
ALTER TABLE runs ADD COLUMN overlay_sha256 TEXT;

-- What a change would do to published months. `request` and `result` are JSON; the result's size is bounded by whoever computes it.
CREATE TABLE previews (
    id             TEXT NOT NULL PRIMARY KEY,
    state          TEXT NOT NULL,
    progress_done  BIGINT NOT NULL,
    progress_total BIGINT NOT NULL,
    request        TEXT NOT NULL,
    result         TEXT,
    failure        TEXT,
    created_at     BIGINT NOT NULL,
    started_at     BIGINT,
    finished_at    BIGINT
);
CREATE INDEX previews_by_state ON previews (state, id);

-- A candidate version that is rated beside the active one, after every run.
CREATE TABLE shadows (
    id         TEXT NOT NULL PRIMARY KEY,
    plugin     TEXT NOT NULL,
    digest     TEXT NOT NULL,
    state      TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    ended_at   BIGINT
);
CREATE INDEX shadows_by_state ON shadows (state, id);

-- What the candidate made of one run: kept for every run, `difference` (JSON) only for the first divergences.
CREATE TABLE shadow_runs (
    shadow_id  TEXT NOT NULL REFERENCES shadows (id) ON DELETE CASCADE,
    run_id     TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    outcome    TEXT NOT NULL,
    tenant_id  TEXT NOT NULL,
    period     TEXT NOT NULL,
    currency   TEXT NOT NULL,
    before     TEXT,
    after      TEXT,
    charges    BIGINT NOT NULL,
    failure    TEXT,
    difference TEXT,
    millis     BIGINT NOT NULL,
    at         BIGINT NOT NULL,
    PRIMARY KEY (shadow_id, run_id)
);
