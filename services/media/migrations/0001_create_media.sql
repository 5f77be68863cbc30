-- Pictures with their bytes: PostgreSQL is the only truth, and there is no other store yet (docs/decisions has what that costs).
-- The distribution key (account_id) leads the primary key, so that the table can be sharded by member as it is.
CREATE TABLE media (
    account_id     bigint      NOT NULL,
    id             bigint      NOT NULL,
    token          text        NOT NULL CHECK (token ~ '^[0-9a-f]{32}$'), -- whoever has it may download the picture
    extension      text        NOT NULL CHECK (extension IN ('jpg', 'webp')),
    width          smallint    NOT NULL CHECK (width BETWEEN 1 AND 2048),
    height         smallint    NOT NULL CHECK (height BETWEEN 1 AND 2048),
    preview_width  smallint    NOT NULL CHECK (preview_width BETWEEN 1 AND 480),
    preview_height smallint    NOT NULL CHECK (preview_height BETWEEN 1 AND 480),
    description    text        NOT NULL CHECK (char_length(description) <= 1500 AND octet_length(description) <= 6000),
    focus_x        real        CHECK (focus_x BETWEEN -1 AND 1),
    focus_y        real        CHECK (focus_y BETWEEN -1 AND 1),
    blurhash       text        NOT NULL CHECK (octet_length(blurhash) <= 30),
    original       bytea       NOT NULL CHECK (octet_length(original) BETWEEN 1 AND 8388608),
    preview        bytea       NOT NULL CHECK (octet_length(preview) BETWEEN 1 AND 1048576),
    is_attached    boolean     NOT NULL DEFAULT false, -- a status is known to show it
    discarded_at   timestamptz, -- since then nobody sees it; some minutes later it is deleted
    PRIMARY KEY (account_id, id),
    CHECK (num_nulls(focus_x, focus_y) IN (0, 2))
);
-- JPEG and WebP do not get smaller; uncompressed, a piece can be read without the rest.
ALTER TABLE media ALTER COLUMN original SET STORAGE EXTERNAL, ALTER COLUMN preview SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX media_by_id ON media (id);
CREATE INDEX media_loose ON media (id) WHERE NOT is_attached AND discarded_at IS NULL;
CREATE INDEX media_discarded ON media (discarded_at) WHERE discarded_at IS NOT NULL;
