-- The relay claims in the order of this index: where very many rows are due at one time, it need not sort all of them to take 500.
CREATE INDEX ledger_claims ON ledger (due_at, published_at, message_id, id) WHERE dead_at IS NULL;
DROP INDEX ledger_due;
