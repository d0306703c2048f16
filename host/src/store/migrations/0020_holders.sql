-- Who holds a subaccount from a billing period on; null means always, and a null tenant nobody. Rows are only added: for a period, the
-- newest row counts whose from_period is not after it. The newest of all is repeated in the subaccount itself.
CREATE TABLE subaccount_holders (
    subaccount_id TEXT NOT NULL REFERENCES subaccounts (id) ON DELETE CASCADE,
    number        BIGINT NOT NULL,
    from_period   TEXT,
    tenant_id     TEXT REFERENCES tenants (id) ON DELETE SET NULL,
    assigned_by   TEXT NOT NULL,
    at            BIGINT NOT NULL,
    PRIMARY KEY (subaccount_id, number)
);
CREATE INDEX subaccount_holders_by_tenant ON subaccount_holders (tenant_id);

ALTER TABLE subaccounts ADD COLUMN from_period TEXT;

INSERT INTO subaccount_holders (subaccount_id, number, from_period, tenant_id, assigned_by, at)
SELECT id, 1, NULL, tenant_id, 'rerate', updated_at FROM subaccounts WHERE tenant_id IS NOT NULL;
