-- Pictures of statuses. Their bytes are the media service's; who shows which is decided here, in the statement that posts.
ALTER TABLE statuses
    ADD COLUMN media_ids bigint[] NOT NULL DEFAULT '{}' CHECK (cardinality(media_ids) <= 4),
    DROP CONSTRAINT statuses_text_check,
    ADD CONSTRAINT statuses_text_check
        CHECK (char_length(text) <= 1000 AND octet_length(text) <= 4000 AND (text <> '' OR media_ids <> '{}'));
-- What showed pictures alone may have said nothing before it was edited.
ALTER TABLE revisions
    DROP CONSTRAINT revisions_text_check,
    ADD CONSTRAINT revisions_text_check CHECK (char_length(text) <= 1000 AND octet_length(text) <= 4000);

-- A picture hangs on one status at most.
CREATE TABLE attachments (
    media_id   bigint PRIMARY KEY,
    account_id bigint NOT NULL,
    status_id  bigint NOT NULL,
    FOREIGN KEY (account_id, status_id) REFERENCES statuses (account_id, id) ON DELETE CASCADE
);
CREATE INDEX attachments_by_status ON attachments (account_id, status_id);
