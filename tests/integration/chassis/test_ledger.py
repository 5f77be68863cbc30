"""The ledger: rows commit with the change that causes them, and tell what is open, late and dead."""

import asyncio

import psycopg
import pytest

from chassis import ledger, topology
from chassis.database import Pool, connection, transaction
from tests.integration.chassis.conftest import PRODUCER, Ledger

CHANNEL = ledger.CHANNEL + PRODUCER


async def test_an_event_writes_one_row_per_task_and_payload(pool: Pool, work: Ledger) -> None:
    payloads = [{"account_id": 1, "friend_id": 2}, {"account_id": 1, "friend_id": 3}]
    await work.append("friendship.formed", *payloads)
    rows = await work.rows()
    assert len(rows) == 4
    for task in ("timeline.backfill", "suggestions.refresh"):
        mine = [row for row in rows if row["task"] == task]
        assert [row["payload"] for row in mine] == payloads
        assert {row["queue"] for row in mine} == {topology.TASKS[task].queue}
    assert all(row["is_due"] and row["publications"] == 0 and row["published_at"] is None for row in rows)


async def test_rows_come_and_go_with_their_transaction(pool: Pool, work: Ledger) -> None:
    async def fail() -> None:
        async with transaction(pool) as conn:
            await ledger.append(conn, "status.published", [{"entry_id": 1}])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await work.rows() == []
    async with transaction(pool) as conn:
        await ledger.append(conn, "status.published", [{"entry_id": 2}])
        assert await work.rows() == []
    assert [row["payload"] for row in await work.rows()] == [{"entry_id": 2}]


async def test_rows_can_be_due_later(pool: Pool, work: Ledger) -> None:
    async with connection(pool) as conn:
        await ledger.append(conn, "status.published", [{"entry_id": 1}], delay_seconds=60)
        cursor = await conn.execute("SELECT round(extract(epoch FROM due_at - created_at)) FROM ledger")
        assert await cursor.fetchall() == [(60,)]
    assert [row["is_due"] for row in await work.rows()] == [False]


async def test_no_payload_is_no_row(work: Ledger) -> None:
    await work.append("status.published")
    assert await work.rows() == []


async def test_an_unknown_event_is_an_error(work: Ledger) -> None:
    with pytest.raises(KeyError):
        await work.append("status.liked", {"entry_id": 1})


@pytest.mark.parametrize("payload", [[1, 2], [], [[]], 3, {"text": "x" * 9000}, [{}] * (ledger.MAX_SHARING + 1)])
async def test_a_payload_is_a_small_object_or_some_of_them(work: Ledger, payload: object) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        await work.append("status.published", payload)  # type: ignore[arg-type]  # on purpose


async def test_done_rows_go_and_unknown_ones_do_not_matter(pool: Pool, work: Ledger) -> None:
    await work.publish_statuses(3)
    ids = [row["id"] for row in await work.rows()]
    async with connection(pool) as conn:
        assert len(await ledger.complete(conn, [*ids[:2], 999_999])) == 2
        assert await ledger.complete(conn, ids[:2]) == []
    assert [row["id"] for row in await work.rows()] == ids[2:]


async def test_pauses_after_failures_grow_and_have_an_end(pool: Pool, work: Ledger) -> None:
    await work.publish_statuses(12)
    async with connection(pool) as conn:
        await conn.execute("UPDATE ledger SET failures = id - (SELECT min(id) FROM ledger)")
        cursor = await conn.execute("SELECT array_agg(id ORDER BY id) FROM ledger")
        ((ids,),) = await cursor.fetchall()
        await ledger.record_failure(conn, ids, "RuntimeError: planted")
        cursor = await conn.execute("SELECT extract(epoch FROM due_at - now()), last_error FROM ledger ORDER BY id")
        rows = await cursor.fetchall()
    assert {error for _, error in rows} == {"RuntimeError: planted"}
    for failures, (pause, _) in enumerate(rows):
        longest = min(ledger.MAX_PAUSE_SECONDS, 2**failures / 2)
        assert longest / 2 - 5 <= pause <= longest, f"after {failures} failures"
    assert rows[-1][0] > rows[0][0]


