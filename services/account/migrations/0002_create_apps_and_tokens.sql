CREATE TABLE apps (
    id                 bigint      PRIMARY KEY DEFAULT next_id(0),
    client_id          text        NOT NULL UNIQUE CHECK (char_length(client_id) BETWEEN 1 AND 100),
    client_secret_hash bytea       CHECK (octet_length(client_secret_hash) = 32), -- SHA-256; none: nobody can be this app
    name               text        NOT NULL CHECK (char_length(name) BETWEEN 1 AND 60),
    website            text        NOT NULL DEFAULT '' CHECK (char_length(website) <= 2000),
    redirect_uris      text[]      NOT NULL CHECK (cardinality(redirect_uris) <= 10),
    scopes             text[]      NOT NULL CHECK (cardinality(scopes) BETWEEN 1 AND 100),
    created_at         timestamptz NOT NULL DEFAULT now()
);

-- The operator's own app: tokens that the command line issues belong to it. Its id is below all that next_id() makes.
INSERT INTO apps (id, client_id, name, redirect_uris, scopes)
VALUES (4, 'kodama-operator', 'Kodama operator', '{}', '{read,write,follow,push,profile}');

CREATE TABLE tokens (
    id         bigint      PRIMARY KEY DEFAULT next_id(0),
    token_hash bytea       NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32), -- SHA-256; the token itself is not kept
    app_id     bigint      NOT NULL REFERENCES apps (id),
    account_id bigint      REFERENCES accounts (id), -- none: the token acts for the app itself
    scopes     text[]      NOT NULL CHECK (cardinality(scopes) BETWEEN 1 AND 100),
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);
CREATE INDEX tokens_by_account ON tokens (account_id) WHERE account_id IS NOT NULL;
