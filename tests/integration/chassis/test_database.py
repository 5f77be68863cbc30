"""Drivers' errors in our words, and connections that come back clean."""

import asyncio

import psycopg
import pytest
from psycopg import errors as pg_errors

from chassis.database import Pool, connection, make_pool, transaction
from chassis.errors import Conflict, KodamaError, Unavailable
from chassis.settings import Settings
from deploy.local.ports import free_port

RAISE = "DO $$ BEGIN RAISE EXCEPTION 'internal detail' USING ERRCODE = '{}'; END $$"


KINDS: dict[str, type[KodamaError]] = {
    "40001": Conflict,
    "40P01": Conflict,
    "55P03": Unavailable,
    "57014": Unavailable,
    "57P01": Unavailable,
    "57P03": Unavailable,
    "53300": Unavailable,
    "53100": Unavailable,
    "08006": Unavailable,
    "25006": Unavailable,
    "25P03": Unavailable,
    "25P04": Unavailable,
    "26000": Unavailable,
}


async def test_faults_of_the_database_are_in_our_words(pool: Pool) -> None:
    async def fail(code: str) -> None:
        async with connection(pool) as conn:
            await conn.execute(RAISE.format(code).encode())

    for code, kind in KINDS.items():
        with pytest.raises(kind) as failed:
            await fail(code)
        assert "detail" not in failed.value.message


async def test_a_rule_of_the_schema_is_the_stores_own_business(pool: Pool) -> None:
    with pytest.raises(pg_errors.NotNullViolation):
        async with connection(pool) as conn:
            await conn.execute("INSERT INTO ledger (task) VALUES (NULL)")


async def test_errors_of_ours_pass(pool: Pool) -> None:
    with pytest.raises(ZeroDivisionError):
        async with connection(pool):
            raise ZeroDivisionError


async def test_a_real_deadlock_is_a_conflict_for_one_of_both(pool: Pool) -> None:
    async def lock_both(first: int, second: int, barrier: asyncio.Barrier) -> None:
        async with transaction(pool) as conn:
            await conn.execute("SELECT pg_advisory_xact_lock(%s)", (first,))
            await barrier.wait()
            await conn.execute("SELECT pg_advisory_xact_lock(%s)", (second,))

    barrier = asyncio.Barrier(2)
    outcomes = await asyncio.gather(lock_both(1, 2, barrier), lock_both(2, 1, barrier), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if outcome is not None] == [Conflict]


async def test_the_roles_own_limits_end_a_slow_statement(pool: Pool) -> None:
    async def take_too_long() -> None:
        async with transaction(pool) as conn:
            await conn.execute("SET LOCAL statement_timeout = '20ms'")
            await conn.execute("SELECT pg_sleep(60)")

    with pytest.raises(Unavailable, match="busy"):
        await take_too_long()


async def test_a_lost_connection_is_unavailable_once_and_then_replaced(pool: Pool, admin: psycopg.Connection) -> None:
    async def lose() -> None:
        async with connection(pool) as conn:
            admin.execute("SELECT pg_terminate_backend(%s)", (conn.info.backend_pid,))
            await conn.execute("SELECT 1")

    with pytest.raises(Unavailable, match="does not answer"):
        await lose()
    async with connection(pool) as conn:
        assert await (await conn.execute("SELECT 1")).fetchone() == (1,)


async def test_a_transaction_that_fails_leaves_nothing_and_a_clean_connection(settings: Settings) -> None:
    async with make_pool(settings.service_database_url("status"), size=1, application="test") as pool:

        async def fail() -> None:
            async with transaction(pool) as conn:
                await conn.execute("CREATE TEMPORARY TABLE left_behind ()")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()
        async with connection(pool) as conn:
            assert conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
            cursor = await conn.execute("SELECT to_regclass('left_behind')")
            assert await cursor.fetchone() == (None,)


async def test_who_finds_no_free_connection_in_time_is_told_so(settings: Settings) -> None:
    async with make_pool(settings.service_database_url("status"), size=1, application="test") as pool, connection(pool):
        pool.timeout = 0.05
        with pytest.raises(Unavailable, match="busy"):
            async with connection(pool):
                raise AssertionError


async def test_who_finds_the_waiting_room_full_is_told_so_at_once(settings: Settings) -> None:
    async with make_pool(settings.service_database_url("status"), size=1, application="test") as pool:
        pool.max_waiting = 1
        async with connection(pool):
            waiting = asyncio.create_task(pool.getconn())
            await asyncio.sleep(0)  # one turn of the event loop: it waits now
            with pytest.raises(Unavailable, match="busy"):
                async with connection(pool):
                    raise AssertionError
        await pool.putconn(await waiting)


async def test_a_database_that_is_not_there_is_unavailable() -> None:
    pool = make_pool(f"postgresql://nobody@127.0.0.1:{free_port()}/none", size=1, application="test")
    pool.timeout = 0.05
    async with pool:
        with pytest.raises(Unavailable):
            async with connection(pool):
                raise AssertionError


async def test_connections_name_their_process(settings: Settings) -> None:
    async with (
        make_pool(settings.service_database_url("status"), size=1, application="kodama-status") as pool,
        connection(pool) as conn,
    ):
        cursor = await conn.execute("SELECT current_setting('application_name'), current_user, current_schema()")
        assert await cursor.fetchone() == ("kodama-status", "kodama_status", "status")
