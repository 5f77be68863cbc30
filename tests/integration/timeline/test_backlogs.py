"""A backlog of messages of one post each: delivered together, and what cannot be delivered fails alone."""

import asyncio
from collections.abc import Sequence

import pytest

from services.timeline.domain import Entry
from services.timeline.fan_out import MAX_AT_ONCE, SMALL
from tests.world import Work, World

POSTS = 20


async def backlog(world: World, posts: int) -> tuple[int, list[Work], list[int]]:
    """Return a reader, the work of so many posts, each in a message of its own, and the posts' ids, newest first."""
    ann, bob = await world.members(2)
    await world.befriend(ann, bob)
    await world.drain()
    await world.home(bob)
    await world.drain()
    posted = [await world.post(ann, f"{number}") for number in range(posts)]
    return bob, [work for work in world.open_work() if work.task == "timeline.fan_out"], posted[::-1]


async def test_small_messages_that_wait_are_delivered_together(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, works, posted = await backlog(world, POSTS)
    publications = world.use_cases.fan_out._publications
    ask, asked = publications.published, []

    async def note(entry_ids: Sequence[int]) -> list[Entry]:
        asked.append(list(entry_ids))
        await asyncio.sleep(0.05)  # until all others stand in line
        return await ask(entry_ids)

    monkeypatch.setattr(publications, "published", note)
    await asyncio.gather(*(world.do(work) for work in works))
    assert world.pushed(reader) == posted
    assert len(asked) <= MAX_AT_ONCE + 1
    assert sorted(an_id for ids in asked for an_id in ids) == sorted(posted), "one was delivered twice"


async def test_one_that_cannot_be_delivered_fails_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, works, posted = await backlog(world, POSTS)
    publications = world.use_cases.fan_out._publications
    ask = publications.published

    async def refuse_one(entry_ids: Sequence[int]) -> list[Entry]:
        await asyncio.sleep(0.05)
        if posted[7] in entry_ids:
            raise RuntimeError("planted")
        return await ask(entry_ids)

    monkeypatch.setattr(publications, "published", refuse_one)
    ended = await asyncio.gather(*(world.do(work) for work in works), return_exceptions=True)
    assert sum(isinstance(end, RuntimeError) for end in ended) == 1
    assert sum(end is None for end in ended) == POSTS - 1
    assert world.pushed(reader) == [an_id for an_id in posted if an_id != posted[7]]


async def test_a_large_message_goes_by_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, _, posted = await backlog(world, SMALL)
    fan_out = world.use_cases.fan_out
    publications = fan_out._publications
    ask, asked = publications.published, []

    async def note(entry_ids: Sequence[int]) -> list[Entry]:
        asked.append(len(entry_ids))
        return await ask(entry_ids)

    monkeypatch.setattr(publications, "published", note)
    await asyncio.gather(fan_out.deliver_soon(posted), fan_out.deliver_soon(posted[:1]))
    assert sorted(asked) == [1, SMALL]
    assert world.pushed(reader) == posted
