"""Reading against the real schema: each entry only by whom may see it now."""

from collections.abc import Iterable, Sequence

import pytest
from kodama.blog.v1 import blog_entry_pb2
from kodama.blog.v1 import blog_service_pb2 as pb
from kodama.page.v1.window_pb2 import Window

from chassis import caller
from chassis.errors import InvalidField, Unavailable
from services.blog.domain import Visibility
from tests.integration.blog.conftest import Blog, SocialGraph

AUTHOR, FRIEND, FRIEND_OF_FRIEND, STRANGER, BLOCKER, BLOCKED, ANYBODY = 1, 2, 3, 4, 5, 6, 0

SEEN = {
    AUTHOR: set(Visibility),
    FRIEND: {Visibility.PUBLIC, Visibility.FRIENDS_OF_FRIENDS, Visibility.FRIENDS},
    FRIEND_OF_FRIEND: {Visibility.PUBLIC, Visibility.FRIENDS_OF_FRIENDS},
    STRANGER: {Visibility.PUBLIC},
    ANYBODY: {Visibility.PUBLIC},
    BLOCKER: set(),
    BLOCKED: set(),
}
"""Viewer → what of the author's they may see."""


@pytest.fixture
def graph(social_graph: SocialGraph) -> SocialGraph:
    """Blocked friends too: a block wins over every friendship."""
    social_graph.befriend((AUTHOR, FRIEND), (FRIEND, FRIEND_OF_FRIEND), (AUTHOR, BLOCKER), (AUTHOR, BLOCKED))
    social_graph.blocks |= {(BLOCKER, AUTHOR), (AUTHOR, BLOCKED)}
    return social_graph


async def publish(blog: Blog, visibility: int, account_id: int = AUTHOR, text: str = "文") -> int:
    request = pb.CreateBlogEntryRequest(
        account_id=account_id,
        title="題",
        text=text,
        visibility=blog_entry_pb2.Visibility.ValueType(visibility),
    )
    return int((await blog.ask(blog.stub.CreateBlogEntry, request)).blog_entry.id)


async def publish_all(blog: Blog, account_id: int = AUTHOR) -> dict[Visibility, int]:
    return {visibility: await publish(blog, visibility, account_id) for visibility in Visibility}


async def read(blog: Blog, viewer_id: int, entry_ids: Iterable[int]) -> pb.BatchGetBlogEntriesResponse:
    request = pb.BatchGetBlogEntriesRequest(viewer_id=viewer_id, blog_entry_ids=entry_ids)
    response = await blog.ask(blog.stub.BatchGetBlogEntries, request)
    assert isinstance(response, pb.BatchGetBlogEntriesResponse)
    return response


async def page(blog: Blog, viewer_id: int, account_id: int = AUTHOR, **window: int) -> list[int]:
    request = pb.ListAccountBlogEntriesRequest(viewer_id=viewer_id, account_id=account_id, window=Window(**window))
    response = await blog.ask(blog.stub.ListAccountBlogEntries, request)
    return [entry.id for entry in response.blog_entries]


async def on_home(blog: Blog, viewer_id: int, entry_ids: Iterable[int]) -> set[int]:
    request = pb.FilterHomeBlogEntriesRequest(viewer_id=viewer_id, blog_entry_ids=entry_ids)
    return set((await blog.ask(blog.stub.FilterHomeBlogEntries, request, caller.TIMELINE)).blog_entry_ids)


async def pull(blog: Blog, viewer_id: int, author_ids: Sequence[int], **window: int) -> list[tuple[int, int]]:
    request = pb.PullBlogEntriesRequest(viewer_id=viewer_id, author_ids=author_ids, window=Window(**window))
    pulled = await blog.ask(blog.stub.PullBlogEntries, request, caller.TIMELINE)
    return [(entry.blog_entry_id, entry.author_id) for entry in pulled.blog_entries]


async def test_who_sees_what_by_id_and_on_the_blog(blog: Blog, graph: SocialGraph) -> None:
    entries = await publish_all(blog)
    for viewer_id, seen in SEEN.items():
        expected = {entries[visibility] for visibility in seen}
        shown = await read(blog, viewer_id, entries.values())
        assert {entry.id for entry in shown.blog_entries} == expected
        assert not shown.omitted_blog_entry_ids
        assert await page(blog, viewer_id) == sorted(expected, reverse=True)


