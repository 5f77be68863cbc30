"""What has to hold in the tables of a network at rest, whatever has happened to its processes."""

from tests.world import World

NOTHING_IN = {
    "readers to whom nothing is pushed": """
        SELECT account_id FROM timeline.homes WHERE pushed_from = 9223372036854775807""",
    "posts that were to be pushed and are not": """
        SELECT h.account_id, p.id FROM timeline.homes AS h JOIN social_graph.friendships AS f USING (account_id)
        JOIN (SELECT id, account_id, visibility FROM status.statuses UNION ALL
              SELECT id, account_id, visibility FROM blog.blog_entries) AS p ON p.account_id = f.friend_id
        LEFT JOIN timeline.entries AS e ON e.account_id = h.account_id AND e.entry_id = p.id
        WHERE p.id >= h.pushed_from AND p.visibility <> 4 AND e.entry_id IS NULL""",
    "work in a ledger": """
        SELECT task, payload FROM status.ledger UNION ALL SELECT task, payload FROM blog.ledger
        UNION ALL SELECT task, payload FROM social_graph.ledger UNION ALL SELECT task, payload FROM timeline.ledger""",
    "authors whose count of statuses is not the number of their rows": """
        SELECT a.account_id, a.statuses, count(s.id), a.last_id, max(s.id) FROM status.authors AS a
        LEFT JOIN status.statuses AS s USING (account_id) GROUP BY 1, 2, 4 HAVING a.statuses <> count(s.id)
        UNION ALL SELECT s.account_id, 0, count(*), 0, 0 FROM status.statuses AS s
        WHERE s.account_id NOT IN (SELECT account_id FROM status.authors) GROUP BY 1""",
    "statuses whose count of favourites is not the number of their rows": """
        SELECT s.id, s.favourites_count FROM status.statuses AS s
        WHERE s.favourites_count <> (SELECT count(*) FROM status.favourites AS f WHERE f.status_id = s.id)""",
    "statuses whose count of replies is not the number of their rows": """
        SELECT s.id, s.replies_count FROM status.statuses AS s
        WHERE s.replies_count <> (SELECT count(*) FROM status.statuses AS r WHERE r.in_reply_to_id = s.id)""",
    "favourites of what is not there": """
        SELECT f.status_id FROM status.favourites AS f WHERE f.status_id NOT IN (SELECT id FROM status.statuses)""",
    "entries whose count of comments is not the number of their rows": """
        SELECT b.id, b.comments_count FROM blog.blog_entries AS b
        WHERE b.comments_count <> (SELECT count(*) FROM blog.comments AS c WHERE c.blog_entry_id = b.id)""",
    "friendships of one side": """
        SELECT f.account_id, f.friend_id FROM social_graph.friendships AS f WHERE NOT EXISTS (
            SELECT FROM social_graph.friendships AS g WHERE g.account_id = f.friend_id AND g.friend_id = f.account_id)""",
    "members whose count of friends is not the number of their rows": """
        SELECT m.account_id, m.friends_count FROM social_graph.members AS m
        WHERE m.friends_count <> (SELECT count(*) FROM social_graph.friendships AS f WHERE f.account_id = m.account_id)""",
    "friends who are blocked, or who still ask": """
        SELECT f.account_id, f.friend_id FROM social_graph.friendships AS f
        JOIN social_graph.blocks AS b ON b.account_id = f.account_id AND b.target_id = f.friend_id
        UNION ALL SELECT f.account_id, f.friend_id FROM social_graph.friendships AS f
        JOIN social_graph.friend_requests AS r ON r.requester_id = f.account_id AND r.target_id = f.friend_id""",
    "keys that have been answered for nothing, or nothing under a key": """
        SELECT account_id, request_id FROM status.claims WHERE answer IS NULL AND made_id IS NULL
        UNION ALL SELECT account_id, request_id FROM blog.claims WHERE answer IS NULL AND made_id IS NULL""",
    "notifications that are told twice": """
        SELECT account_id, type, from_id, subject_id FROM timeline.notifications
        GROUP BY 1, 2, 3, 4 HAVING count(*) > 1""",
    "generations that are neither done nor in the ledger": """
        SELECT id, state FROM social_graph.generations WHERE state NOT IN ('failed', 'cancelled', 'done')""",
}


def faults_of(world: World) -> list[str]:
    """Return a sentence for each kind of thing that must not be there and is."""
    found = {what: world.query(query) for what, query in NOTHING_IN.items()}
    return [f"{what}: {rows}" for what, rows in found.items() if rows]
