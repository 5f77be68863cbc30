-- When a member has shown that mail reaches them. Whoever is a member already counts as confirmed, and so does everybody for whom
-- KODAMA_CONFIRM_EMAIL does not ask.
ALTER TABLE accounts
    ADD COLUMN confirmed_at timestamptz DEFAULT now(), -- none: waits for its confirmation, and nobody else is shown it
    ADD CHECK (confirmed_at IS NOT NULL OR email IS NOT NULL);
CREATE INDEX accounts_unconfirmed ON accounts (created_at) WHERE confirmed_at IS NULL;

-- The mail that is to be sent or has been sent to an account that waits. What is here is sent, however often a sender dies over it.
CREATE TABLE email_confirmations (
    account_id      bigint      PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    token_hash      bytea       UNIQUE CHECK (octet_length(token_hash) = 32), -- SHA-256 of the newest mail's; the token itself is not kept
    issued_at       timestamptz, -- when that token was made
    created_at      timestamptz NOT NULL DEFAULT now(),
    sent_at         timestamptz, -- when a mail server took the newest mail
    attempts        smallint    NOT NULL DEFAULT 0 CHECK (attempts BETWEEN 0 AND 50), -- since a mail was last asked for
    next_attempt_at timestamptz DEFAULT now(), -- none: nothing is to be sent
    last_error      text        NOT NULL DEFAULT '' CHECK (char_length(last_error) <= 500),
    CHECK ((token_hash IS NULL) = (issued_at IS NULL))
);
CREATE INDEX email_confirmations_due ON email_confirmations (next_attempt_at) WHERE next_attempt_at IS NOT NULL;
