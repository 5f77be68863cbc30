-- The network's own pages: a session of a member's browser is a token of this app. It has no secret, so nobody can be it.
INSERT INTO apps (id, client_id, name, redirect_uris, scopes)
VALUES (8, 'kodama-pages', 'Kodama', '{}', '{read,write,follow}');

ALTER TABLE tokens
    ADD COLUMN label text NOT NULL DEFAULT '' CHECK (char_length(label) <= 100); -- what the browser of a session says of itself
