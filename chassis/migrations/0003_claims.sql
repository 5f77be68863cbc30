-- What clients' idempotency keys have done: the same key with the same request gets the same answer for a day (chassis/idempotency.py).
CREATE TABLE claims (
    account_id  bigint      NOT NULL, -- whose key it is; an app's id, negated, where an app calls for nobody
    request_id  text        NOT NULL CHECK (octet_length(request_id) BETWEEN 1 AND 255),
    fingerprint bytea       NOT NULL CHECK (octet_length(fingerprint) = 32),
    answer      bytea       CHECK (octet_length(answer) <= 1048576), -- the answer, serialised,
    made_id     bigint,     -- or the id of what was made, which the answer is read from
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, request_id),
    CONSTRAINT claims_answer_or_made CHECK (num_nonnulls(answer, made_id) = 1)
);
CREATE INDEX claims_by_age ON claims (created_at);

-- Take a key until the transaction ends; false where another transaction has it, whose outcome nobody knows yet.
CREATE FUNCTION try_claim(account_id bigint, request_id text) RETURNS boolean
    LANGUAGE sql
    AS $$
    SELECT pg_try_advisory_xact_lock(hashtextextended(concat_ws('/', current_schema(), account_id, request_id), 0))
$$;
