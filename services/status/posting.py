"""Use case: post and delete statuses."""

import asyncio
from collections.abc import Collection, Sequence

from msgspec.structs import replace
from psycopg.errors import UniqueViolation

from chassis.coalescing import Coalescer
from chassis.database import Pool, connection
from chassis.errors import Conflict, FailedPrecondition, IdempotencyKeyReused, InvalidField, NotFound
from chassis.idempotency import Write
from chassis.ledger import Bell
from services.status import posting_store, store
from services.status.clients import Accounts, Media
from services.status.domain import NewStatus, Posted, Status, StatusCount, check_mentions
from services.status.reading import Reading


class Posting:
    """Changes statuses; a change and the work that it causes commit together.

    `domain` is this network's, as it stands behind a second @ in a mention.
    """

    def __init__(
        self, pool: Pool, bell: Bell, accounts: Accounts, media: Media, reading: Reading, *, domain: str
    ) -> None:
        self._pool = pool
        self._bell = bell
        self._accounts = accounts
        self._media = media
        self._reading = reading
        self._domain = domain
        self._posts = Coalescer(self._insert_all)

    async def default_visibilities(self, author_ids: Collection[int]) -> dict[int, int]:
        """Return what statuses of those who exist are where they say nothing else, by author. Raises Unavailable."""
        return await self._accounts.default_visibilities(author_ids)

    async def post(self, new: NewStatus) -> Posted:
        """Post a status, or return what the same idempotency key has posted, with how many its author has now.

        Raises IdempotencyKeyReused where it came with another body, FailedPrecondition where what it posted is deleted, NotFound where
        the author may not see what they reply to, InvalidField where it mentions too many or shows pictures that it cannot, Conflict
        while another call under the same key is posting.
        """
        addressed, missing = await self._prepare(new)
        posted = await self._insert(addressed) if addressed is not None and not missing else None
        if posted is not None:
            self._bell.ring()
            return posted
        async with connection(self._pool) as conn:
            claim = await store.find_claim(conn, new.account_id, new.request_id) if new.request_id else None
            if claim is None and missing:
                raise InvalidField(
                    "media_ids", f"There is no picture {missing[0]} of yours; it may be older than a day."
                )
            if claim is None and (addressed is None or not new.request_id):
                raise NotFound("There is no such status to reply to.", resource="status", field="in_reply_to_id")
            if claim is None:
                raise Conflict("The same request is still running; please ask again in a moment.")
            if claim.made_id is None or claim.fingerprint != new.fingerprint:
                raise IdempotencyKeyReused("This idempotency key has been used for another request.")
            found = await store.list_statuses(conn, new.account_id, [claim.made_id])
            counts = await store.count_statuses(conn, [new.account_id])
        if not found:
            raise FailedPrecondition("The status that this idempotency key posted has been deleted.")
        return Posted(found[0], counts[0] if counts else StatusCount(new.account_id, 0, 0))

    async def post_all(self, posts: Sequence[NewStatus]) -> list[Posted | Exception]:
        """Post what is made at the same moment; in the place of one that fails is what `post` raises for it."""
        # Most posts concern nobody but friends: those need no task of their own.
        plain, others = _partition(posts)
        together, alone = await asyncio.gather(self._posts.get_all([new for _, new in plain]), self._post_each(others))
        self._bell.ring()
        found = zip(plain, together, strict=True)
        outcomes = alone | {number: outcome for (number, _), outcome in found if outcome is not None}
        # Those whose keys are taken: `post` says by what.
        outcomes |= await self._post_each([one for one in plain if one[0] not in outcomes])
        return [outcomes[number] for number in range(len(posts))]

    async def _post_each(self, posts: Sequence[tuple[int, NewStatus]]) -> dict[int, Posted | Exception]:
        """Post numbered statuses side by side; return by their numbers what has become of them."""
        found = await asyncio.gather(*(self.post(new) for _, new in posts), return_exceptions=True)
        return {number: _settled(outcome) for (number, _), outcome in zip(posts, found, strict=True)}

    async def _prepare(self, new: NewStatus) -> tuple[NewStatus | None, list[int]]:
        """Return a status with whom it concerns, None where what it replies to is not there, and the pictures that are not there."""
        if not new.media_ids:
            return await self._address(new), []
        return await asyncio.gather(self._address(new), self._media.find_missing(new.account_id, new.media_ids))

    async def _insert(self, new: NewStatus) -> Posted | None:
        """Insert a status; those that are posted at the same time are one statement and one flush of the log.

        Replies and what shows pictures excepted: they can fail for reasons that are not the others'.
        """
        if not new.in_reply_to_id and not new.media_ids:
            return await self._posts.get(new)
        try:
            async with connection(self._pool) as conn:
                return await store.insert_status(conn, new)
        except UniqueViolation as error:
            if error.diag.constraint_name != "attachments_pkey":
                raise
            raise InvalidField("media_ids", "Another status shows one of these pictures already.") from error

    async def _insert_all(self, posts: Sequence[NewStatus]) -> list[Posted | None]:
        async with connection(self._pool) as conn:
            return await posting_store.insert_statuses(conn, posts)

    async def _address(self, new: NewStatus) -> NewStatus | None:
        """Return a status with whom it mentions and replies to; None where there is nothing that its author could reply to."""
        handles = check_mentions(new.text, self._domain)
        mentioned = await self._accounts.find(handles) if handles else {}
        if not new.in_reply_to_id:
            return replace(new, mentioned=mentioned) if mentioned else new
        for parent in await self._reading.visible(new.account_id, [new.in_reply_to_id]):
            return replace(new, mentioned=mentioned, in_reply_to_account_id=parent.account_id)
        return None

    async def delete(self, write: Write, account_id: int, status_id: int) -> Status:
        """Delete an own status and return what it was. Raises NotFound for others' and unknown ones."""
        conn = await write.begin()
        status = await store.lock_status(conn, account_id, status_id)
        if status is None:
            raise NotFound("There is no such status of yours.", resource="status")
        await store.delete_status(conn, status)
        write.ring(self._bell)
        return status


def _partition(posts: Sequence[NewStatus]) -> tuple[list[tuple[int, NewStatus]], list[tuple[int, NewStatus]]]:
    """Return those statuses that concern nobody but friends, and the others, each with its number."""
    plain: list[tuple[int, NewStatus]] = []
    others: list[tuple[int, NewStatus]] = []
    for numbered in enumerate(posts):
        new = numbered[1]
        concerns_others = new.in_reply_to_id or new.media_ids or "@" in new.text
        (others if concerns_others else plain).append(numbered)
    return plain, others


def _settled(outcome: Posted | BaseException) -> Posted | Exception:
    if not isinstance(outcome, Posted | Exception):
        raise outcome  # was cancelled
    return outcome