async def test_whose_home_it_stands_on(blog: Blog, graph: SocialGraph) -> None:
    entries = await publish_all(blog)
    for viewer_id in SEEN:
        expected = {entries[visibility] for visibility in SEEN[viewer_id]} if viewer_id in (AUTHOR, FRIEND) else set()
        assert await on_home(blog, viewer_id, entries.values()) == expected
    assert not any(request.with_friends_of_friends for request in graph.asked)


async def test_friends_of_friends_are_only_asked_for_where_they_matter(blog: Blog, graph: SocialGraph) -> None:
    entries = await publish_all(blog)
    await read(blog, FRIEND, [entries[Visibility.FRIENDS]])
    await read(blog, FRIEND, [entries[Visibility.FRIENDS_OF_FRIENDS]])
    assert [request.with_friends_of_friends for request in graph.asked] == [False, True]
    assert {request.viewer_id for request in graph.asked} == {FRIEND}
    assert [list(request.account_ids) for request in graph.asked] == [[AUTHOR], [AUTHOR]]


async def test_no_relation_means_no_entry(blog: Blog, graph: SocialGraph) -> None:
    entries = await publish_all(blog)
    graph.unknown.add(AUTHOR)
    assert not (await read(blog, FRIEND, entries.values())).blog_entries
    assert await page(blog, FRIEND) == []
    assert await on_home(blog, FRIEND, entries.values()) == set()


async def test_a_block_holds_for_the_next_read(blog: Blog, graph: SocialGraph) -> None:
    entry = await publish(blog, Visibility.PUBLIC)
    assert await page(blog, FRIEND) == [entry]
    graph.blocks.add((AUTHOR, FRIEND))
    assert await page(blog, FRIEND) == []
    assert await on_home(blog, FRIEND, [entry]) == set()


async def test_without_social_graph_nothing_is_shown_that_it_decides(blog: Blog) -> None:
    entries = await publish_all(blog)
    for ask in (read(blog, FRIEND, entries.values()), page(blog, FRIEND), on_home(blog, FRIEND, entries.values())):
        with pytest.raises(Unavailable):
            await ask
    assert [entry.id for entry in (await read(blog, ANYBODY, entries.values())).blog_entries] == [
        entries[Visibility.PUBLIC]
    ]
    assert len(await page(blog, AUTHOR)) == 4


async def test_pull_leaves_out_what_others_keep_for_themselves(blog: Blog) -> None:
    mine, theirs = await publish_all(blog), await publish_all(blog, FRIEND)
    hidden = theirs[Visibility.SELF]
    expected = sorted([(i, AUTHOR) for i in mine.values()] + [(i, FRIEND) for i in theirs.values() if i != hidden])
    assert await pull(blog, AUTHOR, [AUTHOR, FRIEND, FRIEND]) == expected[::-1]
    assert (hidden, FRIEND) in await pull(blog, FRIEND, [AUTHOR, FRIEND])
    assert await pull(blog, 0, [AUTHOR]) == [
        (i, AUTHOR) for i in sorted(set(mine.values()) - {mine[Visibility.SELF]})[::-1]
    ]
    assert await pull(blog, AUTHOR, []) == []


async def test_pull_and_blog_go_page_by_page(blog: Blog) -> None:
    entries = [await publish(blog, Visibility.PUBLIC) for _ in range(5)]

    async def pulled(**window: int) -> list[int]:
        return [entry_id for entry_id, _ in await pull(blog, AUTHOR, [AUTHOR], **window)]

    async def listed(**window: int) -> list[int]:
        return await page(blog, ANYBODY, **window)

    for ids_of in (pulled, listed):
        assert await ids_of(limit=2) == [entries[4], entries[3]]
        assert await ids_of(limit=2, max_id=entries[3]) == [entries[2], entries[1]]
        assert await ids_of(limit=2, since_id=entries[0]) == [entries[4], entries[3]]
        assert await ids_of(limit=2, min_id=entries[0]) == [entries[2], entries[1]]
        assert await ids_of(max_id=entries[0]) == []
        with pytest.raises(InvalidField):
            await ids_of(limit=-1)


