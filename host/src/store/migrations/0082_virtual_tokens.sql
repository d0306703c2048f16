-- A token that shows one virtual integration and nothing else; it ends with it.
ALTER TABLE tokens ADD COLUMN virtual_integration_id TEXT REFERENCES virtual_integrations (id) ON DELETE CASCADE;
CREATE INDEX tokens_by_virtual_integration ON tokens (virtual_integration_id);
