"""What operators do to home timelines: look, verify, repair, push anew, trim; and readers who notice none of it."""

import asyncio
from contextlib import AsyncExitStack, suppress
from typing import cast

import pytest
from kodama.timeline.v1 import timeline_service_pb2 as pb

from chassis.caller import OPERATOR, Signer
from chassis.database import Pool, connection, make_pool
from chassis.errors import InvalidField, NotFound
from chassis.housekeeping import repeat
from chassis.ledger import Bell
from chassis.rpc import call
from services.cli.timeline_command import describe
from services.timeline.activation import Activation
from services.timeline.domain import NEVER_PUSHED
from services.timeline.retention import Retention
from tests.integration.timeline.scene import Died, MortalPool
from tests.world import World


async def _explain(world: World, account_id: int) -> pb.ExplainHomeResponse:
    request = pb.ExplainHomeRequest(account_id=account_id)
    return await call(world.timelines.ExplainHome, request, _operator(world), timeout_seconds=20)


async def _verify(world: World, account_id: int, *, repair: bool = False) -> tuple[int, int, int]:
    request = pb.VerifyHomeRequest(account_id=account_id, repair=repair)
    found = await call(world.timelines.VerifyHome, request, _operator(world), timeout_seconds=20)
    return found.expected, found.missing, found.stale


async def _unfilled(world: World, account_id: int, *, repair: bool = False) -> bool:
    request = pb.VerifyHomeRequest(account_id=account_id, repair=repair)
    found = await call(world.timelines.VerifyHome, request, _operator(world), timeout_seconds=20)
    assert found.repaired == (repair and found.is_unfilled)
    return found.is_unfilled


async def _trim(world: World, keep_days: int) -> pb.TrimEntriesResponse:
    request = pb.TrimEntriesRequest(keep_days=keep_days)
    return await call(world.timelines.TrimEntries, request, _operator(world), timeout_seconds=20)


def _operator(world: World) -> Signer:
    return Signer(OPERATOR, world.settings.derive("rpc"))


async def _reader_and_author(world: World) -> tuple[int, int]:
    ann, bob = await world.members(2)
    await world.befriend(ann, bob)
    await world.home(bob)
    await world.drain()
    return bob, ann


async def test_verify_finds_what_is_missing_and_stale_and_repairs_it(world: World) -> None:
    bob, ann = await _reader_and_author(world)
    posted = [await world.post(ann, f"{number}") for number in range(5)]
    await world.drain()
    assert await _verify(world, bob) == (5, 0, 0)
    world.query("DELETE FROM timeline.entries WHERE entry_id = ANY(%s) RETURNING 1", posted[:2])
    old = posted[0] - (60_000 << 16)
    world.query("UPDATE timeline.homes SET pushed_from = %s RETURNING 1", old)
    world.query("INSERT INTO timeline.entries VALUES (%s, %s, %s) RETURNING 1", bob, old, ann)
    assert await _verify(world, bob) == (5, 2, 1)
    assert await world.home(bob) == posted[:1:-1]
    assert await _verify(world, bob, repair=True) == (5, 2, 1)
    assert await _verify(world, bob) == (5, 0, 0)
    assert world.pushed(bob) == posted[::-1]
    assert await world.home(bob) == posted[::-1]


async def test_what_a_sleeper_was_passed_over_with_is_not_missing(world: World) -> None:
    bob, ann = await _reader_and_author(world)
    world.query("UPDATE timeline.homes SET active_at = now() - interval '15 days' RETURNING 1")
    await world.post(ann)
    await world.drain()
    assert world.pushed(bob) == []
    assert await _verify(world, bob) == (0, 0, 0)


async def test_what_is_open_is_not_missing(world: World) -> None:
    bob, ann = await _reader_and_author(world)
    await world.post(ann)
    assert await _verify(world, bob) == (1, 0, 0)


