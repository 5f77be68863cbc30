"""Relays with one fault each: work that they lose stays open for ever, or is believed to be done."""

from contextlib import suppress
from typing import cast

import celery
import psycopg
from psycopg.rows import class_row

from chassis import relay_store
from chassis.publisher import Publisher, PublishError, Refusals
from chassis.relay import to_message
from chassis.relay_plan import ClaimedRow, make_batches
from chassis.settings import Settings
from tests.integration.timeline.parts import Mutant


class RelayWithIdCursor(Mutant):
    """The relay takes what is new by `id > last`, though ids commit out of order."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def relay_due(
        self, conn: psycopg.Connection, publisher: Publisher, app: celery.Celery, producer: str, settings: Settings
    ) -> int:
        with conn.transaction():
            with conn.cursor(row_factory=class_row(ClaimedRow)) as cursor:
                cursor.execute(
                    "SELECT id, task, payload, now() AS now FROM ledger"
                    " WHERE id > %s OR (published_at IS NOT NULL AND due_at <= now()) ORDER BY id",
                    (self._last.get(producer, 0),),
                )
                rows = cursor.fetchall()
            batches = make_batches(rows)
            publisher.publish([to_message(app, producer, batch) for batch in batches])
            relay_store.mark_published(conn, batches, settings.relay_lease_seconds)
        self._last[producer] = max([self._last.get(producer, 0), *(row.id for row in rows)])
        return len(rows)


class RelayWithoutLeases(Mutant):
    """What was published once is never published again, whatever becomes of it."""

    def relay_due(
        self, conn: psycopg.Connection, publisher: Publisher, app: celery.Celery, producer: str, settings: Settings
    ) -> int:
        conn.execute("UPDATE ledger SET due_at = 'infinity' WHERE published_at IS NOT NULL")
        return super().relay_due(conn, publisher, app, producer, settings)


class UnconfirmedPublisher:
    """A fault: whether the broker has confirmed is not asked."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def publish(self, messages) -> Refusals:  # type: ignore[no-untyped-def]  # a fault, put in from outside
        with suppress(PublishError):
            self._publisher.publish(messages)
        return {}

    def ready(self, queue: str) -> int:
        return self._publisher.ready(queue)


class RelayWithoutConfirms(RelayWithoutLeases):
    """Rows are struck once they are sent, as where the broker is believed to keep everything."""

    def relay_due(
        self, conn: psycopg.Connection, publisher: Publisher, app: celery.Celery, producer: str, settings: Settings
    ) -> int:
        told = cast(Publisher, UnconfirmedPublisher(publisher))
        sent = super().relay_due(conn, told, app, producer, settings)
        conn.execute("DELETE FROM ledger WHERE published_at IS NOT NULL")
        return sent
