"""Home timelines against the truth in SQL, with the ledgers' work done late, twice, in any order, or never."""

import random

import pytest
from kodama.page.v1.window_pb2 import Window

from services.timeline import home
from tests.world import World


async def test_a_friends_status_is_there_at_once_and_again_when_delivered(world: World) -> None:
    ann, bob, eve = await world.members(3)
    await world.befriend(ann, bob)
    await world.drain()
    await world.home(bob)  # from now on entries are pushed to Bob
    posted = await world.post(ann)
    assert await world.home(bob) == [posted]
    assert world.pushed(bob) == []
    await world.drain()
    assert world.pushed(bob) == [posted]
    assert await world.home(bob) == [posted]
    assert await world.home(ann) == [posted]
    assert await world.home(eve) == []


async def test_what_two_friends_post_at_the_same_moment_shares_a_row_and_is_there_at_once(world: World) -> None:
    ann, bob, eve = await world.members(3)
    for friend in (ann, bob):
        await world.befriend(friend, eve)
    await world.drain()
    await world.home(eve)
    posted = await world.post_together([ann, bob])
    [work] = [work for work in world.open_work() if work.task == "timeline.fan_out"]
    assert {change["entry_id"] for change in work.payload} == set(posted)
    newest_first = sorted(posted, reverse=True)
    assert await world.home(eve) == newest_first
    await world.drain()
    assert world.pushed(eve) == newest_first
    assert await world.home(eve) == newest_first


async def test_nothing_is_pushed_to_who_never_reads(world: World) -> None:
    ann, bob = await world.members(2)
    await world.befriend(ann, bob)
    posted = await world.post(ann)
    await world.drain()
    assert world.pushed(bob) == []
    assert await world.home(bob) == [posted]


async def test_a_dormant_member_comes_back_to_a_full_page(world: World) -> None:
    ann, bob = await world.members(2)
    await world.befriend(ann, bob)
    await world.home(bob)
    await world.drain()
    world.query("UPDATE timeline.homes SET active_at = now() - interval '15 days' RETURNING 1")
    missed = [await world.post(ann, f"{number}") for number in range(3)]
    await world.drain()
    assert world.pushed(bob) == []
    assert await world.home(bob) == missed[::-1]
    posted = await world.post(ann, "again")
    await world.drain()
    assert posted in world.pushed(bob)
    assert await world.home(bob) == [posted, *missed[::-1]]


async def test_unfriending_hides_at_once_and_befriending_again_shows_all(world: World) -> None:
    ann, bob = await world.members(2)
    await world.befriend(ann, bob)
    await world.home(bob)
    first = await world.post(ann, "1")
    await world.drain()
    await world.unfriend(bob, ann)
    assert await world.home(bob) == []
    second = await world.post(ann, "2")
    await world.befriend(bob, ann)
    await world.drain(random.Random(7))
    assert await world.home(bob) == [second, first]


async def test_muting_hides_for_one_and_unmuting_shows_all_again(world: World) -> None:
    ann, bob = await world.members(2)
    await world.befriend(ann, bob)
    await world.home(bob)
    seen = [await world.post(ann, "1"), await world.write(ann)]
    await world.drain()
    own = await world.post(bob, "mine")
    await world.mute(bob, ann)
    assert await world.home(bob) == [own]
    assert await world.home(ann) == [own, *seen[::-1]]
    seen.append(await world.post(ann, "2"))  # while muted: pushed, and not shown
    await world.drain()
    assert await world.home(bob) == [own]
    await world.unmute(bob, ann)
    assert await world.home(bob) == [seen[2], own, seen[1], seen[0]]


async def test_a_page_is_full_however_many_posts_are_muted(world: World) -> None:
    ann, bob, eve = await world.members(3)
    for friend in (ann, eve):
        await world.befriend(friend, bob)
    await world.home(bob)
    seen = [await world.post(eve, f"{number}") for number in range(3)]
    for number in range(60):
        await world.post(ann, f"{number}")
    await world.drain()
    await world.mute(bob, ann)
    assert await world.home(bob, limit=2) == seen[:0:-1]
    assert await world.home(bob, limit=2, min_id=1) == seen[1::-1]


