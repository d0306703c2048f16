-- How a provider names the customer that this tenant is: a partner's bill is recognised by it when names change.
ALTER TABLE tenants ADD COLUMN external_id TEXT;
CREATE UNIQUE INDEX tenants_by_external_id ON tenants (external_id);
