-- What has been pushed to whom. The two low bits of entry_id tell its kind (chassis/ids.py), so no column has to.
-- Partitioned by id, that is by time: the index that is written to stays small, and trimming is dropping the oldest partition.
CREATE TABLE entries (
    account_id bigint NOT NULL,
    entry_id   bigint NOT NULL,
    author_id  bigint NOT NULL,
    PRIMARY KEY (account_id, entry_id)
) PARTITION BY RANGE (entry_id);

-- A marker per post that has been fanned out, written with its entries: a second delivery of it does nothing.
CREATE TABLE deliveries (
    entry_id bigint PRIMARY KEY
);

-- Whom entries are pushed to: members who have read their home timeline within the last days.
-- Everything of a friend with an id of at least pushed_from has been pushed to the member, except what a ledger still holds,
-- what is below the retention's floor, and what pulled authors wrote.
CREATE TABLE homes (
    account_id  bigint      PRIMARY KEY,
    pushed_from bigint      NOT NULL,
    active_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX homes_by_activity ON homes (active_at);

-- Authors with more friends than are pushed to. Whoever was one once stays in this table: what was posted then is nowhere else.
CREATE TABLE pulled_authors (
    author_id bigint      PRIMARY KEY,
    since     timestamptz NOT NULL DEFAULT now()
);

-- One row: entries below floor_id are not stored any more.
CREATE TABLE retention (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    floor_id bigint  NOT NULL DEFAULT 0
);
INSERT INTO retention DEFAULT VALUES;

-- The first id of the partition that holds what is so many days old.
CREATE FUNCTION partition_start(days_ago integer) RETURNS bigint
LANGUAGE sql VOLATILE
AS $$
    SELECT ((extract(epoch FROM clock_timestamp()) * 1000)::bigint - days_ago * 86400000::bigint << 16)
        / (604800000::bigint << 16) * (604800000::bigint << 16)
$$;

-- Makes the partitions of the coming two weeks, a week each. It belongs to the schema's owner, since services may not change tables.
CREATE FUNCTION ensure_partitions() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
DECLARE
    week   constant bigint := (7 * 24 * 3600 * 1000)::bigint << 16;
    now_id constant bigint := (extract(epoch FROM clock_timestamp()) * 1000)::bigint << 16;
    lower_id bigint;
    made     integer := 0;
BEGIN
    LOCK TABLE retention IN SHARE ROW EXCLUSIVE MODE; -- one at a time
    FOR number IN now_id / week - 1 .. now_id / week + 2 LOOP -- from last week to the one after next
        lower_id := number * week;
        IF to_regclass(format('entries_%s', number)) IS NULL THEN
            EXECUTE format(
                'CREATE TABLE entries_%s PARTITION OF entries FOR VALUES FROM (%s) TO (%s)', number, lower_id, lower_id + week
            );
            made := made + 1;
        END IF;
    END LOOP;
    RETURN made;
END
$$;

-- Drops the partitions that lie wholly below an id, after the floor has been raised to it, and returns how many.
CREATE FUNCTION drop_partitions_below(bound_id bigint) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
DECLARE
    week    constant bigint := (7 * 24 * 3600 * 1000)::bigint << 16;
    partition regclass;
    dropped integer := 0;
BEGIN
    IF bound_id > (SELECT floor_id FROM retention) THEN
        RAISE EXCEPTION 'the floor is below %', bound_id;
    END IF;
    FOR partition IN
        SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'entries'::regclass ORDER BY 1
    LOOP
        IF (regexp_replace(partition::text, '^.*entries_', '')::bigint + 1) * week <= bound_id THEN
            EXECUTE format('DROP TABLE %s', partition);
            dropped := dropped + 1;
        END IF;
    END LOOP;
    RETURN dropped;
END
$$;

-- The first partitions, so that everything can be stored from the start; the oldest reaches back a week.
SELECT ensure_partitions();
UPDATE retention SET floor_id = partition_start(7);
