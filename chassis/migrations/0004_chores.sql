-- When each chore of chassis/topology.py was begun and done last, whichever process did it (chassis/housekeeping.py).
CREATE TABLE chores (
    name       text        PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 100),
    begun_at   timestamptz NOT NULL,
    done_at    timestamptz, -- the last time that it ended well
    last_error text        NOT NULL DEFAULT '' CHECK (length(last_error) <= 1000) -- of the last time; empty where it ended well
);
