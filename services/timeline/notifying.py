"""Use case: tell members what others have done that concerns them."""

import asyncio
from collections.abc import Sequence
from dataclasses import astuple

from chassis.database import Pool, transaction
from services.timeline import notification_store as store
from services.timeline.announcing import SILENT, Announcer
from services.timeline.clients import Readers
from services.timeline.domain import Cause, NewNotification, to_notification

MAX_CONCURRENT_READERS = 8


class Notifying:
    """Makes notifications out of what events say, as far as committed state bears it out."""

    def __init__(self, pool: Pool, readers: Readers, announcer: Announcer = SILENT) -> None:
        self._announcer = announcer
        self._pool = pool
        self._readers = readers
        self._turns = asyncio.Semaphore(MAX_CONCURRENT_READERS)

    async def notify(self, causes: Sequence[Cause]) -> dict[int, list[int]]:
        """Tell whom it concerns, each thing once, and return the ids of what is new by account.

        Whatever has been undone meanwhile (a request withdrawn, a status deleted, its author blocked) is not told.
        """
        by_account: dict[int, list[Cause]] = {}
        for cause in causes:
            by_account.setdefault(cause.account_id, []).append(cause)
        found = await asyncio.gather(*(self._confirm(account_id, some) for account_id, some in by_account.items()))
        distinct: dict[tuple[int, ...], NewNotification] = {}
        for new in sorted((one for some in found for one in some), key=astuple):
            distinct[new.account_id, new.type, new.from_id, new.subject_id] = new  # the latest of each
        if not distinct:
            return {}
        async with transaction(self._pool) as conn:
            told = await store.insert_notifications(conn, list(distinct.values()))
            if told:
                await store.trim_notifications(conn, list(told))
        self._announcer.announce_notifications(told)
        return told

    async def _confirm(self, account_id: int, causes: Sequence[Cause]) -> list[NewNotification]:
        """Return what has really happened, one question per owner."""
        async with self._turns:
            relations, authors, comments = await asyncio.gather(
                self._readers.relations(account_id, {cause.from_id for cause in causes}),
                self._readers.status_authors(account_id, {cause.status_id for cause in causes if cause.status_id}),
                self._readers.comments(account_id, {cause.comment_id for cause in causes if cause.comment_id}),
            )
            favoured = await self._favoured(
                [cause for cause in causes if authors.get(cause.status_id) == cause.account_id]
            )
        news = (
            to_notification(
                cause,
                relations.get(cause.from_id),
                authors.get(cause.status_id),
                comments.get(cause.comment_id),
                is_favoured=(cause.from_id, cause.status_id) in favoured,
            )
            for cause in causes
        )
        return [new for new in news if new is not None]

    async def _favoured(self, causes: Sequence[Cause]) -> set[tuple[int, int]]:
        """Return (who, which status) of those that are favoured now."""
        by_account: dict[int, set[int]] = {}
        for cause in causes:
            by_account.setdefault(cause.from_id, set()).add(cause.status_id)
        answers = await asyncio.gather(*(self._readers.favoured(who, some) for who, some in by_account.items()))
        return {(who, an_id) for who, some in zip(by_account, answers, strict=True) for an_id in some}
