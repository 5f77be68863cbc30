-- How many statuses each account has, and the id of its last, without direct ones, which are nobody's business. Counting them at
-- every post and profile costs more the more there are; here they are counted by whatever changes them.
CREATE TABLE authors (
    account_id bigint PRIMARY KEY,
    statuses   integer NOT NULL CHECK (statuses >= 0),
    -- 0 for none.
    last_id    bigint NOT NULL
) WITH (fillfactor = 50);

-- One statement posts for many authors: they are locked in the order of their ids.
CREATE FUNCTION count_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO status.authors AS a (account_id, statuses, last_id)
    SELECT account_id, count(*), max(id) FROM added WHERE visibility <> 4 GROUP BY account_id ORDER BY account_id
    ON CONFLICT (account_id) DO UPDATE
    SET statuses = a.statuses + excluded.statuses, last_id = greatest(a.last_id, excluded.last_id);
    RETURN NULL;
END
$$;

-- A status becomes direct when it is narrowed; none is ever widened.
CREATE FUNCTION count_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- The statement after this one sees what those have done who held the row before.
    PERFORM FROM status.authors WHERE account_id = OLD.account_id FOR UPDATE;
    UPDATE status.authors
    SET statuses = statuses - 1,
        last_id = CASE WHEN last_id > OLD.id THEN last_id ELSE coalesce((
            SELECT id FROM status.statuses WHERE account_id = OLD.account_id AND visibility <> 4 ORDER BY id DESC LIMIT 1
        ), 0) END
    WHERE account_id = OLD.account_id;
    RETURN NULL;
END
$$;

CREATE TRIGGER count_added AFTER INSERT ON statuses
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_added();
CREATE TRIGGER count_removed AFTER DELETE ON statuses
    FOR EACH ROW WHEN (OLD.visibility <> 4) EXECUTE FUNCTION count_removed();
CREATE TRIGGER count_narrowed AFTER UPDATE OF visibility ON statuses
    FOR EACH ROW WHEN (OLD.visibility <> 4 AND NEW.visibility = 4) EXECUTE FUNCTION count_removed();

INSERT INTO authors (account_id, statuses, last_id)
SELECT account_id, count(*), max(id) FROM statuses WHERE visibility <> 4 GROUP BY account_id;

-- It was there for the counting.
DROP INDEX statuses_direct;
