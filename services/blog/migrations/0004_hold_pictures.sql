-- Which pictures of the media service a text shows, by the addresses in it: the first hundred.
CREATE FUNCTION shown_media(text text) RETURNS bigint[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT coalesce(array_agg(id), '{}') FROM (
        SELECT DISTINCT found[1]::bigint AS id
        FROM regexp_matches(text, '/media/([0-9]{1,18})/', 'g') AS found ORDER BY id LIMIT 100
    ) AS media
$$;
ALTER TABLE blog_entries ADD COLUMN media_ids bigint[] NOT NULL GENERATED ALWAYS AS (shown_media(text)) STORED;
ALTER TABLE drafts ADD COLUMN media_ids bigint[] NOT NULL GENERATED ALWAYS AS (shown_media(text)) STORED;
CREATE INDEX blog_entries_media ON blog_entries USING gin (media_ids);
CREATE INDEX drafts_media ON drafts USING gin (media_ids);
