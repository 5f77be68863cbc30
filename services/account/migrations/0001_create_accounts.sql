CREATE TABLE accounts (
    id            bigint      PRIMARY KEY DEFAULT next_id(0),
    handle        text        NOT NULL UNIQUE CHECK (handle ~ '^[a-z0-9_]{1,30}$'),
    display_name  text        NOT NULL CHECK (char_length(display_name) BETWEEN 1 AND 60),
    note          text        NOT NULL DEFAULT '' CHECK (char_length(note) <= 500),
    locale        text        NOT NULL CHECK (locale IN ('ja', 'en')),
    email         text        CHECK (char_length(email) BETWEEN 3 AND 254), -- as its owner writes it; never shown
    email_key     text        CHECK (char_length(email_key) <= 1000), -- casefolded: one account per address
    password_hash text        CHECK (password_hash LIKE '$argon2id$%'), -- members from elsewhere have none
    created_at    timestamptz NOT NULL DEFAULT now(),
    CHECK ((email IS NULL) = (email_key IS NULL))
);
CREATE UNIQUE INDEX accounts_by_email_key ON accounts (email_key) WHERE email_key IS NOT NULL;
