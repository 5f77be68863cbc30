"""Favourites: counted once, listed for whom may see them, never out of step with their count."""

import asyncio

import pytest

from chassis.errors import InvalidField, NotFound
from tests.integration.status.conftest import DIRECT, FRIENDS, Wall


async def test_a_favourite_counts_once_and_can_be_taken_back(wall: Wall) -> None:
    author, friend = await wall.friends(2)
    status = await wall.post(author)
    for _ in range(2):
        favoured = await wall.favourite(friend, status.id)
        assert (favoured.is_favourited, favoured.favourites_count) == (True, 1)
    assert (await wall.favourite(author, status.id)).favourites_count == 2
    [seen] = (await wall.get(friend, status.id)).values()
    assert (seen.is_favourited, seen.favourites_count, seen.version) == (True, 2, status.version)
    assert not (await wall.get(0, status.id))[status.id].is_favourited
    for _ in range(2):
        taken_back = await wall.unfavourite(friend, status.id)
        assert (taken_back.is_favourited, taken_back.favourites_count) == (False, 1)
    assert not wall.drift()


async def test_only_what_one_may_see_can_be_favoured(wall: Wall) -> None:
    author, friend, stranger, blocked = await wall.friends(4)
    await wall.world.unfriend(author, stranger)
    await wall.world.block(blocked, author)
    public, private = await wall.post(author), await wall.post(author, visibility=FRIENDS)
    direct = await wall.post(author, visibility=DIRECT)
    for who, status in ((stranger, private), (blocked, public), (friend, direct)):
        for change in (wall.favourite, wall.unfavourite):
            with pytest.raises(NotFound):
                await change(who, status.id)
        with pytest.raises(NotFound):
            await wall.favoured_by(who, status.id)
    with pytest.raises(NotFound):
        await wall.favourite(friend, public.id + 4)
    with pytest.raises(InvalidField):
        await wall.favourite(0, public.id)


async def test_many_at_once_count_once_each(wall: Wall) -> None:
    """The same member with several clicks, and others at the same time; then the same the other way round."""
    author, *friends = await wall.friends(4)
    status = await wall.post(author)
    await asyncio.gather(*(wall.favourite(friend, status.id) for friend in friends * 4))
    assert (await wall.get(author, status.id))[status.id].favourites_count == 3
    mixed = [*(wall.unfavourite(friend, status.id) for friend in friends * 3), wall.favourite(author, status.id)]
    await asyncio.gather(*mixed)
    assert (await wall.get(author, status.id))[status.id].favourites_count == 1
    await asyncio.gather(
        *(change(friend, status.id) for friend in friends * 3 for change in (wall.favourite, wall.unfavourite))
    )
    assert not wall.drift()


async def test_favouring_what_is_being_deleted(wall: Wall) -> None:
    author, friend = await wall.friends(2)
    for _ in range(8):
        status = await wall.post(author)
        results = await asyncio.gather(
            wall.favourite(friend, status.id), wall.delete(author, status.id), return_exceptions=True
        )
        assert isinstance(results[0], NotFound) or not isinstance(results[0], BaseException), results[0]
        assert not isinstance(results[1], BaseException), results[1]
    assert (await wall.favourites(friend)).statuses == []
    assert not wall.world.query("SELECT FROM status.favourites WHERE status_id NOT IN (SELECT id FROM status.statuses)")


async def test_what_a_member_favours_is_paged_by_when_they_favoured_it(wall: Wall) -> None:
    author, friend = await wall.friends(2)
    posted = [(await wall.post(author, f"{number}")).id for number in range(5)]
    order = [posted[2], posted[0], posted[4], posted[1], posted[3]]
    for status_id in order:
        await wall.favourite(friend, status_id)
    first = await wall.favourites(friend, limit=2)
    assert [one.id for one in first.statuses] == order[:2:-1]
    assert all(one.is_favourited for one in first.statuses)
    assert not first.is_end
    rest = await wall.favourites(friend, limit=4, max_id=first.oldest_favourite_id)
    assert [one.id for one in rest.statuses] == order[2::-1]
    assert rest.is_end
    above = await wall.favourites(friend, limit=2, min_id=rest.oldest_favourite_id)
    assert [one.id for one in above.statuses] == order[2:0:-1]
    assert (await wall.favourites(author)).statuses == []


async def test_a_page_of_favourites_is_full_though_some_cannot_be_seen_any_more(wall: Wall) -> None:
    author, friend, other = await wall.friends(3)
    await wall.world.befriend(friend, other)
    kept = [(await wall.post(author, visibility=FRIENDS)).id for _ in range(3)]
    lost = [(await wall.post(other, visibility=FRIENDS)).id for _ in range(6)]
    for status_id in (kept[0], *lost[:3], kept[1], *lost[3:], kept[2]):
        await wall.favourite(friend, status_id)
    await wall.world.unfriend(friend, other)
    page = await wall.favourites(friend, limit=2)
    assert [one.id for one in page.statuses] == [kept[2], kept[1]]
    rest = await wall.favourites(friend, limit=2, max_id=page.oldest_favourite_id)
    assert [one.id for one in rest.statuses] == [kept[0]]
    assert rest.is_end
    up = await wall.favourites(friend, limit=3, min_id=1)
    assert [one.id for one in up.statuses] == kept[::-1]


async def test_who_favours_a_status_is_listed_without_whom_a_block_hides(wall: Wall) -> None:
    author, friend, blocker, other = await wall.friends(4)
    status = await wall.post(author)
    for who in (friend, blocker, other):
        await wall.favourite(who, status.id)
    assert [one.account_id for one in (await wall.favoured_by(author, status.id)).favourites] == [
        other,
        blocker,
        friend,
    ]
    await wall.world.block(blocker, other)
    page = await wall.favoured_by(other, status.id, limit=2)
    assert [one.account_id for one in page.favourites] == [other, friend]
    assert [one.account_id for one in (await wall.favoured_by(blocker, status.id)).favourites] == [blocker, friend]
    assert len((await wall.favoured_by(0, status.id)).favourites) == 3
    first = await wall.favoured_by(author, status.id, limit=1)
    second = await wall.favoured_by(author, status.id, limit=1, max_id=first.oldest_favourite_id)
    assert [one.account_id for one in second.favourites] == [blocker]
    assert not second.is_end
