-- The pictures that members show themselves with: MEDIA_ID/TOKEN.EXTENSION of one of media's, empty for none.
ALTER TABLE accounts
    ADD COLUMN avatar text NOT NULL DEFAULT '' CHECK (avatar ~ '^([1-9][0-9]{0,18}/[0-9a-f]{32}\.(jpg|webp))?$'),
    ADD COLUMN header text NOT NULL DEFAULT '' CHECK (header ~ '^([1-9][0-9]{0,18}/[0-9a-f]{32}\.(jpg|webp))?$');
-- media asks which of its pictures are shown.
CREATE INDEX accounts_by_avatar ON accounts (split_part(avatar, '/', 1)) WHERE avatar <> '';
CREATE INDEX accounts_by_header ON accounts (split_part(header, '/', 1)) WHERE header <> '';
