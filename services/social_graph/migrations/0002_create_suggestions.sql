-- One row per member: writing arrays is nine times faster than writing a row per suggestion, and a member is read whole.
-- The arrays run in parallel, the best first; sample_friend_ids has three places per suggestion, 0 where there is nobody.
-- This is a list of candidates: who may not be suggested now is left out when it is read.
CREATE TABLE suggestions (
    account_id        bigint             PRIMARY KEY,
    computed_at       timestamptz        NOT NULL, -- when the friendships were read that this was computed from
    suggested_ids     bigint[]           NOT NULL,
    scores            double precision[] NOT NULL,
    mutual_counts     integer[]          NOT NULL,
    sample_friend_ids bigint[]           NOT NULL,
    CONSTRAINT suggestions_parallel CHECK (
        cardinality(suggested_ids) <= 50
        AND cardinality(scores) = cardinality(suggested_ids)
        AND cardinality(mutual_counts) = cardinality(suggested_ids)
        AND cardinality(sample_friend_ids) = 3 * cardinality(suggested_ids)
    )
);

-- Who does not want to see whom suggested, for good.
CREATE TABLE dismissals (
    account_id bigint      NOT NULL,
    target_id  bigint      NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, target_id),
    CONSTRAINT dismissals_of_others CHECK (account_id <> target_id)
);
