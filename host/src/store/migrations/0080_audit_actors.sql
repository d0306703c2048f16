-- Where the actor belongs: a tenant's people see their own by name and everybody else as Manager User.
ALTER TABLE audit ADD COLUMN actor_organisation TEXT;
