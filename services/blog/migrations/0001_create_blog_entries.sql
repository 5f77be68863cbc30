-- The distribution key (account_id) leads the primary key, so that the table can be sharded by member as it is.
CREATE TABLE blog_entries (
    account_id bigint      NOT NULL,
    id         bigint      NOT NULL,
    title      text        NOT NULL CHECK (char_length(title) BETWEEN 1 AND 200 AND position(E'\n' IN title) = 0),
    text       text        NOT NULL CHECK (char_length(text) BETWEEN 1 AND 50000 AND octet_length(text) <= 200000),
    visibility smallint    NOT NULL CHECK (visibility BETWEEN 1 AND 4), -- kodama.blog.v1.Visibility
    version    integer     NOT NULL DEFAULT 1,
    PRIMARY KEY (account_id, id)
);
CREATE INDEX blog_entries_by_id ON blog_entries (id);

-- What a client's Idempotency-Key has published; the same key with the same body gets the same answer for a day.
CREATE TABLE idempotency_keys (
    account_id    bigint      NOT NULL,
    request_id    text        NOT NULL CHECK (octet_length(request_id) BETWEEN 1 AND 255),
    fingerprint   bytea       NOT NULL,
    blog_entry_id bigint      NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, request_id)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
