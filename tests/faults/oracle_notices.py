"""Notifications and suggestions, compared with the model."""

from collections import Counter
from collections.abc import Iterator

from tests.faults.members import Member
from tests.faults.reading import Reader
from tests.faults.safety import Findings, Verdict
from tests.faults.world import Post, World

Notice = tuple[str, int, int]
"""(type, who did it, the id of the status that it is about or 0)"""


class Notices:
    """Checks what members are told of, and who is suggested to them."""

    def __init__(self, world: World, reader: Reader, findings: Findings, verdict: Verdict) -> None:
        self._world = world
        self._reader = reader
        self._findings = findings
        self._verdict = verdict
        self._due = _due_to(world)

    async def check(self, member: Member) -> None:
        """Check a member's whole list of notifications: what must be there once is, and nothing is twice or about what may not be seen."""
        found: list[Notice] = []
        async for page in self._reader.walk("/api/v1/notifications?limit=80", member.token):
            for one in page.json():
                found.append((one["type"], int(one["account"]["id"]), int((one.get("status") or {}).get("id", 0))))
        due = self._due.get(member.id, set())
        self._verdict.checked["notifications"] += len(due)
        for notice, times in Counter(found).items():
            if times > 1:
                self._findings.note("duplicated", "notifications", member.id, f"{notice} stands there {times} times")
        for notice in sorted(due - set(found)):
            self._findings.note("missing", "notifications", member.id, f"{notice}")
        for notice in sorted(set(found)):
            if why := self._unfounded(member.id, notice):
                self._findings.note("forbidden", "notifications", member.id, f"{notice}: {why}")

    def _unfounded(self, viewer: int, notice: Notice) -> str:
        """Return why a member must not be told of something; empty where they may."""
        kind, who, subject = notice
        pair = self._world.pair(viewer, who)
        if pair.blocked_by or viewer in pair.muted_by:
            return f"blocked by {pair.blocked_by}, muted by {pair.muted_by}"
        if not subject:
            return "" if pair.was_touched else "nothing ever happened between them"
        post = self._world.by_id.get(subject)
        if post is None or post.deleted_at:
            return "the status is not there"
        if kind == "favourite":
            return "" if post.author == viewer and who in post.ever_favoured_by else "nobody favoured it"
        return "" if post.author == who and post.mentioned == viewer else "nobody was mentioned"

    async def check_suggestions(self, member: Member) -> None:
        """Check that nobody is suggested to a member who must not be."""
        answer = await self._reader.get("/api/v2/suggestions?limit=50", member.token)
        for one in answer.json():
            other = int(one["account"]["id"])
            pair = self._world.pair(member.id, other)
            self._verdict.checked["suggestions"] += 1
            if other == member.id or pair.is_friends or pair.asked_by or pair.blocked_by or member.id in pair.muted_by:
                detail = f"{other}: friends {pair.is_friends}, asked by {pair.asked_by}, blocked by {pair.blocked_by}"
                self._findings.note("forbidden", "suggestions", member.id, detail)


def _due_to(world: World) -> dict[int, set[Notice]]:
    """Return what each member must have been told of: what is still so, between members who never fell out with one another."""
    due: dict[int, set[Notice]] = {}

    def add(viewer: int, kind: str, who: int, subject: int = 0) -> None:
        pair = world.pair(viewer, who)
        if viewer != who and not pair.ever_silenced and not pair.is_unsure:
            due.setdefault(viewer, set()).add((kind, who, subject))

    for post in world.by_id.values():
        if post.is_there and not post.is_unsure and post.kind == "status":
            for kind, viewer, who in _told_of(world, post):
                add(viewer, kind, who, post.id)
    for pair, stand in list(world.pairs.items()):
        for who in stand.asked_by:
            add(pair[0] if who == pair[1] else pair[1], "follow_request", who)
        if stand.is_friends and stand.requester:
            add(stand.requester, "follow", pair[0] if stand.requester == pair[1] else pair[1])
    return due


def _told_of(world: World, post: Post) -> Iterator[tuple[str, int, int]]:
    """Return (type, who is told, who did it) of what members must hear about a status."""
    for who in post.favoured_by - post.unsure_favours:
        # Of what not everybody may see nothing is told while the two are not friends, and they may have been not.
        if post.visibility in ("public", "unlisted") or not world.pair(post.author, who).was_touched:
            yield "favourite", post.author, who
    if post.mentioned:
        yield "mention", post.mentioned, post.author
