-- One row per member that ever took part in a change of edges. Every such change first locks the rows of all members that it
-- touches, low id first: so crossing requests, accept against block and the limit of friends each have one outcome.
CREATE TABLE members (
    account_id    bigint  PRIMARY KEY,
    friends_count integer NOT NULL DEFAULT 0 CHECK (friends_count >= 0)
) WITH (fillfactor = 80);

-- Two directed rows per friendship, so that "the friends of" is one index range. The foreign key to itself makes the table
-- symmetric: it is checked when a statement ends, so both rows come and go in one statement or not at all.
CREATE TABLE friendships (
    account_id bigint      NOT NULL,
    friend_id  bigint      NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, friend_id),
    CONSTRAINT friendships_with_others CHECK (account_id <> friend_id),
    CONSTRAINT friendships_symmetric FOREIGN KEY (friend_id, account_id) REFERENCES friendships (account_id, friend_id)
);

CREATE TABLE friend_requests (
    requester_id bigint      NOT NULL,
    target_id    bigint      NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (requester_id, target_id),
    CONSTRAINT friend_requests_to_others CHECK (requester_id <> target_id)
);
CREATE INDEX friend_requests_incoming ON friend_requests (target_id, created_at, requester_id);
CREATE INDEX friend_requests_outgoing ON friend_requests (requester_id, created_at, target_id);
-- Who is asked by somebody they have asked becomes a friend instead: at most one direction waits.
CREATE UNIQUE INDEX friend_requests_one_per_pair
    ON friend_requests (least(requester_id, target_id), greatest(requester_id, target_id));

CREATE TABLE blocks (
    account_id bigint      NOT NULL,
    target_id  bigint      NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, target_id),
    CONSTRAINT blocks_of_others CHECK (account_id <> target_id)
);
CREATE INDEX blocks_by_target ON blocks (target_id, account_id);