async def test_explain_says_what_is_pushed_pulled_and_open(world: World) -> None:
    [stranger] = await world.members(1)
    bob, ann = await _reader_and_author(world)
    assert "Has never read" in " ".join(describe(await _explain(world, stranger)))
    posted = await world.post(ann)
    waiting = await _explain(world, bob)
    assert (list(waiting.open_entry_ids), waiting.pushed_entries, waiting.friends) == ([posted], 0, 1)
    await world.drain()
    delivered = await _explain(world, bob)
    assert (list(delivered.open_entry_ids), delivered.pushed_entries) == ([], 1)
    assert "Pushed: 1 entries" in " ".join(describe(delivered))
    world.query("UPDATE timeline.homes SET active_at = now() - interval '15 days' RETURNING 1")
    assert "nothing is pushed any more" in " ".join(describe(await _explain(world, bob)))


async def test_authors_with_too_many_friends_are_pulled(world: World) -> None:
    world.use_cases.fan_out._max_pushed_friends = 1
    bob, ann = await _reader_and_author(world)
    [cid] = await world.members(1)
    await world.befriend(ann, cid)
    posted = await world.post(ann)
    await world.drain()
    assert world.pushed(bob) == []
    assert await world.home(bob) == await world.home(cid) == [posted]
    assert list((await _explain(world, bob)).pulled_author_ids) == [ann]
    assert await _verify(world, bob) == (0, 0, 0)


async def test_rebuild_pushes_anew_and_readers_notice_nothing(world: World) -> None:
    bob, ann = await _reader_and_author(world)
    posted = [await world.post(ann, f"{number}") for number in range(3)]
    await world.drain()
    world.query("INSERT INTO timeline.entries VALUES (%s, %s, %s) RETURNING 1", bob, posted[0] - 4, ann)
    request = pb.RebuildHomeRequest(account_id=bob)
    await call(world.timelines.RebuildHome, request, _operator(world), timeout_seconds=20)
    assert world.pushed(bob) == []
    assert await world.home(bob) == posted[::-1]
    await world.drain()
    assert world.pushed(bob) == posted[::-1]
    assert await world.home(bob) == posted[::-1]
    stranger = pb.RebuildHomeRequest(account_id=ann)
    with pytest.raises(NotFound):
        await call(world.timelines.RebuildHome, stranger, _operator(world), timeout_seconds=20)


async def _old_entry(world: World, bob: int, ann: int) -> int:
    """Have a post of 50 days ago be stored as one that was pushed then; return its id."""
    old = await world.post(ann, "old")
    await world.drain()
    long_ago = old - ((50 * 86_400_000) << 16)
    world.query("DELETE FROM timeline.entries RETURNING 1")
    world.query("UPDATE status.statuses SET id = %s WHERE id = %s RETURNING 1", long_ago, old)
    world.query("UPDATE timeline.retention SET floor_id = 0 RETURNING 1")
    week = (7 * 86_400_000) << 16
    number = long_ago // week
    world.query(
        f"CREATE TABLE timeline.entries_{number} PARTITION OF timeline.entries"
        f" FOR VALUES FROM ({number * week}) TO ({(number + 1) * week}); SELECT 1"
    )
    world.query("UPDATE timeline.homes SET pushed_from = 0 RETURNING 1")
    world.query("INSERT INTO timeline.entries VALUES (%s, %s, %s) RETURNING 1", bob, long_ago, ann)
    world.query("INSERT INTO timeline.deliveries VALUES (%s) RETURNING 1", long_ago)
    return long_ago


async def test_trimming_drops_old_partitions_and_scrolling_goes_on(world: World) -> None:
    bob, ann = await _reader_and_author(world)
    long_ago = await _old_entry(world, bob, ann)
    new = await world.post(ann, "new")
    await world.drain()
    assert await world.home(bob) == [new, long_ago]
    done = await _trim(world, 30)
    assert done.dropped_partitions == 1
    assert long_ago < done.floor_id < new
    assert world.pushed(bob) == [new]
    assert world.query("SELECT count(*) FROM timeline.deliveries WHERE entry_id = %s", long_ago) == [(0,)]
    assert await world.home(bob) == [new, long_ago]
    assert (await _trim(world, 30)).dropped_partitions == 0
    with pytest.raises(InvalidField, match="keep_days"):
        await _trim(world, 1)


