-- What was computed before this is computed anew: it lacks what the new lists have.
DROP TABLE suggestions;

-- A generation is one computation of everybody's suggestions. The one that is read is the last one that is done.
CREATE TABLE generations (
    id               bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    state            text        NOT NULL DEFAULT 'requested'
        CHECK (state IN ('requested', 'snapshotting', 'tuning', 'computing', 'done', 'cancelled', 'failed')),
    requested_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at      timestamptz,
    snapshot_number  integer     NOT NULL DEFAULT 0, -- one more with each snapshot: what was computed from an older one is not taken
    snapshot_at      timestamptz, -- as of when the friendships were read
    members          integer     NOT NULL DEFAULT 0, -- with friends
    friendships      bigint      NOT NULL DEFAULT 0,
    model            jsonb,
    tuning           jsonb       NOT NULL DEFAULT '{}', -- what was measured while the model was chosen
    popular_ids      bigint[]    NOT NULL DEFAULT '{}' CHECK (cardinality(popular_ids) <= 200), -- those with the most friends, the most first
    error            text        NOT NULL DEFAULT '' CHECK (length(error) <= 1000), -- what went wrong last
    drift            real,        -- which share of the ten best of a sample were others when computed anew
    drift_members    integer     NOT NULL DEFAULT 0,
    drift_at         timestamptz
);
-- One at a time is at work.
CREATE UNIQUE INDEX generations_at_work ON generations ((true)) WHERE state IN ('requested', 'snapshotting', 'tuning', 'computing');

-- The parts that a generation is computed in: rows of its snapshot.
CREATE TABLE generation_blocks (
    generation      bigint  NOT NULL REFERENCES generations (id) ON DELETE CASCADE,
    number          integer NOT NULL,
    start_row       integer NOT NULL,
    stop_row        integer NOT NULL CHECK (stop_row > start_row),
    covered_members integer NOT NULL DEFAULT 0, -- with at least ten suggestions
    computed_at     timestamptz,
    PRIMARY KEY (generation, number)
);

CREATE VIEW described_generations AS
    SELECT g.id, g.state, g.requested_at, g.finished_at, g.snapshot_number, g.snapshot_at, g.members, g.friendships,
        coalesce(g.model::text, '') AS model_json, g.error, g.drift, g.drift_members, g.drift_at,
        block.blocks, block.blocks_done, block.covered_members
    FROM generations AS g CROSS JOIN LATERAL (
        SELECT count(*)::integer AS blocks, count(computed_at)::integer AS blocks_done,
            coalesce(sum(covered_members), 0)::integer AS covered_members
        FROM generation_blocks WHERE generation = g.id
    ) AS block;

-- One row per member and generation: writing arrays is nine times faster than writing a row per suggestion, and a member is read whole.
-- The arrays run in parallel, the best first; sources are those of kodama.social_graph.v1.SuggestionSource. This is a list of candidates:
-- who may not be suggested now is left out, and whom they are known through is looked up, when it is read.
-- A partition per generation: it is written beside what is read, attached when it is whole, and dropped when it is old.
CREATE TABLE suggestions (
    generation    bigint     NOT NULL,
    account_id    bigint     NOT NULL,
    suggested_ids bigint[]   NOT NULL,
    scores        real[]     NOT NULL,
    sources       smallint[] NOT NULL,
    PRIMARY KEY (generation, account_id),
    CONSTRAINT suggestions_parallel CHECK (
        cardinality(suggested_ids) <= 50
        AND cardinality(scores) = cardinality(suggested_ids)
        AND cardinality(sources) = cardinality(suggested_ids)
    )
) PARTITION BY LIST (generation);

-- What was computed for single members after something changed for them. Of this and the generation's row the one counts that knows the
-- later friendships; so neither can undo the other, in whatever order they are written.
CREATE TABLE refreshed_suggestions (
    account_id    bigint      PRIMARY KEY,
    computed_at   timestamptz NOT NULL, -- as of when the friendships were read
    suggested_ids bigint[]    NOT NULL,
    scores        real[]      NOT NULL,
    sources       smallint[]  NOT NULL,
    CONSTRAINT refreshed_suggestions_parallel CHECK (
        cardinality(suggested_ids) <= 50
        AND cardinality(scores) = cardinality(suggested_ids)
        AND cardinality(sources) = cardinality(suggested_ids)
    )
);
CREATE INDEX refreshed_suggestions_by_age ON refreshed_suggestions (computed_at);

