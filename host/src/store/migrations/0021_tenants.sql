-- A tenant is a customer or an organisation, which is only an anchor for customers: the parent, chosen once. State: active, suspended,
-- unlinked.
ALTER TABLE tenants ADD COLUMN kind TEXT NOT NULL DEFAULT 'customer';
ALTER TABLE tenants ADD COLUMN state TEXT NOT NULL DEFAULT 'active';
ALTER TABLE tenants ADD COLUMN parent_id TEXT REFERENCES tenants (id);
CREATE INDEX tenants_by_parent ON tenants (parent_id);
