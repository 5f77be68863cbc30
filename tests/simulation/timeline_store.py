"""What services/timeline/store.py does, on tables in memory: the same functions with the same arguments."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from psycopg.errors import UniqueViolation

from chassis.ids import TIME_SHIFT
from chassis.paging import Page
from services.timeline.domain import Entry
from services.timeline.domain import Home as ReadHome
from services.timeline.rows import Ids
from tests.simulation.tables import NEVER, Home, Transaction

DAY_MS = 86_400_000


async def read_homes(
    conn: Transaction, questions: Sequence[tuple[int, Page]], dormant_days: int
) -> list[tuple[ReadHome | None, list[Entry]]]:
    answers: list[tuple[ReadHome | None, list[Entry]]] = []
    for account_id, page in questions:
        home = conn.tables.homes.get(account_id)
        if home is None:
            answers.append((None, []))
            continue
        entries = conn.tables.entries.get(account_id, {})
        ids = sorted(
            (e for e in entries if e >= home.pushed_from and page.above < e < page.below), reverse=not page.upwards
        )
        age = conn.tables.clock.ms - home.active_ms
        read = ReadHome(
            home.pushed_from, age > 3_600_000, age > (dormant_days - 1) * DAY_MS, tuple(conn.tables.pulled_authors)
        )
        answers.append((read, [Entry(entry_id, entries[entry_id]) for entry_id in ids[: page.limit]]))
    return answers


async def note_read(conn: Transaction, account_id: int) -> None:
    await conn.lock(("home", account_id))
    conn.write(lambda: setattr(conn.tables.homes[account_id], "active_ms", conn.tables.clock.ms))


async def show_to_fan_outs(conn: Transaction, account_ids: Sequence[int]) -> None:
    for account_id in sorted(account_ids):
        await conn.lock(("home", account_id))
        conn.write(partial(conn.tables.homes.__setitem__, account_id, Home(NEVER, conn.tables.clock.ms)))


async def distrust_pushed(conn: Transaction, account_ids: Sequence[int]) -> list[int]:
    found = []
    for account_id in account_ids:
        await conn.lock(("home", account_id))
        if account_id in conn.tables.homes:
            found.append(account_id)
            conn.write(partial(setattr, conn.tables.homes[account_id], "pushed_from", NEVER))
    return found


async def is_active(conn: Transaction, account_id: int, dormant_days: int) -> bool:
    home = conn.tables.homes.get(account_id)
    return home is not None and conn.tables.clock.ms - home.active_ms < (dormant_days - 1) * DAY_MS


async def lower_pushed_from(conn: Transaction, account_id: int, reached: int) -> None:
    await conn.lock(("home", account_id))
    home = conn.tables.homes[account_id]
    conn.write(lambda: setattr(home, "pushed_from", min(home.pushed_from, reached)))


def _open_fills(conn: Transaction) -> set[int]:
    return {
        row.payload["account_id"] for row in conn.tables.ledgers["timeline"].values() if row.task == "timeline.fill"
    }


async def list_unfilled(conn: Transaction, dormant_days: int, limit: int) -> list[int]:
    open_fills, now = _open_fills(conn), conn.tables.clock.ms
    return [
        account_id
        for account_id, home in sorted(conn.tables.homes.items())
        if home.pushed_from == NEVER
        and 60_000 < now - home.active_ms < (dormant_days - 1) * DAY_MS
        and account_id not in open_fills
    ][:limit]


async def has_open_fill(conn: Transaction, account_id: int) -> bool:
    return account_id in _open_fills(conn)


async def list_active(conn: Transaction, account_ids: Ids, dormant_days: int) -> Ids:
    homes, now = conn.tables.homes, conn.tables.clock.ms
    active = [a for a in account_ids.tolist() if a in homes and now - homes[a].active_ms < dormant_days * DAY_MS]
    return np.array(active, dtype=np.int64)


async def claim_deliveries(conn: Transaction, entry_ids: Sequence[int]) -> set[int]:
    claimed = set()
    for entry_id in sorted(entry_ids):
        await conn.lock(("delivery", entry_id))
        if entry_id not in conn.tables.delivered:
            claimed.add(entry_id)
            conn.write(partial(conn.tables.delivered.add, entry_id))
    return claimed


async def copy_entries(conn: Transaction, rows: Ids) -> None:
    for account_id, entry_id, author_id in rows.tolist():
        await conn.lock(("entry", account_id, entry_id))
        if entry_id in conn.tables.entries.get(account_id, ()):
            raise UniqueViolation
        _add(conn, account_id, entry_id, author_id)


async def insert_entries(conn: Transaction, rows: Ids) -> int:
    written = 0
    for account_id, entry_id, author_id in sorted(rows.tolist()):
        await conn.lock(("entry", account_id, entry_id))
        if entry_id not in conn.tables.entries.get(account_id, ()):
            _add(conn, account_id, entry_id, author_id)
            written += 1
    return written


def _add(conn: Transaction, account_id: int, entry_id: int, author_id: int) -> None:
    conn.write(lambda: conn.tables.entries.setdefault(account_id, {}).__setitem__(entry_id, author_id))


def _drop(conn: Transaction, account_id: int, entry_ids: Sequence[int]) -> None:
    for entry_id in entry_ids:
        conn.tables.entries.get(account_id, {}).pop(entry_id, None)


async def mark_pulled(conn: Transaction, author_ids: Sequence[int]) -> None:
    conn.write(lambda: conn.tables.pulled_authors.update(author_ids))


async def list_pushed_from(conn: Transaction, account_ids: Sequence[int], dormant_days: int) -> dict[int, int]:
    homes, now = conn.tables.homes, conn.tables.clock.ms
    return {
        a: homes[a].pushed_from
        for a in account_ids
        if a in homes and homes[a].pushed_from < NEVER and now - homes[a].active_ms < dormant_days * DAY_MS
    }


async def delete_entries(conn: Transaction, entry_id: int, account_ids: Sequence[int]) -> int:
    for account_id in account_ids:
        conn.write(partial(_drop, conn, account_id, [entry_id]))
    return len(account_ids)


async def lock_homes(conn: Transaction, account_ids: Sequence[int]) -> None:
    for account_id in sorted(set(account_ids)):
        await conn.lock(("upkeep", account_id))


async def now_id(conn: Transaction) -> int:
    return conn.tables.clock.ms << TIME_SHIFT


async def delete_author(conn: Transaction, account_id: int, author_id: int, below_id: int) -> int:
    entries = conn.tables.entries.get(account_id, {})
    gone = [entry_id for entry_id, author in entries.items() if author == author_id and entry_id < below_id]
    for entry_id in gone:
        conn.write(partial(_drop, conn, account_id, [entry_id]))
    return len(gone)


async def delete_all(conn: Transaction, account_ids: Sequence[int]) -> None:
    for account_id in account_ids:
        gone = list(conn.tables.entries.get(account_id, {}))
        conn.write(partial(_drop, conn, account_id, gone))
