"""Faults of a line or two, each put into one of the parts: the simulation has to find every one of them."""

import asyncio
import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from chassis import relay_plan, task_app
from services.timeline.domain import OpenWork
from services.timeline.home import HomeReading
from services.timeline.open_work import OpenWorkList
from services.timeline.upkeep import Upkeep
from tests.simulation import ledger_store, network, timeline_store
from tests.simulation.broker import Broker
from tests.simulation.owners import OwnedFriends, OwnedPublications
from tests.simulation.tables import Home, Transaction

Mutant = Callable[[], list[tuple[Any, str, Any]]]
"""Returns what is replaced: (where, name, by what)."""


def marker_before_entries() -> list[tuple[Any, str, Any]]:
    """A post counts as fanned out before its entries are committed."""

    async def claim(conn: Transaction, entry_ids: Sequence[int]) -> set[int]:
        claimed = set(entry_ids) - conn.tables.delivered
        conn.tables.delivered |= claimed
        return claimed

    return [(timeline_store, "claim_deliveries", claim)]


def id_cursor() -> list[tuple[Any, str, Any]]:
    """The relay takes what is new by `id > last`, though ids commit out of order."""
    sound = ledger_store.claim_due

    def claim(conn: Any, limit: int) -> Any:
        found = sound(conn, limit)
        last = conn.tables.__dict__.setdefault("last_ids", {})
        kept = [row for row in found if row.id > last.get(id(conn.rows), 0) or row.message_id or row.failing_since]
        last[id(conn.rows)] = max([last.get(id(conn.rows), 0), *(row.id for row in found)])
        return kept

    return [(ledger_store, "claim_due", claim)]


def struck_before_the_effect() -> list[tuple[Any, str, Any]]:
    """Rows go when a worker begins."""
    sound = task_app.do_work

    async def do(context: Any, receipts: Any, handler: Any, source: str, row_ids: Any, payloads: Any) -> None:
        await receipts.complete(source, row_ids)
        await sound(context, receipts, handler, source, row_ids, payloads)

    return [(network, "do_work", do)]


def counted_twice() -> list[tuple[Any, str, Any]]:
    """What is both pushed and pulled fills two places of a page."""

    def is_full(page: Any, found: Any, pushed_from: int) -> bool:
        return bool(len([entry for entry in found if entry.entry_id >= pushed_from]) >= page.limit)

    return [(HomeReading, "_is_full", staticmethod(is_full))]


def endless_lease() -> list[tuple[Any, str, Any]]:
    """What was published once is never published again."""
    return [(ledger_store, "lease_of", lambda *_: 10**12)]


def publication_is_a_failure() -> list[tuple[Any, str, Any]]:
    """Every publication counts as an attempt."""
    sound = ledger_store.mark_published

    def mark(conn: Any, batches: Any, lease_seconds: int) -> None:
        sound(conn, batches, lease_seconds)
        for row in (row for batch in batches for row in batch.rows):
            conn.change([row.id], failures=row.failures + 1)

    return [(ledger_store, "mark_published", mark)]


def believed_lost() -> list[tuple[Any, str, Any]]:
    """A lease that ends is not renewed though the broker holds the message."""
    return [(relay_plan, "is_held", lambda *_: False)]


def no_confirms() -> list[tuple[Any, str, Any]]:
    """What was sent counts as published, and for ever."""
    sound = Broker.publish

    def publish(self: Any, messages: Any) -> Any:
        try:
            return sound(self, messages)
        except Exception:
            return {}

    return [(Broker, "publish", publish), *endless_lease()]


def cached_friends() -> list[tuple[Any, str, Any]]:
    """Fan-outs know who was friends when the network began."""

    async def arrays_of(self: Any, account_ids: Any) -> Any:
        known = self._tables.__dict__.setdefault(
            "first_friends", {a: set(ids) for a, ids in self._tables.friends.items()}
        )
        current, self._tables.friends = self._tables.friends, known
        try:
            return await sound(self, account_ids)
        finally:
            self._tables.friends = current

    sound = OwnedFriends.arrays_of
    return [(OwnedFriends, "arrays_of", arrays_of)]


def purge_without_a_look() -> list[tuple[Any, str, Any]]:
    """A purge does not look whether the two are friends again."""
    sound = Upkeep.purge

    class Strangers:
        async def are_friends(self, *_: object) -> bool:
            await asyncio.sleep(0)
            return False

    async def purge(self: Any, account_id: int, friend_id: int) -> None:
        blind = copy.copy(self)
        blind._friends = Strangers()
        await sound(blind, account_id, friend_id)

    return [(Upkeep, "purge", purge)]


def no_backfill() -> list[tuple[Any, str, Any]]:
    """New friends are not given each other's older posts."""

    async def backfill(*_: object) -> None: ...

    return [(Upkeep, "backfill", backfill)]


def no_open_work() -> list[tuple[Any, str, Any]]:
    """Readers do not look at what is not delivered yet."""

    async def current(self: Any, **_: object) -> OpenWork:
        return OpenWork()

    return [(OpenWorkList, "current", current)]


def late_look() -> list[tuple[Any, str, Any]]:
    """Readers look at what is not delivered after they have read what is."""
    sound = HomeReading._read_pushed

    early: dict[Any, Any] = {}

    async def read_pushed(self: Any, account_id: int, page: Any) -> Any:
        return early.pop((account_id, page), None) or await sound(self, account_id, page)

    async def read_page(self: Any, account_id: int, page: Any) -> Any:
        early.clear()
        early[account_id, page] = await sound(self, account_id, page)
        return await whole(self, account_id, page)

    whole = HomeReading.page
    return [(HomeReading, "_read_pushed", read_pushed), (HomeReading, "page", read_page)]


def no_filter() -> list[tuple[Any, str, Any]]:
    """What was pushed is shown, whoever is friends with whom now."""

    async def on_home(self: Any, viewer_id: int, entry_ids: Any) -> Any:
        return dict.fromkeys(set(entry_ids) & self._tables.statuses.keys())

    return [(OwnedPublications, "on_home", on_home)]


def trusted_at_once() -> list[tuple[Any, str, Any]]:
    """A home is relied on as soon as fan-outs see it."""

    async def show(conn: Transaction, account_ids: Any) -> None:
        for account_id in account_ids:
            conn.write(partial(conn.tables.homes.__setitem__, account_id, Home(0, conn.tables.clock.ms)))

    return [(timeline_store, "show_to_fan_outs", show)]


MUTANTS: tuple[Mutant, ...] = (
    marker_before_entries, id_cursor, struck_before_the_effect, counted_twice, endless_lease, publication_is_a_failure,
    believed_lost, no_confirms, cached_friends, purge_without_a_look, no_backfill, no_open_work, late_look, no_filter, trusted_at_once,
)  # fmt: skip


@contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """Put a fault in until the block ends."""
    with network.in_memory(), network.replacing(mutant()):
        yield