async def test_a_transient_failure_is_not_counted_and_its_pause_grows_with_its_age(pool: Pool, work: Ledger) -> None:
    await work.publish_statuses(1)
    (row,) = await work.rows()
    async with connection(pool) as conn:
        pauses = []
        for minutes in (0, 1, 60):
            await conn.execute(
                "UPDATE ledger SET published_at = now(), failing_since = now() - %s * interval '1 minute'", (minutes,)
            )
            await ledger.record_failure(conn, [row["id"]], "Unavailable: social_graph is away", is_transient=True)
            cursor = await conn.execute("SELECT extract(epoch FROM due_at - now()), failures, published_at FROM ledger")
            ((pause, failures, published_at),) = await cursor.fetchall()
            assert (failures, published_at) == (0, None)
            pauses.append(float(pause))
    assert 0 < pauses[0] <= ledger.TRANSIENT_PAUSE_SECONDS < pauses[1] <= 15 < pauses[2] <= ledger.MAX_PAUSE_SECONDS


async def test_time_in_which_nobody_tries_a_row_is_no_time_of_failing(pool: Pool, work: Ledger) -> None:
    await work.publish_statuses(1)
    (row,) = await work.rows()
    failed_for = []
    async with connection(pool) as conn:
        for idle in ("0 s", "5 min", "62 h", "5 min"):
            await conn.execute(
                "UPDATE ledger SET failing_since = failing_since - %(idle)s::interval, failed_at = failed_at - %(idle)s::interval",
                {"idle": idle},
            )
            await ledger.record_failure(conn, [row["id"]], "Unavailable: social_graph is away", is_transient=True)
            cursor = await conn.execute("SELECT extract(epoch FROM failed_at - failing_since)::float8 FROM ledger")
            ((seconds,),) = await cursor.fetchall()
            failed_for.append(seconds // 60)
    assert failed_for == [0, 5, 5 + ledger.IDLE_SECONDS // 60, 10 + ledger.IDLE_SECONDS // 60]


async def test_rows_that_fail_together_are_due_again_together(pool: Pool, work: Ledger) -> None:
    await work.publish_statuses(20)
    ids = [row["id"] for row in await work.rows()]
    async with connection(pool) as conn:
        await ledger.record_failure(conn, ids, "RuntimeError: planted")
    assert len({row["due_at"] for row in await work.rows()}) == 1


async def test_a_failures_text_is_cut_and_stored_whatever_is_in_it(pool: Pool, work: Ledger) -> None:
    await work.publish_statuses(1)
    (row,) = await work.rows()
    async with connection(pool) as conn:
        await ledger.record_failure(conn, [row["id"]], "失敗\0" + "x" * 2000)
    (row,) = await work.rows()
    assert row["last_error"].startswith("失敗x")
    assert len(row["last_error"]) <= 1000


async def test_a_dead_row_does_not_wake_by_failing(pool: Pool, work: Ledger) -> None:
    await work.publish_statuses(1)
    async with connection(pool) as conn:
        await conn.execute("UPDATE ledger SET dead_at = now(), last_error = 'first'")
        (row,) = await work.rows()
        await ledger.record_failure(conn, [row["id"]], "second")
    assert await work.rows() == [row]


async def test_open_rows_are_listed_oldest_first_dead_ones_too(pool: Pool, work: Ledger) -> None:
    await work.publish_statuses(3)
    await work.append("status.deleted", {"entry_id": 9})
    async with connection(pool) as conn:
        await conn.execute("UPDATE ledger SET dead_at = now() WHERE payload = '{\"entry_id\": 1}'")
        listed = await ledger.list_open(conn, ["timeline.fan_out"], 2)
        everything = await ledger.list_open(conn, ["timeline.fan_out", "timeline.retract"], 10)
    assert [row.payload for row in listed] == [{"entry_id": number} for number in (1, 2)]
    assert [row.payload for row in everything] == [{"entry_id": number} for number in (1, 2, 3, 9)]


async def test_a_row_that_changes_share_counts_for_each_of_them(pool: Pool, work: Ledger) -> None:
    await work.share(1, 2, 3)
    await work.publish_statuses(2, first=4)
    async with connection(pool) as conn:
        [lag] = await ledger.lag(conn)
        listed = [await ledger.list_open(conn, ["timeline.fan_out"], limit) for limit in (1, 3, 4, 5)]
        gone = await ledger.complete(conn, [row.id for row in listed[-1]])
    assert lag.open_rows == 5
    assert [sum(len(ledger.payloads_of(row.payload)) for row in rows) for rows in listed] == [3, 3, 4, 5]
    assert sorted(delivery.changes for delivery in gone) == [1, 1, 3]


async def test_lag_tells_per_task_what_is_open_dead_and_how_old(pool: Pool, work: Ledger) -> None:
    await work.publish_statuses(3)
    await work.append("status.deleted", {"entry_id": 9})
    async with connection(pool) as conn:
        assert {lag.task: (lag.open_rows, lag.dead_rows) for lag in await ledger.lag(conn)} == {
            "timeline.fan_out": (3, 0),
            "timeline.retract": (1, 0),
        }
        await conn.execute(
            "UPDATE ledger SET created_at = now() - interval '1 hour' WHERE payload = '{\"entry_id\": 1}'"
        )
        await conn.execute(
            "UPDATE ledger SET dead_at = now() WHERE payload IN ('{\"entry_id\": 9}', '{\"entry_id\": 2}')"
        )
        fan_out, retract = await ledger.lag(conn)
    assert (fan_out.open_rows, fan_out.dead_rows, fan_out.oldest_age_ms // 3_600_000) == (2, 1, 1)
    assert (retract.open_rows, retract.dead_rows, retract.oldest_age_ms) == (0, 1, 0)


async def test_dead_rows_are_listed_in_pages_replayed_and_discarded(pool: Pool, work: Ledger) -> None:
    await work.publish_statuses(4)
    ids = [row["id"] for row in await work.rows()]
    async with connection(pool) as conn:
        await conn.execute(
            "UPDATE ledger SET dead_at = now(), failures = 8, last_error = 'planted' WHERE id = ANY(%s)", (ids[1:],)
        )
        assert [row.id for row in await ledger.list_dead(conn, 0, 2)] == ids[1:3]
        assert [row.id for row in await ledger.list_dead(conn, ids[2], 2)] == ids[3:]
        assert await ledger.replay(conn, ids[:2]) == 1
        assert await ledger.discard(conn, [ids[0], ids[1], ids[2]]) == 1
    left = {row["id"]: row for row in await work.rows()}
    assert list(left) == [ids[0], ids[1], ids[3]]
    assert (left[ids[1]]["is_due"], left[ids[1]]["failures"], left[ids[1]]["last_error"]) == (True, 0, "planted")
    assert left[ids[3]]["dead_at"] is not None


async def test_the_bell_wakes_who_listens_once_for_many_rings(pool: Pool, work: Ledger) -> None:
    bell = ledger.Bell(pool)
    async with connection(pool) as listener, connection(pool) as other:
        await listener.execute(f"LISTEN {CHANNEL}")
        for _ in range(100):
            bell.ring()
        heard = [each.channel async for each in listener.notifies(timeout=10, stop_after=1)]
        assert heard == [CHANNEL]
        await bell.close()
        await other.execute("SELECT pg_notify(%s, 'the end')", (CHANNEL,))
        later = [each.payload async for each in listener.notifies(timeout=10, stop_after=1)]
        assert later == ["the end"]
        await listener.execute("UNLISTEN *")


async def test_a_ring_after_a_ring_is_heard_too(pool: Pool) -> None:
    bell = ledger.Bell(pool)
    async with connection(pool) as listener:
        await listener.execute(f"LISTEN {CHANNEL}")
        for _ in range(3):
            bell.ring()
            assert [each async for each in listener.notifies(timeout=10, stop_after=1)]
        await listener.execute("UNLISTEN *")
    await bell.close()


async def test_the_bell_never_holds_up_nor_fails_the_writer(pool: Pool) -> None:
    bell = ledger.Bell(pool)
    async with asyncio.timeout(10):
        async with connection(pool), connection(pool), connection(pool), connection(pool):
            bell.ring()  # no connection is free
        await pool.close()
        bell.ring()
        await bell.close()
        bell.ring()
        await bell.close()
