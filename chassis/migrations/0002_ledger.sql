-- The ledger of work: one row per task that a committed change still has to cause (chassis/ledger.py).
-- A row is due at once; publishing it makes it due again after its lease, a failure after a pause; done rows are deleted.
CREATE TABLE ledger (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task         text        NOT NULL,
    queue        text        NOT NULL,
    payload      jsonb       NOT NULL CHECK (jsonb_typeof(payload) = 'object' AND pg_column_size(payload) <= 8192),
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    due_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    published_at timestamptz,
    attempts     integer     NOT NULL DEFAULT 0,
    last_error   text        NOT NULL DEFAULT '' CHECK (length(last_error) <= 1000),
    dead_at      timestamptz
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000, fillfactor = 80);

CREATE INDEX ledger_due ON ledger (due_at) WHERE dead_at IS NULL;
CREATE INDEX ledger_dead ON ledger (id) WHERE dead_at IS NOT NULL;
