-- Finds what waits already for a member when an import's next batch brings them further friends (chassis/ledger.py, append).
CREATE INDEX ledger_waiting ON ledger (task, payload) WHERE published_at IS NULL AND dead_at IS NULL;
