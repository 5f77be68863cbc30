-- Ids never go back, whatever the clock does: id_sequence holds the last one that was made, and the next is that plus one or the present,
-- whichever is more. What a sequence has given is in the write-ahead log before the commit that uses it, so a standby that takes over goes
-- on from there, too, with a clock of its own.

-- It counts in the ids' own units, without the kind: 47 bits of milliseconds, 14 bits for what is made in one.
SELECT setval('id_sequence', greatest((extract(epoch FROM clock_timestamp()) * 1000)::bigint << 14, last_value))
FROM id_sequence;

-- A function of its own so that tests can put the clock back. It costs nothing: the planner puts its body where it is called.
CREATE FUNCTION id_clock() RETURNS timestamptz
LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$ SELECT clock_timestamp() $$;

-- The first id of the present, in the sequence's units.
CREATE FUNCTION present_id() RETURNS bigint
LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$ SELECT (date_part('epoch', id_clock()) * 1000)::bigint << 14 $$;

-- What next_id does once in a millisecond: takes the sequence to the present, or refuses where the clock is too far behind it.
CREATE FUNCTION advance_ids() RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
DECLARE
    present CONSTANT bigint := present_id();
    made bigint;
BEGIN
    IF pg_sequence_last_value('id_sequence') - present > 29491200000 THEN -- its units in 30 minutes
        RAISE EXCEPTION 'the clock is more than 30 minutes behind the last id' USING ERRCODE = 'KD001';
    END IF;
    LOOP
        -- One expression, evaluated from left to right: no cancel comes between lock and unlock. Nobody waits for the end of a transaction.
        made := CASE WHEN pg_try_advisory_lock(7040868, 'id_sequence'::regclass::oid::integer) THEN
            CASE
                WHEN nextval('id_sequence') < present - 16384 THEN setval('id_sequence', present)
                ELSE nextval('id_sequence')
            END
            + CASE WHEN pg_advisory_unlock(7040868, 'id_sequence'::regclass::oid::integer) THEN 0 ELSE 0 END
        END;
        EXIT WHEN made IS NOT NULL;
        PERFORM pg_sleep(0.0001); -- somebody is just doing it
    END LOOP;
    RETURN made;
END
$$;

-- As long as the sequence is neither a millisecond behind the clock nor 30 minutes ahead of it, that is 29491200000 of its units, its
-- next value will do. The distance from the middle of the two is looked at, so that clock and sequence are read once.
CREATE OR REPLACE FUNCTION next_id(kind integer) RETURNS bigint
LANGUAGE sql VOLATILE PARALLEL UNSAFE
AS $$
    SELECT CASE
        WHEN abs(pg_sequence_last_value('id_sequence') - present_id() - 14745591808) <= 14745608192
        THEN nextval('id_sequence')
        ELSE advance_ids()
    END << 2 | kind
$$;
