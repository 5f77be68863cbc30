"""Use case: show members whom they might know, and through whom, as of the moment of the read.

What is stored is a list of candidates. Who may not be shown now is left out by one anti-join on this service's own state and one
question to account, and whom both know is looked up; without account's answer nothing is shown.
"""

from collections.abc import Sequence

from chassis import ledger
from chassis.database import Pool, connection
from chassis.idempotency import Write
from chassis.ledger import Bell
from services.social_graph import generation_store, suggestion_store
from services.social_graph.clients import Accounts, Standing
from services.social_graph.domain import (
    MAX_SAMPLES,
    MAX_WEDGES,
    DismissedSuggestion,
    Source,
    Suggestion,
    check_id,
    check_pair,
    limit_of,
    page_size_of,
    read_latest_token,
    write_latest_token,
)
from services.social_graph.suggestion_store import Candidate, MutualFriends

MAX_FILLED = 150
"""So many friends of friends, and as many popular members, are looked at where what is stored does not fill a page."""


class Suggesting:
    """Reads suggestions through what may be shown now."""

    def __init__(self, pool: Pool, bell: Bell, accounts: Accounts, *, dismissal_days: int) -> None:
        self._pool = pool
        self._bell = bell
        self._accounts = accounts
        self._dismissal_days = dismissal_days

    async def best(self, viewer_id: int, limit: int) -> list[Suggestion]:
        """Return the best suggestions that may be shown to a member now. Raises InvalidField for a negative limit, Unavailable."""
        check_id(viewer_id, "account_id")
        wanted = limit_of(limit)
        async with connection(self._pool) as conn:
            candidates = await suggestion_store.list_candidates(conn, viewer_id)
        chosen = await self._keep_open(candidates)
        if len(chosen) < wanted:
            chosen += await self._fill(viewer_id, {one.account_id for one in candidates})
            chosen.sort(
                key=lambda one: one[0].source
            )  # the numbers of the sources are in the order of what they are worth
        return await self.with_reasons(viewer_id, chosen[:wanted])

    async def with_reasons(self, viewer_id: int, chosen: Sequence[tuple[Candidate, Standing]]) -> list[Suggestion]:
        """Return candidates, who have been asked for, with the mutual friends that the viewer may know of, in the same order."""
        telling = [one.account_id for one, standing in chosen if not standing.hides_friends]
        async with connection(self._pool) as conn:
            mutual_friends = await suggestion_store.list_mutual_friends(conn, viewer_id, telling)
        everybody = {friend_id for mutual in mutual_friends.values() for friend_id in mutual.friend_ids}
        shown = {
            an_id for an_id, standing in (await self._accounts.stand(everybody)).items() if not standing.hides_friends
        }
        return [_suggestion(one, standing, mutual_friends.get(one.account_id), shown) for one, standing in chosen]

    async def _keep_open(self, candidates: Sequence[Candidate]) -> list[tuple[Candidate, Standing]]:
        """Return those who are there and want to be suggested, in the same order."""
        standings = await self._accounts.stand([one.account_id for one in candidates])
        return [
            (one, standings[one.account_id])
            for one in candidates
            if one.account_id in standings and standings[one.account_id].is_discoverable
        ]

    async def _fill(self, viewer_id: int, left_out: set[int]) -> list[tuple[Candidate, Standing]]:
        """Return others who may be shown: friends of friends, then those with the most friends."""
        async with connection(self._pool) as conn:
            near = await suggestion_store.list_friends_of_friends(
                conn, viewer_id, sorted(left_out), MAX_WEDGES, MAX_FILLED
            )
            others = [an_id for an_id in await generation_store.list_popular(conn) if an_id not in left_out.union(near)]
            popular = await suggestion_store.keep_suggestable(conn, viewer_id, others[:MAX_FILLED])
        return await self._keep_open(
            [Candidate(an_id, Source.FRIENDS_OF_FRIENDS) for an_id in near]
            + [Candidate(an_id, Source.POPULAR) for an_id in popular]
        )

    async def dismiss(self, write: Write, account_id: int, target_id: int) -> None:
        """Do not suggest the target to the account again, until that is undone or has expired."""
        check_pair(account_id, target_id, "target_id")
        conn = await write.begin()
        await suggestion_store.upsert_dismissal(conn, account_id, target_id, self._dismissal_days)
        await ledger.append(conn, "suggestions.outdated", [{"account_id": account_id}])
        write.ring(self._bell)

    async def restore(self, write: Write, account_id: int, target_id: int) -> None:
        """Undo a dismissal, if there is one."""
        check_pair(account_id, target_id, "target_id")
        conn = await write.begin()
        await suggestion_store.delete_dismissal(conn, account_id, target_id)
        await ledger.append(conn, "suggestions.outdated", [{"account_id": account_id}])
        write.ring(self._bell)

    async def dismissed(
        self, account_id: int, page_size: int, page_token: str
    ) -> tuple[list[DismissedSuggestion], str]:
        """Return a page of whom an account has dismissed, the latest first, and the next page's token, empty at the end.

        Raises InvalidField for bad page sizes and tokens.
        """
        check_id(account_id, "account_id")
        size = page_size_of(page_size)
        before = read_latest_token(page_token)
        async with connection(self._pool) as conn:
            rows = await suggestion_store.list_dismissals(conn, account_id, before, size + 1)
        page = rows[:size]
        if len(rows) <= size:
            return page, ""
        return page, write_latest_token(page[-1].created_at, page[-1].account_id)


def _suggestion(candidate: Candidate, standing: Standing, mutual: MutualFriends | None, shown: set[int]) -> Suggestion:
    visible = (
        [
            (friend_id, weight)
            for friend_id, weight in zip(mutual.friend_ids, mutual.weights, strict=True)
            if friend_id in shown
        ]
        if mutual
        else []
    )
    return Suggestion(
        candidate.account_id,
        candidate.source,
        score=sum(weight for _, weight in visible),
        mutual_friends_count=len(visible),
        mutual_friend_ids=tuple(friend_id for friend_id, _ in visible[:MAX_SAMPLES]),
        hides_mutual_friends=standing.hides_friends,
    )
