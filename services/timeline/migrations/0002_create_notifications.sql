-- What members are told that others did. Whether they may see it now is asked at every read; the newest 1,000 of a member are kept.
CREATE TABLE notifications (
    account_id  bigint   NOT NULL,
    id          bigint   NOT NULL DEFAULT next_id(0),
    type        smallint NOT NULL CHECK (type BETWEEN 1 AND 4), -- NotificationType
    from_id     bigint   NOT NULL,
    subject_id  bigint   NOT NULL DEFAULT 0, -- the status that it is about
    caused_at   bigint   NOT NULL DEFAULT 0, -- of a friend request: when, in ms; a later one is told of again
    -- It was dismissed: nobody sees it, and a message that comes twice does not bring it back.
    is_dismissed boolean NOT NULL DEFAULT false,
    PRIMARY KEY (account_id, id),
    CONSTRAINT notifications_once UNIQUE (account_id, type, from_id, subject_id)
);

-- How far members have read, the same on all their devices.
CREATE TABLE markers (
    account_id   bigint      NOT NULL,
    timeline     smallint    NOT NULL CHECK (timeline BETWEEN 1 AND 2), -- MarkedTimeline
    last_read_id bigint      NOT NULL CHECK (last_read_id >= 0),
    version      integer     NOT NULL DEFAULT 0,
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, timeline)
);