-- Makes the table that a generation is written into, empty, in the place of one of an earlier try. This and what follows belongs to the
-- schema's owner, since services may not change tables.
CREATE FUNCTION make_generation_table(generation bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
DECLARE
    name constant text := 'suggestions_' || generation;
BEGIN
    IF NOT EXISTS (SELECT FROM generations WHERE id = generation AND state = 'tuning') THEN
        RAISE EXCEPTION 'generation % is not being tuned', generation;
    END IF;
    EXECUTE format('DROP TABLE IF EXISTS %I', name);
    EXECUTE format('CREATE TABLE %I (LIKE suggestions INCLUDING ALL)', name);
    EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I CHECK (generation = %s)', name, name || '_only', generation);
    EXECUTE format('GRANT SELECT, INSERT ON %I TO %I', name, session_user);
END
$$;

-- Lets a generation be read. The lock that it takes holds up no reader.
CREATE FUNCTION attach_generation_table(generation bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
BEGIN
    IF EXISTS (SELECT FROM generation_blocks AS block WHERE block.generation = $1 AND computed_at IS NULL) THEN
        RAISE EXCEPTION 'generation % is not whole', generation;
    END IF;
    EXECUTE format('ALTER TABLE suggestions ATTACH PARTITION %I FOR VALUES IN (%s)', 'suggestions_' || generation, generation);
END
$$;

-- Drops the table of one generation that is neither read nor at work, the oldest first; returns how many that were.
CREATE FUNCTION drop_generation_table() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
DECLARE
    read_id constant bigint := (SELECT max(id) FROM generations WHERE state = 'done');
    old_id bigint;
BEGIN
    SELECT id INTO old_id FROM generations
    WHERE state IN ('done', 'cancelled', 'failed') AND id IS DISTINCT FROM read_id AND to_regclass('suggestions_' || id) IS NOT NULL
    ORDER BY id LIMIT 1;
    IF old_id IS NULL THEN
        RETURN 0;
    END IF;
    EXECUTE format('DROP TABLE %I', 'suggestions_' || old_id);
    RETURN 1;
END
$$;

-- Who does not want to see whom suggested, for good or for a time. What has ended is as if it were not there.
ALTER TABLE dismissals ADD COLUMN expires_at timestamptz; -- none: for good
ALTER TABLE dismissals ALTER COLUMN created_at SET DEFAULT clock_timestamp();
CREATE INDEX dismissals_by_time ON dismissals (account_id, created_at, target_id);
CREATE INDEX dismissals_by_end ON dismissals (expires_at) WHERE expires_at IS NOT NULL;
CREATE VIEW active_dismissals AS
    SELECT account_id, target_id, created_at, expires_at FROM dismissals
    WHERE expires_at IS NULL OR expires_at > statement_timestamp();

-- Whom an account may not be suggested now, as far as this service knows.
CREATE VIEW set_apart (account_id, other_id) AS
    SELECT account_id, friend_id FROM friendships
    UNION ALL SELECT requester_id, target_id FROM waiting_requests
    UNION ALL SELECT target_id, requester_id FROM waiting_requests
    UNION ALL SELECT account_id, target_id FROM blocks
    UNION ALL SELECT target_id, account_id FROM blocks
    UNION ALL SELECT account_id, target_id FROM active_mutes
    UNION ALL SELECT account_id, target_id FROM active_dismissals;

-- Whom a member was shown lately, where they were from and their place in the list, the last list first: one row per member.
CREATE TABLE shown_suggestions (
    account_id    bigint      PRIMARY KEY,
    shown_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    suggested_ids bigint[]    NOT NULL CHECK (cardinality(suggested_ids) <= 50),
    sources       smallint[]  NOT NULL CHECK (cardinality(sources) = cardinality(suggested_ids)),
    ranks         smallint[]  NOT NULL CHECK (cardinality(ranks) = cardinality(suggested_ids))
);

-- What became of suggestions, by where they were from and their place in the list, counted from 1.
CREATE TABLE suggestion_outcomes (
    source   smallint NOT NULL CHECK (source BETWEEN 1 AND 4),
    rank     smallint NOT NULL CHECK (rank BETWEEN 1 AND 50),
    shown    bigint   NOT NULL DEFAULT 0,
    sent     bigint   NOT NULL DEFAULT 0, -- asked for friendship
    accepted bigint   NOT NULL DEFAULT 0, -- and became friends
    PRIMARY KEY (source, rank)
);

-- Which suggestion a request came from, so that its acceptance can be counted.
ALTER TABLE friend_requests
    ADD COLUMN suggested_source smallint,
    ADD COLUMN suggested_rank smallint;
