"""All that a home page shows, in one query: what home pages over HTTP are measured against, and the proof that it is the same."""

import json
import urllib.request
from collections.abc import Sequence
from typing import Any, LiteralString

from benchmarks.network import Bench
from benchmarks.population import Member
from benchmarks.smoke import HOME

FULL_HOME: LiteralString = """
WITH me AS (SELECT id FROM bench.members WHERE number = {number}),
page AS (
    SELECT e.entry_id, e.author_id FROM me CROSS JOIN LATERAL (
        SELECT entry_id, author_id FROM (
            (SELECT entry_id, author_id FROM timeline.entries WHERE account_id = me.id ORDER BY entry_id DESC LIMIT 40)
            UNION ALL
            (SELECT id, account_id FROM status.statuses WHERE account_id = me.id ORDER BY id DESC LIMIT 40)
        ) AS found
        WHERE author_id = me.id OR (
            EXISTS (SELECT FROM social_graph.friendships AS f WHERE f.account_id = me.id AND f.friend_id = author_id)
            AND NOT EXISTS (SELECT FROM social_graph.blocks AS b WHERE b.account_id = me.id AND b.target_id = author_id)
            AND NOT EXISTS (SELECT FROM social_graph.blocks AS b WHERE b.account_id = author_id AND b.target_id = me.id)
            AND NOT EXISTS (
                SELECT FROM social_graph.active_mutes AS m WHERE m.account_id = me.id AND m.target_id = author_id
            )
        )
        ORDER BY entry_id DESC LIMIT 20
    ) AS e
)
SELECT s.id, s.replies_count, s.favourites_count,
    EXISTS (SELECT FROM status.favourites AS f, me WHERE f.status_id = s.id AND f.account_id = me.id) AS favourited,
    g.friends_count,
    (SELECT count(*) FROM status.statuses AS c WHERE c.account_id = s.account_id AND c.visibility <> 4) AS statuses_count,
    (SELECT max(c.id) FROM status.statuses AS c WHERE c.account_id = s.account_id AND c.visibility <> 4) AS last_id,
    s.text, s.visibility, s.version, s.edited_at, s.in_reply_to_id, s.in_reply_to_account_id, s.mentioned_ids, s.mentioned_handles,
    s.media_ids, a.id, a.handle, a.display_name, a.note, a.created_at, a.is_bot, a.is_discoverable, a.hides_friends
FROM page AS p
JOIN status.statuses AS s ON s.account_id = p.author_id AND s.id = p.entry_id
JOIN account.accounts AS a ON a.id = p.author_id
JOIN social_graph.members AS g ON g.account_id = p.author_id
ORDER BY s.id DESC
"""


def full_home_script(members: int) -> str:
    """Return the query for a random member, as pgbench runs it."""
    return f"\\set number random(1, {members})\n{FULL_HOME.format(number=':number')};\n"


def check_same(bench: Bench, members: Sequence[Member]) -> None:
    """Compare the pages of these members over HTTP with what the query returns: statuses, their order, every count and flag.

    Raises RuntimeError where they differ: then the query is no baseline.
    """
    for member in members:
        [(number,)] = bench.query("SELECT number FROM bench.members WHERE id = %(id)s", {"id": member.id})
        found = [_from_row(row) for row in bench.query(_for_number(), {"number": number})]
        shown = [_from_json(status) for status in _page(bench, member)]
        if found != shown or not shown:
            raise RuntimeError(f"the query and the page of {member.name} differ: {found} is not {shown}")


def _for_number() -> LiteralString:
    return FULL_HOME.format(number="%(number)s")


def _from_row(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return (str(row[0]), *row[1:6])


def _from_json(status: dict[str, Any]) -> tuple[Any, ...]:
    account = status["account"]
    return (
        *(status["id"], status["replies_count"], status["favourites_count"], status["favourited"]),
        *(account["followers_count"], account["statuses_count"]),
    )


def _page(bench: Bench, member: Member) -> list[dict[str, Any]]:
    request = urllib.request.Request(bench.trial.address + HOME, headers={"Authorization": f"Bearer {member.token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found
