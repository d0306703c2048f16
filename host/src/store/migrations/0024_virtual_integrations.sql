-- A view of some subaccounts, or of the charges that meet conditions (JSON, as rules have them). It holds nothing and nobody is charged
-- for it.
CREATE TABLE virtual_integrations (
    id         TEXT NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,
    name_key   TEXT NOT NULL UNIQUE,
    conditions TEXT NOT NULL,
    version    BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE virtual_integration_subaccounts (
    virtual_id    TEXT NOT NULL REFERENCES virtual_integrations (id) ON DELETE CASCADE,
    subaccount_id TEXT NOT NULL REFERENCES subaccounts (id) ON DELETE CASCADE,
    PRIMARY KEY (virtual_id, subaccount_id)
);
CREATE INDEX virtual_integration_subaccounts_by_subaccount ON virtual_integration_subaccounts (subaccount_id);
