"""What only the state of PostgreSQL or of a session is to blame for is Unavailable, and the next borrower does not meet it again."""

import asyncio
import random

import psycopg
import pytest

from chassis.database import Connection, Pool, connection, make_pool, transaction
from chassis.errors import Conflict, Unavailable
from chassis.settings import Settings
from services.status import posting_store
from services.status.domain import NewStatus, Visibility
from tests.integration.chassis.conftest import PRODUCER

WRITERS = 6
STATUSES = 400


@pytest.fixture
async def lone(settings: Settings) -> Pool:
    """A pool of a single connection: whoever borrows next is lent what the one before has left."""
    return make_pool(settings.service_database_url(PRODUCER), size=1, application="test")


async def _prepare_often(conn: Connection) -> None:
    for _ in range(10):  # from the fifth time on psycopg prepares it
        await conn.execute("SELECT * FROM ledger")


async def _write(conn: Connection) -> None:
    await conn.execute("INSERT INTO ledger (task, queue, payload) VALUES ('t', 'q', '{}')")


@pytest.mark.parametrize("timeout", ["idle_in_transaction_session_timeout", "transaction_timeout"])
async def test_a_transaction_that_the_server_has_ended(lone: Pool, timeout: str) -> None:
    async def idle() -> None:
        async with transaction(lone) as conn:
            await conn.execute(f"SET {timeout} = '20ms'".encode())
            await _write(conn)
            await asyncio.sleep(0.5)
            await _write(conn)

    async with lone:
        with pytest.raises(Unavailable):
            await idle()
        async with transaction(lone) as conn:
            assert await (await conn.execute("SELECT count(*) FROM ledger")).fetchone() == (0,)
            await _write(conn)


async def test_a_server_that_has_become_read_only(lone: Pool, admin: psycopg.Connection) -> None:
    """As after a fail-over, while one is still connected to what was the primary."""
    async with lone:
        async with connection(lone) as conn:
            await conn.execute("SET default_transaction_read_only = on")
        with pytest.raises(Unavailable):
            async with connection(lone) as conn:
                await _write(conn)
        async with connection(lone) as conn:
            await _write(conn)


async def test_a_plan_that_a_migration_has_overtaken(lone: Pool, admin: psycopg.Connection) -> None:
    async with lone:
        async with connection(lone) as conn:
            await _prepare_often(conn)
        admin.execute("ALTER TABLE status.ledger ADD COLUMN new_in_this_version integer")
        with pytest.raises(Unavailable):
            async with connection(lone) as conn:
                await _prepare_often(conn)
        async with connection(lone) as conn:
            await _prepare_often(conn)


async def test_what_is_not_supported_is_a_defect_of_ours(lone: Pool) -> None:
    async with lone:
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            async with connection(lone) as conn:
                await conn.execute("SELECT 1 FROM ledger GROUP BY () FOR UPDATE")


async def test_sessions_that_are_ended_at_random_leave_no_half_effects(
    settings: Settings, admin: psycopg.Connection
) -> None:
    chance = random.Random(11)
    acknowledged: list[int] = []
    failed = 0
    numbers = iter(range(STATUSES))
    async with make_pool(settings.service_database_url(PRODUCER), size=WRITERS, application="victim") as pool:

        async def post_until_it_stands(number: int) -> None:
            nonlocal failed
            while True:
                try:
                    async with transaction(pool) as conn:
                        [posted] = await posting_store.insert_statuses(
                            conn, [NewStatus(5, f"{number}", Visibility.PUBLIC, "")]
                        )
                except (Unavailable, Conflict):
                    failed += 1
                    await asyncio.sleep(0.01)
                else:
                    assert posted is not None
                    acknowledged.append(posted.status.id)
                    return

        async def write() -> None:
            for number in numbers:
                await post_until_it_stands(number)

        writers = [asyncio.create_task(write()) for _ in range(WRITERS)]
        while not all(writer.done() for writer in writers):
            rows = admin.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'victim'").fetchall()
            if rows:
                admin.execute("SELECT pg_terminate_backend(%s)", chance.choice(rows))
            await asyncio.sleep(chance.uniform(0, 0.05))
        await asyncio.gather(*writers)
    assert failed > 0
    statuses = {row[0] for row in admin.execute("SELECT id FROM status.statuses").fetchall()}
    assert statuses >= set(acknowledged)
    assert len(acknowledged) == STATUSES
    told = admin.execute(
        "SELECT (change ->> 'entry_id')::bigint FROM status.ledger, jsonb_array_elements("
        "CASE jsonb_typeof(payload) WHEN 'array' THEN payload ELSE jsonb_build_array(payload) END) AS change"
    ).fetchall()
    assert sorted(entry_id for (entry_id,) in told) == sorted(statuses)