async def test_a_mute_that_ends_by_itself_shows_all_again(world: World) -> None:
    ann, bob = await world.members(2)
    await world.befriend(ann, bob)
    posted = await world.post(ann)
    await world.mute(bob, ann, seconds=3600)
    assert await world.home(bob) == []
    world.query("UPDATE social_graph.mutes SET expires_at = now() RETURNING 1")
    assert await world.home(bob) == [posted] == world.true_home(bob)


async def test_blocking_hides_at_once(world: World) -> None:
    ann, bob = await world.members(2)
    await world.befriend(ann, bob)
    await world.home(bob)
    await world.post(ann)
    await world.drain()
    await world.block(ann, bob)
    assert await world.home(bob) == []


async def test_deleted_statuses_leave_no_gap_in_the_page(world: World) -> None:
    ann, bob = await world.members(2)
    await world.befriend(ann, bob)
    await world.home(bob)
    posted = [await world.post(ann, f"{number}") for number in range(30)]
    await world.drain()
    for status_id in posted[5:25]:
        await world.delete(ann, status_id)
    assert await world.home(bob, limit=10) == [*posted[:24:-1], *posted[4::-1]]


async def test_paging_down_and_up_visits_everything_once(world: World) -> None:
    ann, bob, cid = await world.members(3)
    await world.befriend(ann, bob)
    old = [await world.post(ann, f"old {number}") for number in range(7)]
    await world.home(bob)
    await world.befriend(bob, cid)
    new = [await world.post(author, f"new {n}") for n, author in enumerate((ann, bob, cid, bob, cid, ann))]
    entry = await world.write(cid)
    await world.drain(random.Random(1))
    later = await world.post(cid, "open")
    everything = [later, entry, *new[::-1], *old[::-1]]
    assert world.true_home(bob) == everything
    downwards: list[int] = []
    while page := await world.home(bob, limit=3, max_id=downwards[-1] if downwards else 0):
        downwards += page
    assert downwards == everything
    upwards: list[int] = []
    while page := await world.home(bob, limit=3, min_id=upwards[0] if upwards else 1):
        upwards = page + upwards
    assert upwards == everything
    assert await world.home(bob, since_id=new[3]) == everything[: everything.index(new[3])]


async def test_others_private_diary_stays_private(world: World) -> None:
    ann, bob = await world.members(2)
    await world.befriend(ann, bob)
    own = await world.write(ann, visibility=4)
    await world.drain()
    assert await world.home(bob) == []
    assert await world.home(ann) == [own]


async def test_imported_friendships_show_old_posts_to_active_readers(world: World) -> None:
    ann, bob, cid = await world.members(3)
    await world.home(bob)
    posted = [await world.post(ann), await world.post(cid)]
    await world.drain()
    await world.import_friendships([(ann, bob), (bob, cid)])
    assert await world.home(bob) == posted[::-1]
    await world.drain()
    assert await world.home(bob) == posted[::-1]
    posted.append(await world.post(ann))
    await world.drain()
    assert await world.home(bob) == posted[::-1]


async def test_any_order_and_repetition_of_work_ends_in_the_same_page(world: World) -> None:
    chance = random.Random(20091123)
    members = await world.members(5)
    for member in members[:3]:
        await world.home(member)
    for step in range(60):
        left, right = chance.sample(members, 2)
        match chance.choice(("befriend", "unfriend", "post", "post", "write")):
            case "befriend":
                await world.befriend(left, right)
            case "unfriend":
                await world.unfriend(left, right)
            case "post":
                await world.post(left)
            case "write":
                await world.write(left)
        rows = world.open_work()
        for work in chance.sample(rows, min(len(rows), 2)):
            await world.do(work)
            if chance.random() < 0.7:
                world.strike(work)
        for member in members:
            assert await world.home(member) == world.true_home(member)[:40], f"after step {step}"


