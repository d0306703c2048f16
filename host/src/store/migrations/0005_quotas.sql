-- What one tenant's rules may use. A tenant without a row has the defaults.
CREATE TABLE tenant_quotas (
    tenant_id       TEXT NOT NULL PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
    fuel            BIGINT NOT NULL,
    time_ms         BIGINT NOT NULL,
    memory_mib      BIGINT NOT NULL,
    concurrent_runs BIGINT NOT NULL,
    version         BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL
);
