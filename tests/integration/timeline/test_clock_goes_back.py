"""A clock that goes back by minutes hides nothing that is posted after it."""

import pytest

from chassis.errors import Unavailable
from tests.world import World

TEN_MINUTES = 600


async def test_what_is_posted_after_the_clock_went_back_is_the_latest(world: World) -> None:
    ann, bob = await world.members(2)
    await world.befriend(ann, bob)
    await world.home(bob)
    await world.drain()
    before = [await world.post(ann, f"{number}") for number in range(3)]
    await world.drain()
    world.set_clock(-TEN_MINUTES)
    new = [await world.post(ann, f"after {number}") for number in range(2)]
    for is_delivered in (False, True):
        assert (await world.home(bob))[:2] == new[::-1]
        assert await world.home(bob, since_id=before[-1]) == new[::-1]
        assert await world.home(bob, min_id=before[-1]) == new[::-1]
        assert await world.home(bob) == world.true_home(bob)
        assert await world.latest(ann, 2) == new[::-1]
        if not is_delivered:
            await world.drain()
    assert world.pushed(bob)[:2] == new[::-1]


async def test_who_begins_to_read_while_ids_are_ahead_relies_on_nothing_that_was_not_pushed(world: World) -> None:
    ann, bob = await world.members(2)
    await world.befriend(ann, bob)
    await world.drain()
    world.set_clock(TEN_MINUTES)
    await world.post(ann)
    world.set_clock(0)
    missed = await world.post(ann, "fanned out while nobody read")
    [work] = [work for work in world.open_work() if str(missed) in str(work.payload)]
    await world.do(work)
    world.strike(work)
    await world.home(bob)
    assert await world.home(bob) == world.true_home(bob)
    await world.drain()  # the fill among it
    assert await world.home(bob) == world.true_home(bob)
    await world.post(ann, "after the fill")
    assert await world.home(bob) == world.true_home(bob)
    await world.drain()
    assert await world.home(bob) == world.true_home(bob)


async def test_a_clock_that_is_far_behind_takes_no_posts_and_hides_none(world: World) -> None:
    ann, bob = await world.members(2)
    await world.befriend(ann, bob)
    posted = await world.post(ann)
    world.set_clock(-24 * 3600)
    with pytest.raises(Unavailable):
        await world.post(ann)
    assert await world.home(bob) == [posted]
    world.set_clock(0)
    assert await world.post(ann) > posted
