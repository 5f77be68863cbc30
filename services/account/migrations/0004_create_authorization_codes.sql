ALTER TABLE apps
    ADD COLUMN is_public boolean NOT NULL DEFAULT false, -- it has no secret and proves itself by PKCE alone
    ADD CHECK (NOT is_public OR client_secret_hash IS NULL);

-- Codes that wait for their app to fetch a token with them. A code that has been redeemed is not here any more.
CREATE TABLE authorization_codes (
    code_hash      bytea       PRIMARY KEY CHECK (octet_length(code_hash) = 32), -- SHA-256; the code itself is not kept
    app_id         bigint      NOT NULL REFERENCES apps (id),
    account_id     bigint      NOT NULL REFERENCES accounts (id),
    redirect_uri   text        NOT NULL CHECK (char_length(redirect_uri) <= 2000), -- as the app asked; empty: it did not say
    scopes         text[]      NOT NULL CHECK (cardinality(scopes) BETWEEN 1 AND 100),
    code_challenge text        NOT NULL CHECK (code_challenge ~ '^([A-Za-z0-9_-]{43})?$'), -- S256; empty: no PKCE
    created_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX authorization_codes_by_age ON authorization_codes (created_at);

-- A code that comes a second time ends the token that it gave the first time.
ALTER TABLE tokens ADD COLUMN code_hash bytea UNIQUE CHECK (octet_length(code_hash) = 32);

-- Guessing passwords has a pace: each attempt moves free_at on, and none is let through while it lies too far ahead.
CREATE TABLE password_attempts (
    subject bytea       PRIMARY KEY CHECK (octet_length(subject) = 32), -- a hash of the account, or of a name that nobody has
    free_at timestamptz NOT NULL
);
CREATE INDEX password_attempts_by_time ON password_attempts (free_at);
