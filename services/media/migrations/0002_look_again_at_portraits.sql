-- When account last said that a member shows a picture as avatar or header. Unlike a status a member can show another one at any time, so
-- that it is asked again a day later.
ALTER TABLE media ADD COLUMN shown_at timestamptz;