async def test_a_page_goes_on_below_where_pushing_began_while_a_backfill_waits(world: World) -> None:
    ann, bob, new = await world.members(3)
    await world.befriend(ann, bob)
    old = [await world.post(ann, f"old {number}") for number in range(30)]
    await world.drain()
    await world.home(bob)
    world.use_cases.upkeep._fill_entries = 5  # what is older is pulled
    await world.drain()
    await world.befriend(bob, new)  # its backfill waits
    posted = [await world.post(new, f"new {number}") for number in range(12)]
    for work in world.open_work():
        if work.task == "timeline.fan_out":  # only the bulk queue is held
            await world.do(work)
            world.strike(work)
    everything = [*posted[::-1], *old[::-1]]
    assert await world.home(bob, limit=20) == everything[:20]
    walked: list[int] = []
    while page := await world.home(bob, limit=20, max_id=walked[-1] if walked else 0):
        walked += page
    assert walked == everything


async def _muted_between_two(world: World, count: int) -> tuple[int, list[int]]:
    """Return a reader and the four posts that they see: so many that are muted stand between the first two and the last two."""
    ann, bob, eve = await world.members(3)
    for friend in (ann, eve):
        await world.befriend(friend, bob)
    await world.home(bob)
    seen = [await world.post(eve, f"{number}") for number in range(2)]
    await world.post(ann)
    await world.drain()
    world.query(
        f"""
        SET search_path = status;
        WITH posted AS (
            INSERT INTO statuses (account_id, id, text, visibility)
            SELECT {ann}, next_id(1), 'muted', 1 FROM generate_series(1, {count}) RETURNING id
        )
        INSERT INTO timeline.entries SELECT {bob}, id, {ann} FROM posted RETURNING entry_id
        """
    )
    world.query("RESET search_path; SELECT 1")
    seen += [await world.post(eve, f"{number}") for number in range(2)]
    await world.drain()
    await world.mute(bob, ann)
    return bob, seen[::-1]


async def test_a_page_goes_on_past_fifteen_thousand_muted_posts(world: World) -> None:
    bob, seen = await _muted_between_two(world, 15_000)
    assert await _walk(world, bob, limit=4) == seen
    assert await _walk(world, bob, limit=4, is_upwards=True) == seen


async def test_a_short_page_says_from_where_to_read_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "MAX_SCANS", 2)
    bob, seen = await _muted_between_two(world, 200)
    short = await world.home_page(bob, Window(limit=4))
    assert [entry.entry_id for entry in short.entries] == seen[:2]
    assert seen[2] < short.older_id < seen[1]
    empty = await world.home_page(bob, Window(limit=4, max_id=short.older_id))
    assert not empty.entries
    assert 0 < empty.older_id < short.older_id
    assert await _walk(world, bob, limit=4) == seen
    assert await _walk(world, bob, limit=4, is_upwards=True) == seen
    monkeypatch.setattr(home, "MAX_SCANS", 30)
    monkeypatch.setattr(home, "SCAN_SECONDS", 0.0)
    assert await _walk(world, bob, limit=1) == seen


async def _walk(world: World, account_id: int, *, limit: int, is_upwards: bool = False) -> list[int]:
    """Return what a reader sees who goes on from where each page says, until it says nothing new."""
    seen: list[int] = []
    cursor = 1 if is_upwards else 0
    while True:
        window = Window(limit=limit, min_id=cursor) if is_upwards else Window(limit=limit, max_id=cursor)
        page = await world.home_page(account_id, window)
        found = [entry.entry_id for entry in page.entries]
        seen = found + seen if is_upwards else seen + found
        cursor = page.newer_id if is_upwards else page.older_id
        if not cursor:
            return seen
