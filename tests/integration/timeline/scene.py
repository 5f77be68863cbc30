"""What a history of the machine works with: a world, the real relay, a wayward broker, mortal workers, and the parts under test."""

from typing import Any

import celery
import psycopg

from chassis import topology
from chassis.ids import Kind
from chassis.publisher import PublishError
from chassis.settings import Settings
from chassis.task_app import Receipts
from services.timeline.tasks import HANDLERS, UseCases
from tests.integration.timeline.parts import InterruptedReading, Parts
from tests.integration.timeline.wayward_broker import Delivery, WaywardBroker
from tests.world import World


class Died(Exception):
    """A worker was killed here."""


class MortalPool:
    """A pool whose user can be killed before a transaction of theirs."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self.transactions_left: int | None = None
        """How many transactions are begun until it happens; None: it does not."""

    def connection(self) -> Any:
        """Lend a connection. Raises Died."""
        if self.transactions_left is not None:
            if self.transactions_left == 0:
                raise Died
            self.transactions_left -= 1
        return self._pool.connection()


class Relaying:
    """The real relay's step, for the ledgers of all producers, into a broker."""

    def __init__(self, settings: Settings, app: celery.Celery) -> None:
        self._settings = settings
        self._app = app
        self._connections = {
            producer: psycopg.connect(settings.service_database_url(producer), autocommit=True)
            for producer in topology.PRODUCERS
        }

    def step(self, parts: Parts, broker: WaywardBroker) -> None:
        """Publish what is due of each ledger, as far as the broker takes it."""
        for producer, conn in self._connections.items():
            try:
                parts.relay_due(conn, broker, self._app, producer, self._settings)
            except PublishError:
                continue

    def close(self) -> None:
        """Give the connections back."""
        for conn in self._connections.values():
            conn.close()


class Scene:
    """One history's surroundings."""

    def __init__(
        self,
        world: World,
        reading: InterruptedReading,
        parts: Parts,
        *,
        use_cases: UseCases,
        pool: MortalPool,
        receipts: Receipts,
        relaying: Relaying,
    ) -> None:
        self.world = world
        self.reading = reading
        self.parts = parts
        self.broker = WaywardBroker()
        self.slow_posts: list[tuple[int, int]] = []
        """(author, status) of posts that have their ids and are not committed."""
        self._use_cases = use_cases
        self._pool = pool
        self._receipts = receipts
        self._relaying = relaying
        self._slow = psycopg.connect(world.settings.database_url)

    def relay(self) -> None:
        """Publish what is due."""
        self._relaying.step(self.parts, self.broker)

    async def work(self, delivery: Delivery, fate: str = "done") -> None:
        """Do what a message asks for, as a worker does.

        Raises Died where the worker's fate is to die before, while or after it; then the message waits still.
        """
        if self.parts.strikes_before_work:
            await self._receipts.complete(delivery.source, delivery.row_ids)
        if fate == "dies before":
            raise Died
        self._pool.transactions_left = 1 if fate == "dies while" else None
        try:
            await HANDLERS[delivery.task](self._use_cases, delivery.payloads)
        finally:
            self._pool.transactions_left = None
        if fate != "done":
            raise Died
        await self._receipts.complete(delivery.source, delivery.row_ids)
        self.broker.acknowledge(delivery)

    def let_leases_end(self) -> None:
        """Make everything due that is published and not done."""
        self.world.query(
            """
            WITH a AS (UPDATE social_graph.ledger SET due_at = now() WHERE starts_with(task, 'timeline.')),
            b AS (UPDATE status.ledger SET due_at = now()), c AS (UPDATE blog.ledger SET due_at = now()),
            d AS (UPDATE timeline.ledger SET due_at = now())
            SELECT 1
            """
        )

    def let_sleep(self, account_id: int, days: int) -> None:
        """Have a member's last read be so many days longer ago."""
        self.world.query(
            "UPDATE timeline.homes SET active_at = active_at - %s * interval '1 day' WHERE account_id = %s RETURNING 1",
            days,
            account_id,
        )

    def let_mutes_end(self) -> None:
        """Have all mutes for a time end now."""
        self.world.query(
            "WITH a AS (UPDATE social_graph.mutes SET expires_at = now() WHERE expires_at IS NOT NULL) SELECT 1"
        )

    def visibility_of(self, status_id: int) -> int:
        """Return who may see a status as it is stored."""
        [(visibility,)] = self.world.query("SELECT visibility FROM status.statuses WHERE id = %s", status_id)
        return int(str(visibility))

    def begin_slow_post(self, author_id: int) -> None:
        """Insert a status and its work, as the status service does, and do not commit yet.

        It is counted when it commits: what a statement counts keeps the author's other posts waiting, and here these may overtake it.
        """
        self._slow.execute("SET LOCAL search_path = status; SET LOCAL session_replication_role = replica")
        row = self._slow.execute(
            """
            WITH posted AS (
                INSERT INTO statuses (account_id, id, text, visibility) VALUES (%(author)s, next_id(%(kind)s), 'slow', 1)
                RETURNING id, account_id
            ),
            work AS (
                INSERT INTO ledger (task, queue, payload)
                SELECT t.task, t.queue, jsonb_build_object('entry_id', posted.id, 'author_id', posted.account_id)
                FROM posted, unnest(%(tasks)s::text[], %(queues)s::text[]) AS t(task, queue)
            )
            SELECT id FROM posted
            """,
            {"author": author_id, "kind": Kind.STATUS.value, **topology.tasks_of("status.published")},
        ).fetchone()
        assert row is not None
        self.slow_posts.append((author_id, row[0]))

    def commit_slow_post(self) -> tuple[int, int]:
        """Commit it; return (author, status)."""
        author_id, status_id = self.slow_posts.pop()
        self._slow.execute(
            "INSERT INTO status.authors AS a VALUES (%(author)s, 1, %(id)s) ON CONFLICT (account_id) DO UPDATE"
            " SET statuses = a.statuses + 1, last_id = greatest(a.last_id, excluded.last_id)",
            {"author": author_id, "id": status_id},
        )
        self._slow.commit()
        return author_id, status_id

    def trim(self, below_id: int) -> None:
        """Let go of all entries below an id: as retention does it, only not by whole weeks."""
        if self.parts.raises_floor:
            self.world.query(
                "UPDATE timeline.retention SET floor_id = greatest(floor_id, %s) RETURNING floor_id", below_id
            )
        self.world.query(
            "WITH gone AS (DELETE FROM timeline.deliveries WHERE entry_id < %s)"
            " DELETE FROM timeline.entries WHERE entry_id < %s RETURNING entry_id",
            below_id,
            below_id,
        )

    def end(self) -> None:
        """Leave nothing for the next history to do."""
        self._slow.rollback()
        self._slow.close()
        self.world.query(
            """
            WITH a AS (DELETE FROM social_graph.ledger), b AS (DELETE FROM status.ledger),
            c AS (DELETE FROM blog.ledger), d AS (DELETE FROM timeline.ledger)
            SELECT 1
            """
        )
