-- A row can stand for what several changes of one transaction cause together: its payload is then an array of objects.
ALTER TABLE ledger
    DROP CONSTRAINT ledger_payload_check,
    ADD COLUMN payload_count integer NOT NULL GENERATED ALWAYS AS (
        CASE jsonb_typeof(payload) WHEN 'array' THEN jsonb_array_length(payload) ELSE 1 END
    ) STORED CHECK (payload_count BETWEEN 1 AND 100),
    ADD CONSTRAINT ledger_payload_check CHECK (
        jsonb_typeof(payload) IN ('object', 'array')
        AND NOT coalesce(payload @? 'strict $[*] ? (@.type() <> "object")', false) -- NULL where it is no array
        AND pg_column_size(payload) <= 8192 * payload_count
    );
