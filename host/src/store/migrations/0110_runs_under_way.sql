-- What is asked before each run is queued, however long a tenant's history is.
CREATE INDEX runs_under_way ON runs (tenant_id, period, currency) WHERE state IN ('queued', 'running');
DROP INDEX runs_by_identity;
CREATE INDEX runs_by_identity ON runs (identity, tenant_id, period, currency);
