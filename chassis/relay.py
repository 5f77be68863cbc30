"""The relay: takes due rows of a ledger, publishes them in micro-batches, and starts their leases.

Rows stay locked from the claim to the broker's confirmation, so that several relays share the work (SKIP LOCKED) and one that
dies leaves its rows due. A row may be published twice; it is never lost. What becomes of a row is decided in relay_plan.py.
"""

import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import celery
import psycopg
import structlog
from psycopg import sql

from chassis import failpoints, ledger, marks, relay_plan, relay_store
from chassis.broker import LEDGER_HEADER
from chassis.database import KEEPALIVES
from chassis.failpoints import Failpoint
from chassis.ledger import payloads_of
from chassis.memory import settle
from chassis.publisher import BrokerConnection, Message, Publisher, PublishError, open_publisher
from chassis.relay_plan import Batch, ClaimedRow, Company, Limits, Look
from chassis.returned import take_back
from chassis.settings import Settings
from chassis.task_app import make_task_app

log = structlog.get_logger(__name__)

CLAIM_LIMIT = 500
"""Rows in one pass, each of which may stand for up to a hundred changes."""
POLL_SECONDS = 0.5
MIN_PAUSE_SECONDS = 0.1
MAX_PAUSE_SECONDS = 5.0
LOOK_SECONDS = 1.0
"""So long a look at a queue serves all rows whose leases end."""
MAX_REFUSED_SECONDS = 10.0
GATHER_SECONDS = 0.1
GATHER_SECONDS_PER_CHANGE = 0.001
"""How long the relay waits for each change that it has just published: next to nothing on a quiet network, and where more than a
thousand come in a second, each wait gathers more than the last, up to GATHER_SECONDS of them."""
GATHER_STEP_SECONDS = 0.01


@dataclass(frozen=True)
class Passed:
    """What one pass has done."""

    rows: int
    """How many rows were due; with none there is time to wait."""
    changes: int
    """How many changes the rows stand for that were published."""


@dataclass(frozen=True)
class Refusal:
    """A queue that took nothing: until when it is left alone (monotonic), how long the pause is, and why."""

    until: float
    pause_seconds: float
    reason: str


@dataclass
class Memory:
    """What a relay remembers of the broker's queues from one pass to the next; it may forget it at any time."""

    looks: dict[str, tuple[float, Look]] = field(default_factory=dict)
    """Queue → until when the look may be relied on (monotonic), and what it showed."""
    refused: dict[str, Refusal] = field(default_factory=dict)

    def note_refused(self, queue: str, reason: str) -> None:
        """Leave a queue alone for a pause that doubles as long as it takes nothing."""
        last = self.refused[queue].pause_seconds if queue in self.refused else MIN_PAUSE_SECONDS
        pause = min(2 * last, MAX_REFUSED_SECONDS)
        until = time.monotonic() + pause * (0.5 + random.random() / 2)  # noqa: S311 - spreads load, keeps no secret
        self.refused[queue] = Refusal(until, pause, reason)

    def note_taken(self, queue: str) -> None:
        """A queue takes messages again."""
        self.refused.pop(queue, None)

    def seconds_refused(self, queue: str) -> float:
        """Return for how long to leave a queue alone; 0: it may be published to."""
        return max(0.0, self.refused[queue].until - time.monotonic()) if queue in self.refused else 0.0


