-- Replies, mentions, edits, direct statuses and favourites.
ALTER TABLE statuses
    ADD COLUMN in_reply_to_account_id bigint,
    ADD COLUMN in_reply_to_id         bigint,
    -- Whom the text mentions: id and handle at the same place. Handles never change.
    ADD COLUMN mentioned_ids          bigint[] NOT NULL DEFAULT '{}',
    ADD COLUMN mentioned_handles      text[]   NOT NULL DEFAULT '{}',
    ADD COLUMN edited_at              timestamptz,
    -- Both change only together with the row that they count, in one statement.
    ADD COLUMN replies_count          integer  NOT NULL DEFAULT 0 CHECK (replies_count >= 0),
    ADD COLUMN favourites_count       integer  NOT NULL DEFAULT 0 CHECK (favourites_count >= 0),
    ADD CONSTRAINT statuses_in_reply_to_check CHECK ((in_reply_to_id IS NULL) = (in_reply_to_account_id IS NULL)),
    ADD CONSTRAINT statuses_mentions_check
        CHECK (cardinality(mentioned_ids) = cardinality(mentioned_handles) AND cardinality(mentioned_ids) <= 20),
    -- No reply to what is being deleted: deleting it makes its replies statuses of their own.
    ADD CONSTRAINT statuses_in_reply_to_fkey
        FOREIGN KEY (in_reply_to_account_id, in_reply_to_id) REFERENCES statuses (account_id, id),
    DROP CONSTRAINT statuses_visibility_check,
    ADD CONSTRAINT statuses_visibility_check CHECK (visibility BETWEEN 1 AND 4); -- kodama.status.v1.Visibility
CREATE INDEX statuses_by_parent ON statuses (in_reply_to_id, id) WHERE in_reply_to_id IS NOT NULL;
-- Few, and not counted where everybody can see the count.
CREATE INDEX statuses_direct ON statuses (account_id, id) WHERE visibility = 4;

-- Lies with the status that it belongs to, by the status's distribution key.
CREATE TABLE favourites (
    status_id  bigint NOT NULL,
    account_id bigint NOT NULL,
    author_id  bigint NOT NULL,
    id         bigint NOT NULL,
    PRIMARY KEY (status_id, account_id),
    FOREIGN KEY (author_id, status_id) REFERENCES statuses (account_id, id) ON DELETE CASCADE
);
CREATE INDEX favourites_by_status ON favourites (status_id, id);
CREATE INDEX favourites_by_account ON favourites (account_id, id);

-- What a status said before it was edited: the text of each version that was replaced, and since when it had said so.
CREATE TABLE revisions (
    account_id        bigint      NOT NULL,
    status_id         bigint      NOT NULL,
    version           integer     NOT NULL,
    text              text        NOT NULL CHECK (char_length(text) BETWEEN 1 AND 1000 AND octet_length(text) <= 4000),
    mentioned_ids     bigint[]    NOT NULL CHECK (cardinality(mentioned_ids) <= 20),
    mentioned_handles text[]      NOT NULL CHECK (cardinality(mentioned_handles) = cardinality(mentioned_ids)),
    created_at        timestamptz NOT NULL,
    PRIMARY KEY (account_id, status_id, version),
    FOREIGN KEY (account_id, status_id) REFERENCES statuses (account_id, id) ON DELETE CASCADE
);
