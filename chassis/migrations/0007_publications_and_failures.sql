-- Publishing is no attempt: a row counts its publications, which cost it nothing, and its failures, which isolate and in the end kill it.
-- `attempts` belongs to relays from before this, which may still run; it goes when none does.
ALTER TABLE ledger
    ADD COLUMN publications  integer NOT NULL DEFAULT 0,
    ADD COLUMN failures      integer NOT NULL DEFAULT 0, -- that a worker or the broker has reported; where others were away, none
    ADD COLUMN message_id    uuid,        -- of the message that it was in last: what was in one stays together
    ADD COLUMN cut_from      uuid,        -- the message that failed and was cut into parts, of which this row is in one
    ADD COLUMN failing_since timestamptz, -- the first failure, of any kind, since it has travelled in the company that it is in
    ADD COLUMN parked_at     timestamptz; -- when a relay found it that does not know its task

COMMENT ON COLUMN ledger.published_at IS
    'When the broker took the message that stands for the row; null where none does: it was not published yet, or has failed since.';

CREATE INDEX ledger_parked ON ledger (id) WHERE parked_at IS NOT NULL;
CREATE INDEX ledger_cut ON ledger (task) WHERE cut_from IS NOT NULL;

-- The queue that marks the broker which has our messages: where it is missing, they are too (chassis/marks.py).
CREATE TABLE ledger_broker (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    mark    uuid NOT NULL
);

-- The states of a row, for people: the same words as chassis.ledger.WorkState.
CREATE VIEW ledger_work AS
SELECT
    id, task, queue, payload, payload_count AS changes,
    CASE
        WHEN dead_at IS NOT NULL THEN 'dead'
        WHEN parked_at IS NOT NULL THEN 'parked'
        WHEN failing_since IS NOT NULL OR failures > 0 THEN 'failing'
        WHEN published_at IS NOT NULL THEN 'published'
        ELSE 'waiting'
    END AS state,
    created_at, due_at, published_at, publications, failures, failing_since, parked_at, dead_at, last_error
FROM ledger;
