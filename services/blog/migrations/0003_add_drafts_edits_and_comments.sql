-- Drafts, edits and comments.
ALTER TABLE blog_entries
    ADD COLUMN edited_at      timestamptz,
    -- Changes only together with the comment that it counts, in one statement.
    ADD COLUMN comments_count integer NOT NULL DEFAULT 0 CHECK (comments_count >= 0);

-- What is not published yet, apart from entries, so that nothing which reads those can show one.
CREATE TABLE drafts (
    account_id bigint      NOT NULL,
    id         bigint      NOT NULL,
    title      text        NOT NULL CHECK (char_length(title) <= 200 AND position(E'\n' IN title) = 0),
    text       text        NOT NULL CHECK (char_length(text) <= 50000 AND octet_length(text) <= 200000),
    visibility smallint    NOT NULL CHECK (visibility BETWEEN 1 AND 4), -- kodama.blog.v1.Visibility
    version    integer     NOT NULL DEFAULT 1,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account_id, id),
    CHECK (title <> '' OR text <> '')
);

-- Lies with the entry that it is on, by the entry's distribution key.
CREATE TABLE comments (
    author_id     bigint NOT NULL, -- who wrote the entry
    blog_entry_id bigint NOT NULL,
    id            bigint NOT NULL,
    account_id    bigint NOT NULL, -- who wrote the comment
    text          text   NOT NULL CHECK (char_length(text) BETWEEN 1 AND 2000 AND octet_length(text) <= 8000),
    PRIMARY KEY (author_id, blog_entry_id, id),
    FOREIGN KEY (author_id, blog_entry_id) REFERENCES blog_entries (account_id, id) ON DELETE CASCADE
);
CREATE INDEX comments_by_id ON comments (id);
