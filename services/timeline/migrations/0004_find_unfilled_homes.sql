-- Members of whom nothing is relied on: new ones until their fill is done, and those whose fill was lost.
CREATE INDEX homes_never_pushed ON homes (account_id) WHERE pushed_from = 9223372036854775807;

-- Whose home timelines the ledger says are still to be filled.
CREATE VIEW open_fills AS
SELECT (change ->> 'account_id')::bigint AS account_id
FROM ledger,
    jsonb_array_elements(CASE jsonb_typeof(payload) WHEN 'array' THEN payload ELSE jsonb_build_array(payload) END) AS change
WHERE task = 'timeline.fill';
