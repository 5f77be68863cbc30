"""The relay: takes due rows of a ledger, publishes them in micro-batches, and starts their leases.

Rows stay locked from the claim to the broker's confirmation, so that several relays share the work (SKIP LOCKED) and one that
dies leaves its rows due. A row may be published twice; it is never lost.
"""

import random
import threading
import time
from collections.abc import Sequence
from uuid import uuid4

import celery
import psycopg
import structlog
from psycopg import sql

from chassis import failpoints, ledger, topology
from chassis.database import KEEPALIVES
from chassis.failpoints import Failpoint
from chassis.ledger import ClaimedRow, payloads_of
from chassis.memory import settle
from chassis.publisher import Message, Publisher, PublishError, open_publisher
from chassis.settings import Settings
from chassis.task_app import make_task_app

log = structlog.get_logger(__name__)

CLAIM_LIMIT = 500
"""Rows in one pass, each of which may stand for up to a hundred changes."""
POLL_SECONDS = 0.5
MAX_PAUSE_SECONDS = 5.0
GATHER_SECONDS = 0.1
GATHER_SECONDS_PER_CHANGE = 0.001
"""How long the relay waits for each change that it has just published: next to nothing on a quiet network, and where more than a
thousand come in a second, each wait gathers more than the last, up to GATHER_SECONDS of them."""
GATHER_STEP_SECONDS = 0.01
FAILURES_BEFORE_ALONE = 2


class Relay:
    """Relays the ledger of one producing service; runs in a thread of its own until told to stop."""

    def __init__(self, settings: Settings, producer: str, stop: threading.Event) -> None:
        self._settings = settings
        self._producer = producer
        self._stop = stop
        self._app = make_task_app(settings, "relay")

    def run(self) -> None:
        """Relay until the stop event is set, reconnecting after every fault with a growing, random pause."""
        pause = 0.1
        while not self._stop.is_set():
            try:
                url = self._settings.service_database_url(self._producer)
                with (
                    open_publisher(self._settings.require_broker_url()) as publisher,
                    psycopg.connect(
                        url, autocommit=True, application_name=f"relay-{self._producer}", **KEEPALIVES
                    ) as conn,
                ):
                    log.info("relaying", producer=self._producer)
                    pause = 0.1
                    self._relay(conn, publisher)
            except (PublishError, psycopg.Error) as error:
                log.warning("relay interrupted", producer=self._producer, error=str(error))
                self._stop.wait(pause * (0.5 + random.random()))  # noqa: S311 - spreads restarts, keeps no secret
                pause = min(pause * 2, MAX_PAUSE_SECONDS)

    def _relay(self, conn: psycopg.Connection, publisher: Publisher) -> None:
        conn.execute(sql.SQL("LISTEN {}").format(sql.Identifier(ledger.CHANNEL + self._producer)))
        while not self._stop.is_set():
            changes = relay_due(conn, publisher, self._app, self._producer, self._settings)
            if changes == 0:
                publisher.keep_alive()
                for _ in conn.notifies(timeout=POLL_SECONDS, stop_after=1):
                    pass
            else:
                self._gather(publisher, changes)

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
    conn: psycopg.Connection, publisher: Publisher, app: celery.Celery, producer: str, settings: Settings
) -> int:
    """Publish what is due now, at most CLAIM_LIMIT rows, and return how many changes they stand for.

    Raises PublishError and psycopg.Error; then nothing is marked, and what reached the broker will come twice.
    """
    with conn.transaction():
        rows, dead = ledger.claim_due(conn, limit=CLAIM_LIMIT, max_attempts=settings.relay_max_attempts)
        if dead:
            log.error("work given up", producer=producer, rows=dead, attempts=settings.relay_max_attempts)
        rows = _split_failing(conn, rows)
        if rows:
            failpoints.hit(Failpoint.RELAY_AFTER_CLAIM, producer)
            publisher.publish([to_message(app, producer, batch) for batch in make_batches(rows)])
            failpoints.hit(Failpoint.RELAY_AFTER_PUBLISH, producer)
            for lease_seconds, row_ids in by_lease(rows, settings.relay_lease_seconds).items():
                ledger.mark_published(conn, row_ids, lease_seconds=lease_seconds)
            failpoints.hit(Failpoint.RELAY_AFTER_MARK, producer)
    return sum(len(payloads_of(row[2])) for row in rows)


def _split_failing(conn: psycopg.Connection, rows: Sequence[ClaimedRow]) -> list[ClaimedRow]:
    """Give changes that share a row which has failed before a row each: the one that fails takes no others with it."""
    failing = [row[0] for row in rows if row[3] >= FAILURES_BEFORE_ALONE and len(payloads_of(row[2])) > 1]
    if not failing:
        return list(rows)
    return [row for row in rows if row[0] not in failing] + ledger.split(conn, failing)


def by_lease(rows: Sequence[ClaimedRow], lease_seconds: int) -> dict[int, list[int]]:
    """Return the ids of rows by their leases: the configured one, and as much more as their task may take longer than a minute."""
    leases: dict[int, list[int]] = {}
    for row_id, task, _, _ in rows:
        longer = max(0, topology.TASKS[task].time_limit_seconds - topology.USUAL_LIMIT_SECONDS)
        leases.setdefault(lease_seconds + longer, []).append(row_id)
    return leases


def make_batches(rows: Sequence[ClaimedRow]) -> list[list[ClaimedRow]]:
    """Group rows of one task into micro-batches, in order. Rows that have failed before travel alone, so that one that always
    fails takes no others with it."""
    batches: list[list[ClaimedRow]] = []
    open_batches: dict[str, list[ClaimedRow]] = {}
    room: dict[str, int] = {}
    for row in rows:
        _, task, payload, attempts = row
        if attempts >= FAILURES_BEFORE_ALONE:
            batches.append([row])
            continue
        changes = len(payloads_of(payload))
        if task not in open_batches or room[task] < changes:
            open_batches[task] = []
            batches.append(open_batches[task])
            room[task] = topology.TASKS[task].batch_size
        open_batches[task].append(row)
        room[task] -= changes
    return batches


def to_message(app: celery.Celery, producer: str, batch: Sequence[ClaimedRow]) -> Message:
    """Return the Celery message for a batch of one task: which ledger it is from, the rows' ids and their payloads."""
    task = batch[0][1]
    made = app.amqp.as_task_v2(
        uuid4().hex,
        task,
        kwargs={
            "source": producer,
            "row_ids": [row[0] for row in batch],
            "payloads": [payload for row in batch for payload in payloads_of(row[2])],
        },
        argsrepr="()",
        kwargsrepr=f"<{len(batch)} rows of {producer}>",
        ignore_result=True,
    )
    return Message(queue=topology.TASKS[task].queue, headers=made.headers, properties=made.properties, body=made.body)


def run_relays(settings: Settings, producers: Sequence[str], stop: threading.Event) -> None:
    """Run a relay per producing service until the event is set; returns when all have finished their batch."""
    threads = [
        threading.Thread(target=Relay(settings, producer, stop).run, name=f"relay-{producer}") for producer in producers
    ]
    settle()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
