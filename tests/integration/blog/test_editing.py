"""Changing entries against the real schema: the author's own, and only towards fewer readers."""

import asyncio
import itertools
from typing import Any

import pytest
from kodama.blog.v1 import blog_entry_pb2
from kodama.blog.v1 import blog_service_pb2 as pb

from chassis import caller
from chassis.errors import InvalidField, NotFound
from services.blog.domain import Visibility
from tests.integration.blog.conftest import Blog, SocialGraph

AUTHOR, FRIEND, STRANGER = 1, 2, 3


async def publish(blog: Blog, visibility: int = Visibility.PUBLIC) -> blog_entry_pb2.BlogEntry:
    chosen = blog_entry_pb2.Visibility.ValueType(visibility)
    request = pb.CreateBlogEntryRequest(account_id=AUTHOR, title="題", text="文", visibility=chosen)
    entry = (await blog.ask(blog.stub.CreateBlogEntry, request)).blog_entry
    assert isinstance(entry, blog_entry_pb2.BlogEntry)
    return entry


async def update(blog: Blog, entry_id: int, account_id: int = AUTHOR, **change: Any) -> blog_entry_pb2.BlogEntry:
    request = pb.UpdateBlogEntryRequest(account_id=account_id, blog_entry_id=entry_id, **change)
    entry = (await blog.ask(blog.stub.UpdateBlogEntry, request)).blog_entry
    assert isinstance(entry, blog_entry_pb2.BlogEntry)
    return entry


async def read(blog: Blog, viewer_id: int, entry_id: int) -> list[blog_entry_pb2.BlogEntry]:
    request = pb.BatchGetBlogEntriesRequest(viewer_id=viewer_id, blog_entry_ids=[entry_id])
    return list((await blog.ask(blog.stub.BatchGetBlogEntries, request)).blog_entries)


async def test_a_change_is_seen_and_told(blog: Blog) -> None:
    entry = await publish(blog)
    assert entry.edited_at_ms == 0
    changed = await update(blog, entry.id, text=" 新しい\r\n文 ")
    assert (changed.title, changed.text, changed.version) == ("題", "新しい\n文", 2)
    assert changed.edited_at_ms >= entry.created_at_ms
    assert (changed.id, changed.created_at_ms) == (entry.id, entry.created_at_ms)
    assert await read(blog, 0, entry.id) == [changed]
    again = await update(blog, entry.id, title="T")
    assert (again.title, again.text, again.version) == ("T", "新しい\n文", 3)
    assert again.edited_at_ms >= changed.edited_at_ms
    payload = {"entry_id": entry.id, "author_id": AUTHOR}
    assert blog.work() == [("timeline.fan_out", payload), ("timeline.revise", payload), ("timeline.revise", payload)]


async def test_a_change_to_the_same_changes_nothing(blog: Blog) -> None:
    entry = await publish(blog)
    for change in ({}, {"title": "題"}, {"text": "文", "visibility": 1}):
        assert await update(blog, entry.id, **change) == entry
    assert len(blog.work()) == 1


async def test_visibility_is_only_narrowed(blog: Blog) -> None:
    for before, after in itertools.product(Visibility, repeat=2):
        entry = await publish(blog, before)
        if after < before:
            with pytest.raises(InvalidField) as error:
                await update(blog, entry.id, title="T", visibility=after)
            assert error.value.metadata == {"field": "visibility"}
            assert await read(blog, AUTHOR, entry.id) == [entry]
            continue
        narrowed = await update(blog, entry.id, visibility=after)
        assert (int(narrowed.visibility), narrowed.edited_at_ms) == (after, 0), "what it says has not changed"
        is_hidden = after is Visibility.SELF and before is not Visibility.SELF
        tasks = [
            task for task, payload in blog.work() if payload["entry_id"] == entry.id and task != "timeline.fan_out"
        ]
        assert tasks == ["timeline.revise"] * (before != after) + ["timeline.retract"] * is_hidden


async def test_narrowing_holds_from_its_commit(blog: Blog, social_graph: SocialGraph) -> None:
    social_graph.befriend((AUTHOR, FRIEND))
    entry = await publish(blog)
    assert len(await read(blog, STRANGER, entry.id)) == 1
    await update(blog, entry.id, visibility=Visibility.FRIENDS)
    assert await read(blog, STRANGER, entry.id) == []
    assert await read(blog, 0, entry.id) == []
    assert len(await read(blog, FRIEND, entry.id)) == 1
    await update(blog, entry.id, visibility=Visibility.SELF)
    assert await read(blog, FRIEND, entry.id) == []
    request = pb.FilterHomeBlogEntriesRequest(viewer_id=FRIEND, blog_entry_ids=[entry.id])
    assert not (await blog.ask(blog.stub.FilterHomeBlogEntries, request, caller.TIMELINE)).blog_entry_ids
    assert len(await read(blog, AUTHOR, entry.id)) == 1


async def test_only_the_author_may(blog: Blog) -> None:
    entry = await publish(blog)
    for account_id, entry_id in ((FRIEND, entry.id), (0, entry.id), (AUTHOR, entry.id + 4)):
        with pytest.raises(NotFound) as error:
            await update(blog, entry_id, account_id, text="x")
        assert error.value.metadata == {"resource": "blog_entry"}
    assert await read(blog, AUTHOR, entry.id) == [entry]


async def test_a_wrong_change_is_refused(blog: Blog) -> None:
    entry = await publish(blog)
    for change, field in (
        ({"title": ""}, "title"),
        ({"title": "a\nb"}, "title"),
        ({"text": " "}, "text"),
        ({"text": "x" * 50_001}, "text"),
        ({"visibility": 9}, "visibility"),
    ):
        with pytest.raises(InvalidField) as error:
            await update(blog, entry.id, **change)
        assert error.value.metadata == {"field": field}
    assert await read(blog, AUTHOR, entry.id) == [entry]


async def test_the_same_key_changes_once_and_changes_at_once_all_count(blog: Blog) -> None:
    entry = await publish(blog)
    first = await update(blog, entry.id, text="one", request_id="k")
    await update(blog, entry.id, text="two")
    assert await update(blog, entry.id, text="one", request_id="k") == first
    assert (await read(blog, AUTHOR, entry.id))[0].text == "two"
    await asyncio.gather(*(update(blog, entry.id, title=f"t{number}") for number in range(8)))
    assert (await read(blog, AUTHOR, entry.id))[0].version == 3 + 8
