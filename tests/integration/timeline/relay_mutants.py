"""Relays with one fault each: work that they lose stays open for ever, or is believed to be done."""

from contextlib import suppress
from typing import cast

import celery
import psycopg

from chassis import ledger
from chassis.publisher import Publisher, PublishError
from chassis.relay import make_batches, to_message
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
            rows = conn.execute(
                "SELECT id, task, payload, attempts FROM ledger"
                " WHERE id > %s OR (published_at IS NOT NULL AND due_at <= now()) ORDER BY id",
                (self._last.get(producer, 0),),
            ).fetchall()
            publisher.publish([to_message(app, producer, batch) for batch in make_batches(rows)])
            ledger.mark_published(conn, [row[0] for row in rows], lease_seconds=settings.relay_lease_seconds)
        self._last[producer] = max([self._last.get(producer, 0), *(row[0] for row in rows)])
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

    def publish(self, messages) -> None:  # type: ignore[no-untyped-def]  # a fault, put in from outside
        with suppress(PublishError):
            self._publisher.publish(messages)


class RelayWithoutConfirms(RelayWithoutLeases):
    """Rows are struck once they are sent, as where the broker is believed to keep everything."""

    def relay_due(
        self, conn: psycopg.Connection, publisher: Publisher, app: celery.Celery, producer: str, settings: Settings
    ) -> int:
        told = cast(Publisher, UnconfirmedPublisher(publisher))
        sent = super().relay_due(conn, told, app, producer, settings)
        conn.execute("DELETE FROM ledger WHERE published_at IS NOT NULL")
        return sent
