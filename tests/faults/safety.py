"""What may never be seen, whatever is broken just now: checked on every read while faults go on."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.faults.world import Post, World

STALE_SECONDS = 0.3
"""Somebody else's post may be missing for 50 ms (KODAMA_TIMELINE_OPEN_WORK_MAX_AGE_MS); with what a busy machine adds."""
REVOKED_SECONDS = 10.0
"""What was revoked may be sent over a stream for five seconds; on a busy machine it is read late."""
MAX_KEPT = 200


@dataclass(frozen=True)
class Violation:
    """Something that was seen and must not be."""

    kind: str
    """`missing`, `forbidden`, `duplicated`, `unsorted`, `lost`, `wrong`."""
    where: str
    member: int
    detail: str
    at: float


class Findings:
    """Counts violations, and keeps the first of them."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.first: list[Violation] = []
        self.checked = 0
        """Entries that were compared with what the model says."""

    def note(self, kind: str, where: str, member: int, detail: str, at: float = 0.0) -> None:
        """Note a violation."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if len(self.first) < MAX_KEPT:
            self.first.append(Violation(kind, where, member, detail, at))


@dataclass
class Verdict:
    """What the oracle has looked at."""

    checked: Counter[str] = field(default_factory=Counter)
    """How many things of each kind were compared."""
    recovered: int = 0
    """Operations of which nothing was known, and that turned out to have happened."""


class Safety:
    """Compares what a read returned with what the model knew when it was begun."""

    def __init__(self, world: World, findings: Findings) -> None:
        self._world = world
        self._findings = findings

    def check_home(self, viewer: int, entries: Sequence[tuple[int, int]], lowest: int, began: float) -> None:
        """Check the first page of a home timeline: (id, author) in the order of the answer, which shows everything from the id `lowest`
        on; `began`: when it was asked for.
        """
        self._check_order(viewer, [an_id for an_id, _ in entries], "home", began)
        for an_id, author in entries:
            fault = self._forbidden(viewer, an_id, author, began)
            if fault:
                self._findings.note("forbidden", "home", viewer, f"{an_id} of {author}: {fault}", began)
        shown = {an_id for an_id, _ in entries}
        for post in self._must_show(viewer, lowest, began):
            if post.id not in shown:
                age = round(began - post.acknowledged_at, 3)
                detail = f"{post.key} {post.id} of {post.author} ({post.visibility}), acknowledged {age} s before"
                self._findings.note("missing", "home", viewer, detail, began)
        self._findings.checked += len(entries)

    def check_posts(self, viewer: int, ids: Sequence[int], lowest: int, began: float) -> None:
        """Check a member's own profile as they see it: all statuses from the id `lowest` on."""
        self._check_order(viewer, ids, "profile", began)
        shown = set(ids)
        for post in self._world.above(viewer, lowest):
            if post.kind != "status" or post.acknowledged_at >= began:
                continue
            if post.id not in shown and post.is_there:
                self._findings.note("missing", "profile", viewer, f"{post.key} {post.id}", began)
            elif post.id in shown and post.deleted_at and post.deleted_at < began:
                self._findings.note("forbidden", "profile", viewer, f"{post.key} {post.id} is deleted", began)
        self._findings.checked += len(ids)

    def check_event(self, viewer: int, an_id: int, author: int) -> None:
        """Check a post that has just come over a stream: what was revoked five seconds ago must not come."""
        fault = self._forbidden(viewer, an_id, author, time.monotonic() - REVOKED_SECONDS)
        if fault:
            self._findings.note("forbidden", "stream", viewer, f"{an_id} of {author}: {fault}", time.monotonic())
        self._findings.checked += 1

    def _check_order(self, viewer: int, ids: Sequence[int], where: str, began: float) -> None:
        if len(set(ids)) < len(ids):
            self._findings.note("duplicated", where, viewer, f"an id stands there twice: {ids}", began)
        if sorted(ids, reverse=True) != list(ids):
            self._findings.note("unsorted", where, viewer, f"{ids}", began)

    def _forbidden(self, viewer: int, an_id: int, author: int, began: float) -> str:
        """Return why an entry must not be seen; empty where it may."""
        post = self._world.by_id.get(an_id)
        if post is None:
            return "" if self._world.posting.get(author) else "nobody has posted it"
        if post.deleted_at and post.deleted_at < began:
            return "deleted before"
        if author == viewer:
            return ""
        if not post.is_for_friends:
            return f"it is {post.visibility}"
        pair = self._world.pair(viewer, author)
        if pair.is_settled(began) and not self._world.stands_on_home(post, viewer):
            return f"friends {pair.is_friends}, blocked by {pair.blocked_by}, muted by {pair.muted_by}"
        return ""

    def _must_show(self, viewer: int, lowest: int, began: float) -> list[Post]:
        """Return what has to be on a page that ends at `lowest`."""
        authors = [viewer] + [
            friend for friend in self._world.friends[viewer] if self._world.pair(viewer, friend).is_settled(began)
        ]
        found: list[Post] = []
        for author in authors:
            margin = 0.0 if author == viewer else STALE_SECONDS
            for post in self._world.above(author, lowest):
                is_known = post.is_there and post.acknowledged_at < began - margin
                if is_known and self._world.stands_on_home(post, viewer):
                    found.append(post)
        return found