async def test_private_entries_do_not_shorten_a_pulled_page(blog: Blog) -> None:
    public = [await publish(blog, Visibility.PUBLIC, FRIEND) for _ in range(2)]
    for _ in range(3):
        await publish(blog, Visibility.SELF, FRIEND)
    assert await pull(blog, AUTHOR, [FRIEND], limit=2) == [(public[1], FRIEND), (public[0], FRIEND)]


async def test_what_goes_to_friends_homes(blog: Blog) -> None:
    entries = await publish_all(blog)
    request = pb.BatchGetPublishedBlogEntriesRequest(blog_entry_ids=[*entries.values(), 17, -1])
    published = await blog.ask(blog.stub.BatchGetPublishedBlogEntries, request, caller.WORKER)
    expected = {entries[visibility] for visibility in Visibility} - {entries[Visibility.SELF]}
    assert {entry.blog_entry_id for entry in published.blog_entries} == expected
    assert {entry.author_id for entry in published.blog_entries} == {AUTHOR}


async def test_long_entries_never_break_an_answer(blog: Blog) -> None:
    entries = [await publish(blog, Visibility.PUBLIC, text="𠮷" * 50_000) for _ in range(18)]
    newest = entries[::-1]
    first = await read(blog, ANYBODY, entries)
    assert sorted((entry.id for entry in first.blog_entries), reverse=True) == newest[:15]
    assert list(first.omitted_blog_entry_ids) == newest[15:]
    rest = await read(blog, ANYBODY, first.omitted_blog_entry_ids)
    assert sorted((entry.id for entry in rest.blog_entries), reverse=True) == newest[15:]
    assert await page(blog, ANYBODY, limit=40) == newest[:15]
    assert await page(blog, ANYBODY, limit=40, max_id=newest[14]) == newest[15:]
    assert await page(blog, ANYBODY, limit=40, min_id=entries[0]) == entries[1:16][::-1]


async def test_beginnings_are_short(blog: Blog) -> None:
    entries = [await publish(blog, Visibility.PUBLIC, text="𠮷" * 50_000) for _ in range(17)]
    entries.append(await publish(blog, Visibility.FRIENDS))
    request = pb.BatchGetBlogEntriesRequest(viewer_id=ANYBODY, blog_entry_ids=entries, beginnings_only=True)
    answer = await blog.ask(blog.stub.BatchGetBlogEntries, request)
    assert {entry.id: entry.text for entry in answer.blog_entries} == dict.fromkeys(entries[:17], "𠮷" * 2000)
    assert not answer.omitted_blog_entry_ids


async def test_empty_and_unknown(blog: Blog) -> None:
    assert not (await read(blog, FRIEND, [])).blog_entries
    assert not (await read(blog, FRIEND, [17, 0, -1, 2**63 - 1])).blog_entries
    assert await on_home(blog, FRIEND, []) == set()
    assert await page(blog, ANYBODY, account_id=99) == []


async def test_batches_have_bounds(blog: Blog) -> None:
    many = range(1001)
    for method, request, role in (
        (blog.stub.BatchGetBlogEntries, pb.BatchGetBlogEntriesRequest(blog_entry_ids=many), caller.GATEWAY),
        (blog.stub.FilterHomeBlogEntries, pb.FilterHomeBlogEntriesRequest(blog_entry_ids=many), caller.TIMELINE),
        (
            blog.stub.BatchGetPublishedBlogEntries,
            pb.BatchGetPublishedBlogEntriesRequest(blog_entry_ids=many),
            caller.TIMELINE,
        ),
        (blog.stub.PullBlogEntries, pb.PullBlogEntriesRequest(author_ids=range(5001)), caller.TIMELINE),
    ):
        with pytest.raises(InvalidField, match="at most"):
            await blog.ask(method, request, role)
    assert await pull(blog, AUTHOR, range(1, 5001)) == []
