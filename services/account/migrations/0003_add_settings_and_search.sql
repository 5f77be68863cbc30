ALTER TABLE accounts
    ADD COLUMN version             integer  NOT NULL DEFAULT 1, -- one more with each change of what others see
    ADD COLUMN is_bot              boolean  NOT NULL DEFAULT false,
    ADD COLUMN is_discoverable     boolean  NOT NULL DEFAULT true, -- false: found by the whole handle only
    ADD COLUMN default_visibility  smallint NOT NULL DEFAULT 1 CHECK (default_visibility BETWEEN 1 AND 3), -- kodama.status.v1.Visibility
    ADD COLUMN default_sensitive   boolean  NOT NULL DEFAULT false,
    ADD COLUMN default_language    text     NOT NULL DEFAULT '' CHECK (default_language ~ '^([a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3})?$');

-- What accounts are found by: the handle and the display name from the beginning of each word on, folded
-- (domain.search_keys). A search is a range of this index that is read no further than the page is long.
CREATE TABLE search_keys (
    key        text   COLLATE "C" NOT NULL CHECK (char_length(key) BETWEEN 1 AND 30),
    account_id bigint NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    PRIMARY KEY (key, account_id)
);
CREATE INDEX search_keys_by_account ON search_keys (account_id);

-- For members who are there already. The service folds more than ASCII; names it would fold otherwise are filed so when next changed.
INSERT INTO search_keys (key, account_id)
SELECT DISTINCT btrim(left(substr(name.folded, place), 30)), accounts.id
FROM accounts,
     LATERAL (VALUES (handle), (lower(normalize(display_name, NFKC)))) AS written(name),
     LATERAL (SELECT btrim(regexp_replace(written.name, '[\s[:punct:]]+', ' ', 'g'))) AS name(folded),
     LATERAL generate_series(1, char_length(name.folded)) AS place
WHERE substr(name.folded, place, 1) <> ' '
  AND (place = 1 OR substr(name.folded, place - 1, 1) = ' ' OR substr(name.folded, place, 1) ~ '[\u3005-\u30FF\u3400-\u9FFF]');
