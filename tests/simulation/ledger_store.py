"""What chassis/relay_store.py does, and what services do with ledgers, on tables in memory: the same functions with the same arguments."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from chassis import topology
from chassis.ledger import IDLE_SECONDS, MAX_PAUSE_SECONDS, TRANSIENT_PAUSE_SECONDS, payloads_of
from chassis.relay_plan import Batch, ClaimedRow, lease_of
from tests.simulation.tables import Row, Tables, Transaction

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_LOCKED: dict[int, set[int]] = {}
"""Rows that relays have claimed, by their ledger."""


class RelayConnection:
    """A relay's connection to one ledger: what it has claimed is locked until its transaction ends, and seen by nobody else."""

    def __init__(self, tables: Tables, producer: str) -> None:
        self.tables = tables
        self.rows = tables.ledgers[producer]
        self.claimed: set[int] = set()
        self._writes: list[Any] = []
        self.dies_before_commit = False

    @contextmanager
    def transaction(self) -> Iterator[None]:
        try:
            yield
            if not self.dies_before_commit:
                for write in self._writes:
                    write()
                self.tables.on_commit()
        finally:
            self._writes.clear()
            _locked(self.rows).difference_update(self.claimed)
            self.claimed.clear()

    def write(self, change: Any) -> None:
        self._writes.append(change)

    def change(self, row_ids: Sequence[int], **values: Any) -> None:
        """Set what is stored in rows, those that are still there, at the commit."""

        def change() -> None:
            for row_id in row_ids:
                if row_id in self.rows:
                    _set(self.rows[row_id], values)

        self.write(change)


def _locked(rows: dict[int, Row]) -> set[int]:
    return _LOCKED.setdefault(id(rows), set())


def forget_locks() -> None:
    """Begin with no relay holding anything."""
    _LOCKED.clear()


def _set(row: Row, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if hasattr(row, name):
            setattr(row, name, value)
        else:
            row.state[name] = value


def _time(ms: float | None) -> datetime | None:
    return None if ms is None else EPOCH + timedelta(milliseconds=ms)


def _now(tables: Tables) -> datetime:
    return EPOCH + timedelta(milliseconds=tables.clock.ms)


def _claimed(conn: RelayConnection, row: Row) -> ClaimedRow:
    return ClaimedRow(
        row.id,
        row.task,
        row.payload,
        _now(conn.tables),
        row.state.get("publications", 0),
        row.failures,
        row.state.get("message_id"),
        row.state.get("cut_from"),
        _time(row.published_ms),
        _time(row.failing_since_ms),
        _time(row.failed_ms),
    )


def claim_due(conn: RelayConnection, limit: int) -> list[ClaimedRow]:
    now, locked = conn.tables.clock.ms, _locked(conn.rows)
    due = [row for row in conn.rows.values() if not row.is_dead and row.due_ms <= now and row.id not in locked]
    due.sort(
        key=lambda row: (
            row.due_ms,
            row.published_ms is None,
            row.published_ms,
            str(row.state.get("message_id")),
            row.id,
        )
    )
    conn.claimed.update(row.id for row in due[:limit])
    locked.update(conn.claimed)
    return [_claimed(conn, row) for row in due[:limit]]


def split(conn: RelayConnection, rows: Sequence[ClaimedRow]) -> list[ClaimedRow]:
    parts: list[ClaimedRow] = [row for row in rows if row.changes == 1]
    for row in rows:
        if row.changes == 1:
            continue
        whole = conn.rows[row.id]
        for payload in payloads_of(row.payload):
            part = Row(
                **{**vars(whole), "id": conn.tables.take_row_id(), "payload": payload, "state": dict(whole.state)}
            )
            conn.write(lambda part=part: conn.rows.__setitem__(part.id, part))
            parts.append(_claimed(conn, part))
        conn.write(lambda row_id=row.id: conn.rows.pop(row_id, None))
    return parts


def parts_taken(conn: RelayConnection, tasks: Collection[str]) -> Mapping[str, int]:
    taken = {}
    for task in tasks:
        cut = [
            row.state
            for row in conn.rows.values()
            if row.task == task and row.state.get("cut_from") and not row.is_dead
        ]
        if cut:
            taken[task] = len({one.get("message_id") for one in cut}) - len({one["cut_from"] for one in cut})
    return taken


def horizon(conn: RelayConnection, queue: str, messages: int) -> datetime | None:
    published: dict[Any, float] = {}
    for row in conn.rows.values():
        if topology.TASKS[row.task].queue == queue and row.published_ms is not None and not row.is_dead:
            message_id = row.state["message_id"]
            published[message_id] = max(row.published_ms, published.get(message_id, 0))
    return _time(min(sorted(published.values(), reverse=True)[:messages], default=None))


def mark_published(conn: RelayConnection, batches: Sequence[Batch], lease_seconds: int) -> None:
    now = conn.tables.clock.ms
    for place, batch in enumerate(batches):
        due_ms = now + 1000 * lease_of(batch.task, lease_seconds)
        for row in batch.rows:
            values: dict[str, Any] = {
                "published_ms": now + place / 1000,
                "due_ms": due_ms,
                "message_id": batch.message_id,
            }
            values["publications"] = row.publications + 1
            if batch.cut_from is not None:
                values |= {"cut_from": batch.cut_from, "failing_since_ms": None}
            conn.change([row.id], **values)


def renew(conn: RelayConnection, row_ids: Sequence[int], lease_seconds: int) -> None:
    conn.change(row_ids, due_ms=conn.tables.clock.ms + 1000 * lease_seconds)


def postpone(conn: RelayConnection, row_ids: Sequence[int], seconds: float, reason: str) -> None:
    conn.change(row_ids, due_ms=conn.tables.clock.ms + 1000 * seconds)


def give_up(conn: RelayConnection, row_ids: Sequence[int]) -> None:
    conn.change(row_ids, is_dead=True)


async def append(conn: Transaction, event: str, payloads: Sequence[Mapping[str, int]], **_: Any) -> None:
    """Insert an event's rows in the ledger of the timelines' own service."""
    for payload in payloads:
        for task in topology.EVENTS[event]:
            conn.append("timeline", task, dict(payload))


def record_failure(rows: dict[int, Row], row_ids: Sequence[int], now: int, *, is_transient: bool) -> None:
    """Note that rows have failed, as the statement in chassis/ledger.py does."""
    for row in (rows[row_id] for row_id in row_ids if row_id in rows and not rows[row_id].is_dead):
        began = row.failing_since_ms
        failed = began if row.failed_ms is None else row.failed_ms
        idle = 0 if failed is None else max(0, now - failed - 1000 * IDLE_SECONDS)
        pause_since = now if began is None else began
        row.failing_since_ms, row.failed_ms = pause_since + idle, now
        row.failures += not is_transient
        row.published_ms = None
        failing = (now - pause_since) / 1000
        pause = max(TRANSIENT_PAUSE_SECONDS, failing / 4) if is_transient else 2 ** min(row.failures, 10) / 2
        row.due_ms = now + int(1000 * min(MAX_PAUSE_SECONDS, pause))
