-- How many statuses an account has, and the id of its last, without direct ones, which are nobody's business.
-- Both counts are made of index entries alone.
CREATE FUNCTION count_of(account bigint) RETURNS TABLE (statuses bigint, last_id bigint) LANGUAGE sql STABLE AS $$
    SELECT (SELECT count(*) FROM statuses WHERE account_id = account)
            - (SELECT count(*) FROM statuses WHERE account_id = account AND visibility = 4),
        (SELECT id FROM statuses WHERE account_id = account AND visibility <> 4 ORDER BY id DESC LIMIT 1)
$$;
