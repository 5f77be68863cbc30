-- Whose list of friends nobody else may read: social_graph asks before it shows one.
ALTER TABLE accounts ADD COLUMN hides_friends boolean NOT NULL DEFAULT false;