class Relay:
    """Relays the ledger of one producing service; runs in a thread of its own until told to stop."""

    def __init__(self, settings: Settings, producer: str, stop: threading.Event) -> None:
        self._settings = settings
        self._producer = producer
        self._stop = stop
        self._app = make_task_app(settings, "relay")
        self._memory = Memory()
        self._pause_seconds = MIN_PAUSE_SECONDS

    def run(self) -> None:
        """Relay until the stop event is set, and after every fault again, after a random pause that grows until something was published."""
        while not self._stop.is_set():
            try:
                with self._connect() as (conn, publisher):
                    log.info("relaying", producer=self._producer)
                    self._relay(conn, publisher)
            except (PublishError, psycopg.Error) as error:
                log.warning("relay interrupted", producer=self._producer, error=str(error))
                self._rest()
            except Exception:  # whatever it is, the other ledgers' relays go on, and this one tries again
                log.exception("relay failed", producer=self._producer)
                self._rest()

    @contextmanager
    def _connect(self) -> Iterator[tuple[psycopg.Connection, BrokerConnection]]:
        url = self._settings.service_database_url(self._producer)
        with (
            open_publisher(self._settings.require_broker_url()) as publisher,
            psycopg.connect(url, autocommit=True, application_name=f"relay-{self._producer}", **KEEPALIVES) as conn,
        ):
            yield conn, publisher

    def _rest(self) -> None:
        self._stop.wait(self._pause_seconds * (0.5 + random.random()))  # noqa: S311 - spreads restarts, keeps no secret
        self._pause_seconds = min(self._pause_seconds * 2, MAX_PAUSE_SECONDS)

    def _relay(self, conn: psycopg.Connection, publisher: BrokerConnection) -> None:
        conn.execute(sql.SQL("LISTEN {}").format(sql.Identifier(ledger.CHANNEL + self._producer)))
        lost = marks.recognise(conn, publisher, self._producer)
        if lost:
            log.warning("the broker has lost what it had", producer=self._producer, rows=lost)
        looked_at = float("-inf")
        while not self._stop.is_set():
            if time.monotonic() - looked_at >= POLL_SECONDS:
                relay_store.take_up_parked(conn)
                take_back(conn, publisher, self._producer)
                looked_at = time.monotonic()
            passed = relay_due(conn, publisher, self._app, self._producer, self._settings, self._memory)
            if passed.changes:
                self._pause_seconds = MIN_PAUSE_SECONDS
                self._gather(publisher, passed.changes)
            elif not passed.rows:
                publisher.keep_alive()
                for _ in conn.notifies(timeout=POLL_SECONDS, stop_after=1):
                    pass

    def _gather(self, publisher: Publisher, changes: int) -> None:
        """Let rows come together where many come, and while all workers are busy, though not for long.

        Many small batches are more work than a few large ones, and where all are busy what was published now would stand in line in any
        case.
        """
        until = time.monotonic() + GATHER_SECONDS
        self._stop.wait(pause_after(changes))
        while time.monotonic() < until and publisher.is_congested():
            self._stop.wait(GATHER_STEP_SECONDS)


def pause_after(changes: int) -> float:
    """Return for how many seconds rows come together after so many changes were published."""
    return min(GATHER_SECONDS, changes * GATHER_SECONDS_PER_CHANGE)


def relay_due(
    conn: psycopg.Connection,
    publisher: Publisher,
    app: celery.Celery,
    producer: str,
    settings: Settings,
    memory: Memory | None = None,
) -> Passed:
    """Publish what is due now, at most CLAIM_LIMIT rows, and see to what cannot be published.

    Raises PublishError and psycopg.Error; then nothing is marked, and what reached the broker will come twice.
    """
    return _Pass(conn, publisher, app, producer, settings, memory or Memory()).run()