async def test_old_entries_go_by_themselves_though_several_processes_see_to_it(world: World) -> None:
    bob, ann = await _reader_and_author(world)
    long_ago = await _old_entry(world, bob, ann)
    url = world.settings.service_database_url("timeline")
    async with AsyncExitStack() as stack:
        for _ in range(3):
            pool = await stack.enter_async_context(make_pool(url, size=2, application="test"))
            trim_step = Retention(pool, keep_days=30).trim_step
            await stack.enter_async_context(repeat("entries.trim", trim_step, pool, interval_seconds=0.01))
        async with asyncio.timeout(20):
            while not world.query("SELECT 1 FROM timeline.chores WHERE name = 'entries.trim' AND done_at IS NOT NULL"):
                await asyncio.sleep(0.01)
    assert world.query("SELECT last_error FROM timeline.chores WHERE name = 'entries.trim'") == [("",)]
    assert world.pushed(bob) == []
    assert world.query("SELECT count(*) FROM timeline.deliveries WHERE entry_id = %s", long_ago) == [(0,)]
    assert await world.home(bob) == [long_ago]


async def test_partitions_ahead_come_by_themselves(world: World) -> None:
    dropped = world.query(
        "SELECT max(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'timeline.entries'::regclass"
    )[0][0]
    world.query(f"DROP TABLE {dropped}; SELECT 1")
    async with make_pool(world.settings.service_database_url("timeline"), size=2, application="test") as pool:
        prepare_step = Retention(pool, keep_days=30).prepare_step
        async with repeat("entries.prepare", prepare_step, pool, interval_seconds=0.01), asyncio.timeout(20):
            while not world.query("SELECT 1 FROM pg_class WHERE oid = to_regclass(%s)", dropped):
                await asyncio.sleep(0.01)


async def test_a_first_read_that_is_cut_off_at_any_point_is_pushed_to_soon(world: World) -> None:
    bob, ann = (await world.members(2))[::-1]
    await world.befriend(ann, bob)
    await world.drain()
    url = world.settings.service_database_url("timeline")
    async with make_pool(url, size=2, application="cut") as pool:
        for transactions in range(3):
            mortal = MortalPool(pool)
            mortal.transactions_left = transactions
            with suppress(Died):
                await Activation(cast(Pool, mortal), Bell(pool), 14).activate(bob)
            homes = world.query("SELECT 1 FROM timeline.homes")
            assert bool(homes) == any(work.task == "timeline.fill" for work in world.open_work())
            await world.drain()
            assert not world.query("SELECT 1 FROM timeline.homes WHERE pushed_from = %s", NEVER_PUSHED)
            world.query("DELETE FROM timeline.homes RETURNING 1")


async def test_whose_fill_was_lost_is_found_and_filled(world: World) -> None:
    bob, ann = await _reader_and_author(world)
    posted = await world.post(ann)
    await world.drain()
    world.query(
        "UPDATE timeline.homes SET pushed_from = %s, active_at = now() - interval '30 minutes' RETURNING 1",
        NEVER_PUSHED,
    )
    assert await _unfilled(world, bob)
    assert await world.home(bob) == [posted]
    async with make_pool(world.settings.service_database_url("timeline"), size=2, application="chore") as pool:
        activation = Activation(pool, Bell(pool), 14)
        async with connection(pool) as conn:
            assert await activation.resume_step(conn) == 1
            assert await activation.resume_step(conn) == 0  # it is open now
    assert not await _unfilled(world, bob)
    await world.drain()
    assert world.query("SELECT pushed_from FROM timeline.homes") == [(0,)]
    world.query("UPDATE timeline.homes SET pushed_from = %s RETURNING 1", NEVER_PUSHED)
    assert await _unfilled(world, bob, repair=True)
    await world.drain()
    assert world.query("SELECT pushed_from FROM timeline.homes") == [(0,)]
    assert await world.home(bob) == [posted]
