-- A partner's bill names its customers. create_tenants (0 or 1): they become tenants when it is imported. notice: what could not be done
-- about it, for people.
ALTER TABLE integrations ADD COLUMN create_tenants BIGINT NOT NULL DEFAULT 0;
ALTER TABLE integrations ADD COLUMN notice TEXT;
-- How the provider names the customer's domain.
ALTER TABLE tenants ADD COLUMN domain TEXT;