class _Pass:
    """One transaction of a relay."""

    def __init__(
        self,
        conn: psycopg.Connection,
        publisher: Publisher,
        app: celery.Celery,
        producer: str,
        settings: Settings,
        memory: Memory,
    ) -> None:
        self._conn = conn
        self._publisher = publisher
        self._app = app
        self._producer = producer
        self._settings = settings
        self._memory = memory

    def run(self) -> Passed:
        """Claim, see to what cannot be published, publish the rest, and mark it."""
        limits = Limits(self._settings.relay_max_attempts, self._settings.relay_max_failing_hours)
        with self._conn.transaction():
            rows = relay_plan.without_torn_company(relay_store.claim_due(self._conn, CLAIM_LIMIT), CLAIM_LIMIT)
            found = relay_plan.sort_out(rows, limits)
            self._park(found.unknown)
            self._give_up(found.given_up)
            lost = self._renew(found.leased)
            fresh = self._postpone(found.fresh)
            lost = [company for company in lost if self._postpone(company)]
            whole, parts = self._cut([company for company in found.again if self._postpone(company)])
            published = self._publish([*relay_plan.make_batches(fresh, [*lost, *whole]), *parts])
        return Passed(len(rows), sum(row.changes for batch in published for row in batch.rows))

    def _park(self, rows: Company) -> None:
        for task in sorted({row.task for row in rows}):
            ids = [row.id for row in rows if row.task == task]
            reason = f"this relay does not know the task {task}; one of the version that made it will take it up"
            relay_store.park(self._conn, ids, reason)
            log.warning("work parked", producer=self._producer, task=task, rows=len(ids), reason=reason)

    def _give_up(self, rows: Company) -> None:
        if rows:
            relay_store.give_up(self._conn, [row.id for row in rows])
            log.error("work given up", producer=self._producer, rows=[(row.id, row.task, row.failures) for row in rows])

    def _renew(self, leased: Sequence[Company]) -> list[Company]:
        """Renew the leases of what the broker holds still; return the others."""
        lost: list[Company] = []
        held: dict[int, list[int]] = {}
        for company in leased:
            if relay_plan.is_held(company, self._look(company[0].queue), self._settings.relay_lease_seconds):
                lease = relay_plan.lease_of(company[0].task, self._settings.relay_lease_seconds)
                held.setdefault(lease, []).extend(row.id for row in company)
            else:
                lost.append(company)
        for lease, row_ids in held.items():
            relay_store.renew(self._conn, row_ids, lease)
        return lost

    def _look(self, queue: str) -> Look:
        until, look = self._memory.looks.get(queue, (0.0, Look(0, None)))
        if time.monotonic() >= until:
            ready = self._publisher.ready(queue)
            look = Look(ready, relay_store.horizon(self._conn, queue, ready) if ready else None)
            self._memory.looks[queue] = (time.monotonic() + LOOK_SECONDS, look)
        return look

    def _postpone(self, rows: Company) -> list[ClaimedRow]:
        """Have rows wait whose queue takes nothing now; return the others."""
        waits = {queue: self._memory.seconds_refused(queue) for queue in {row.queue for row in rows}}
        for queue, seconds in sorted(waits.items()):
            if seconds:
                ids = [row.id for row in rows if row.queue == queue]
                relay_store.postpone(self._conn, ids, seconds, self._memory.refused[queue].reason)
        return [row for row in rows if not waits[row.queue]]

    def _cut(self, failing: Sequence[Company]) -> tuple[list[Company], list[Batch]]:
        """Return the companies that stay together, and the parts of those that are cut."""
        suspects = [
            company for company in failing if relay_plan.is_suspect(company) and not relay_plan.is_alone(company)
        ]
        whole = [company for company in failing if company not in suspects]
        parts: list[Batch] = []
        taken = relay_store.parts_taken(self._conn, {company[0].task for company in suspects}) if suspects else {}
        for company, number in zip(suspects, relay_plan.parts_of(suspects, taken), strict=True):
            if number == 1:
                whole.append(company)
            else:
                parts += relay_plan.cut_batches(company, relay_store.split(self._conn, company), number)
        return whole, parts

    def _publish(self, batches: Sequence[Batch]) -> list[Batch]:
        """Publish, start the leases of what was taken, and return it; the others wait."""
        if not batches:
            return []
        failpoints.hit(Failpoint.RELAY_AFTER_CLAIM, self._producer)
        refused = self._publisher.publish([to_message(self._app, self._producer, batch) for batch in batches])
        failpoints.hit(Failpoint.RELAY_AFTER_PUBLISH, self._producer)
        taken = [batch for place, batch in enumerate(batches) if place not in refused]
        for queue in {batch.queue for batch in taken}:
            self._memory.note_taken(queue)
        for queue, reason in {batches[place].queue: reason for place, reason in refused.items()}.items():
            self._memory.note_refused(queue, reason)
            log.warning("messages refused", producer=self._producer, queue=queue, reason=reason)
        for place in refused:
            self._postpone(batches[place].rows)
        if taken:
            relay_store.mark_published(self._conn, taken, self._settings.relay_lease_seconds)
        failpoints.hit(Failpoint.RELAY_AFTER_MARK, self._producer)
        return taken


def to_message(app: celery.Celery, producer: str, batch: Batch) -> Message:
    """Return the Celery message for a batch of one task: which ledger it is from, the rows' ids and their payloads."""
    made = app.amqp.as_task_v2(
        str(batch.message_id),
        batch.task,
        kwargs={
            "source": producer,
            "row_ids": batch.row_ids,
            "payloads": [payload for row in batch.rows for payload in payloads_of(row.payload)],
        },
        argsrepr="()",
        kwargsrepr=f"<{len(batch.rows)} rows of {producer}>",
        ignore_result=True,
    )
    headers = {**made.headers, LEDGER_HEADER: producer}
    return Message(queue=batch.queue, headers=headers, properties=made.properties, body=made.body)


def run_relays(settings: Settings, producers: Sequence[str], stop: threading.Event) -> None:
    """Run a relay per producing service until the event is set; returns when all have finished their batch.

    Raises SystemExit with a sentence where a relay's thread ends by itself, when the others have finished too.
    """
    ended: list[str] = []

    def run(producer: str) -> None:
        try:
            Relay(settings, producer, stop).run()
        finally:
            if not stop.is_set():
                ended.append(producer)
                stop.set()

    threads = [threading.Thread(target=run, args=(producer,), name=f"relay-{producer}") for producer in producers]
    settle()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if ended:
        raise SystemExit(f"kodama: the relay of {', '.join(ended)} has ended by itself; its last words are above")
