-- A row is given up by how long it had been failing when it failed last, not by how long ago it began: nobody may have tried it since.
ALTER TABLE ledger ADD COLUMN failed_at timestamptz; -- the last failure, of any kind
