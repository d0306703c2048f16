-- tenant_id: who owns it, null for the MSP. dedicated_to: who gets its new subaccounts, but for those that `exclude` names (globs).
ALTER TABLE integrations ADD COLUMN tenant_id TEXT REFERENCES tenants (id) ON DELETE CASCADE;
ALTER TABLE integrations ADD COLUMN dedicated_to TEXT REFERENCES tenants (id) ON DELETE SET NULL;
ALTER TABLE integrations ADD COLUMN exclude TEXT NOT NULL DEFAULT '';
ALTER TABLE integrations ADD COLUMN refresh_minutes BIGINT NOT NULL DEFAULT 15;
CREATE INDEX integrations_by_tenant ON integrations (tenant_id);

-- Credentials, encrypted with a key that is not in this database. `hint` is the end of the key id, for people.
CREATE TABLE integration_credentials (
    integration_id TEXT NOT NULL PRIMARY KEY REFERENCES integrations (id) ON DELETE CASCADE,
    sealed         TEXT NOT NULL,
    hint           TEXT NOT NULL,
    set_at         BIGINT NOT NULL
);
