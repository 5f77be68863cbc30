-- Who does not want to see whose posts. One side's matter: the other is not told, and friendship stays.
CREATE TABLE mutes (
    account_id          bigint      NOT NULL,
    target_id           bigint      NOT NULL,
    hides_notifications boolean     NOT NULL,
    expires_at          timestamptz, -- none: for ever
    created_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account_id, target_id),
    CONSTRAINT mutes_of_others CHECK (account_id <> target_id)
);
CREATE INDEX mutes_by_time ON mutes (account_id, created_at, target_id);
CREATE INDEX mutes_by_end ON mutes (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX blocks_by_time ON blocks (account_id, created_at, target_id);

-- A request knows when it ends. What waited before this ends 90 days after it was made, the setting's default.
ALTER TABLE friend_requests ADD COLUMN expires_at timestamptz NOT NULL DEFAULT now() + interval '90 days';
UPDATE friend_requests SET expires_at = created_at + interval '90 days';
CREATE INDEX friend_requests_by_end ON friend_requests (expires_at);

-- What has ended is as if it were not there, whether housekeeping has come by or not: reads go through these. The time is that of
-- the statement, not of the transaction, which may have waited for a lock meanwhile.
CREATE VIEW waiting_requests AS
    SELECT requester_id, target_id, created_at, expires_at FROM friend_requests WHERE expires_at > statement_timestamp();
CREATE VIEW active_mutes AS
    SELECT account_id, target_id, hides_notifications, expires_at, created_at FROM mutes
    WHERE expires_at IS NULL OR expires_at > statement_timestamp();
