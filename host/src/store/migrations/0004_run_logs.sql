-- Lines that rules wrote while a run was rated. Beside the runs, not among them: lists of runs do not read them.
CREATE TABLE run_logs (
    run_id TEXT NOT NULL PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    lines  TEXT NOT NULL,
    cut    BIGINT NOT NULL
);
