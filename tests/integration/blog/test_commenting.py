"""Comments against the real schema: seen by whom the entry lets in now, and by nobody whom a block keeps apart."""

import asyncio
from typing import Any

import pytest
from kodama.blog.v1 import blog_entry_pb2, comment_pb2
from kodama.blog.v1 import blog_service_pb2 as blog_pb
from kodama.blog.v1 import comment_service_pb2 as pb
from kodama.page.v1.window_pb2 import Window

from chassis import caller
from chassis.errors import IdempotencyKeyReused, InvalidField, KodamaError, LimitReached, NotFound, Unavailable
from services.blog.domain import MAX_COMMENTS, Visibility
from tests.integration.blog.conftest import Blog, SocialGraph
from tests.integration.blog.test_reading import (
    ANYBODY,
    AUTHOR,
    FRIEND,
    FRIEND_OF_FRIEND,
    SEEN,
    STRANGER,
    publish,
)
from tests.integration.blog.test_reading import graph as graph  # a fixture


async def comment(
    blog: Blog, account_id: int, entry_id: int, text: str = "いいね", **fields: Any
) -> comment_pb2.Comment:
    request = pb.CreateCommentRequest(account_id=account_id, blog_entry_id=entry_id, text=text, **fields)
    made = (await blog.ask(blog.comments.CreateComment, request)).comment
    assert isinstance(made, comment_pb2.Comment)
    return made


async def page(blog: Blog, viewer_id: int, entry_id: int, **window: int) -> pb.ListCommentsResponse:
    request = pb.ListCommentsRequest(viewer_id=viewer_id, blog_entry_id=entry_id, window=Window(**window))
    found = await blog.ask(blog.comments.ListComments, request)
    assert isinstance(found, pb.ListCommentsResponse)
    return found


async def listed(blog: Blog, viewer_id: int, entry_id: int, **window: int) -> list[int]:
    return [one.id for one in (await page(blog, viewer_id, entry_id, **window)).comments]


async def by_id(blog: Blog, viewer_id: int, *comment_ids: int) -> set[int]:
    request = pb.BatchGetCommentsRequest(viewer_id=viewer_id, comment_ids=comment_ids)
    return {one.id for one in (await blog.ask(blog.comments.BatchGetComments, request)).comments}


async def delete(blog: Blog, account_id: int, comment_id: int) -> comment_pb2.Comment:
    request = pb.DeleteCommentRequest(account_id=account_id, comment_id=comment_id)
    gone = (await blog.ask(blog.comments.DeleteComment, request)).comment
    assert isinstance(gone, comment_pb2.Comment)
    return gone


async def count(blog: Blog, entry_id: int) -> int:
    request = blog_pb.BatchGetBlogEntriesRequest(viewer_id=AUTHOR, blog_entry_ids=[entry_id])
    [entry] = (await blog.ask(blog.stub.BatchGetBlogEntries, request)).blog_entries
    [(counted,)] = blog.query("SELECT count(*) FROM comments WHERE blog_entry_id = %s", entry_id)
    assert entry.comments_count == counted
    return int(counted)


async def test_who_may_see_an_entry_reads_and_makes_comments(blog: Blog, graph: SocialGraph) -> None:
    for visibility in Visibility:
        await check_readers(blog, visibility)


async def check_readers(blog: Blog, visibility: Visibility) -> None:
    entry_id = await publish(blog, visibility)
    said = await comment(blog, AUTHOR, entry_id)
    for viewer_id, seen in SEEN.items():
        if visibility in seen:
            assert said.id in await listed(blog, viewer_id, entry_id)
            assert await by_id(blog, viewer_id, said.id) == {said.id}
        else:
            with pytest.raises(NotFound) as error:
                await listed(blog, viewer_id, entry_id)
            assert error.value.metadata == {"resource": "blog_entry"}
            assert await by_id(blog, viewer_id, said.id) == set()
        if viewer_id == ANYBODY:
            continue
        if visibility in seen:
            made = await comment(blog, viewer_id, entry_id)
            assert (made.blog_entry_id, made.author_id, made.account_id) == (entry_id, AUTHOR, viewer_id)
        else:
            with pytest.raises(NotFound):
                await comment(blog, viewer_id, entry_id)
    members = [viewer_id for viewer_id, seen in SEEN.items() if visibility in seen and viewer_id != ANYBODY]
    assert await count(blog, entry_id) == 1 + len(members)


async def test_a_comment_follows_its_entry(blog: Blog, graph: SocialGraph) -> None:
    entry_id = await publish(blog, Visibility.PUBLIC)
    said = await comment(blog, STRANGER, entry_id)
    narrow = blog_pb.UpdateBlogEntryRequest(
        account_id=AUTHOR, blog_entry_id=entry_id, visibility=blog_entry_pb2.VISIBILITY_FRIENDS
    )
    await blog.ask(blog.stub.UpdateBlogEntry, narrow)
    assert await by_id(blog, STRANGER, said.id) == set(), "not even who said it"
    assert await by_id(blog, FRIEND, said.id) == {said.id}
    with pytest.raises(NotFound):
        await comment(blog, STRANGER, entry_id)
    assert (await delete(blog, STRANGER, said.id)).id == said.id, "who said it can always take it back"
    said = await comment(blog, FRIEND, entry_id)
    await blog.ask(blog.stub.DeleteBlogEntry, blog_pb.DeleteBlogEntryRequest(account_id=AUTHOR, blog_entry_id=entry_id))
    assert await by_id(blog, AUTHOR, said.id) == set()
    assert blog.query("SELECT count(*) FROM comments") == [(0,)]
    with pytest.raises(NotFound):
        await listed(blog, AUTHOR, entry_id)


async def test_what_is_narrowed_meanwhile_is_not_commented_on(blog: Blog, graph: SocialGraph) -> None:
    entry_id = await publish(blog, Visibility.PUBLIC)
    narrow = blog_pb.UpdateBlogEntryRequest(
        account_id=AUTHOR, blog_entry_id=entry_id, visibility=blog_entry_pb2.VISIBILITY_FRIENDS
    )
    graph.before_answer = lambda: blog.ask(blog.stub.UpdateBlogEntry, narrow)
    with pytest.raises(NotFound):
        await comment(blog, STRANGER, entry_id)
    delete_it = blog_pb.DeleteBlogEntryRequest(account_id=AUTHOR, blog_entry_id=entry_id)
    graph.before_answer = lambda: blog.ask(blog.stub.DeleteBlogEntry, delete_it)
    with pytest.raises(NotFound):
        await comment(blog, FRIEND, entry_id)


async def test_blocks_keep_comments_apart(blog: Blog, graph: SocialGraph) -> None:
    entry_id = await publish(blog, Visibility.PUBLIC)
    mine, theirs = await comment(blog, AUTHOR, entry_id), await comment(blog, STRANGER, entry_id)
    everything = [mine.id, theirs.id]
    for viewer_id in (ANYBODY, AUTHOR, FRIEND, FRIEND_OF_FRIEND, STRANGER):
        assert await listed(blog, viewer_id, entry_id) == everything
    for block in ((FRIEND, STRANGER), (STRANGER, FRIEND)):
        graph.blocks.add(block)
        assert await listed(blog, FRIEND, entry_id) == [mine.id]
        assert await by_id(blog, FRIEND, *everything) == {mine.id}
        assert await listed(blog, FRIEND_OF_FRIEND, entry_id) == everything, "it is between the two"
        graph.blocks.remove(block)
    for block in ((AUTHOR, STRANGER), (STRANGER, AUTHOR)):
        graph.blocks.add(block)
        for viewer_id in (ANYBODY, AUTHOR, FRIEND, FRIEND_OF_FRIEND):
            assert await listed(blog, viewer_id, entry_id) == [mine.id], "the author's block holds for everybody"
            assert await by_id(blog, viewer_id, *everything) == {mine.id}
        graph.blocks.remove(block)
    assert await listed(blog, FRIEND, entry_id) == everything


async def test_no_answer_and_no_relation_mean_no_comment(blog: Blog, graph: SocialGraph) -> None:
    entry_id = await publish(blog, Visibility.PUBLIC)
    said = await comment(blog, STRANGER, entry_id)
    graph.unknown.add(STRANGER)
    for viewer_id in (ANYBODY, AUTHOR, FRIEND):
        assert await listed(blog, viewer_id, entry_id) == []
        assert await by_id(blog, viewer_id, said.id) == set()


async def test_without_social_graph_nothing_is_shown(blog: Blog) -> None:
    entry_id = await publish(blog, Visibility.PUBLIC)
    own = await comment(blog, AUTHOR, entry_id)
    assert await listed(blog, ANYBODY, entry_id) == [own.id], "nobody has to be asked about the author's own"
    blog.query("UPDATE comments SET account_id = %s", STRANGER)
    for viewer_id in (ANYBODY, AUTHOR, FRIEND):
        with pytest.raises(Unavailable):
            await listed(blog, viewer_id, entry_id)
        with pytest.raises(Unavailable):
            await by_id(blog, viewer_id, own.id)
    with pytest.raises(Unavailable):
        await comment(blog, FRIEND, entry_id)


async def test_who_may_delete(blog: Blog, graph: SocialGraph) -> None:
    entry_id = await publish(blog, Visibility.PUBLIC)
    said = [await comment(blog, FRIEND, entry_id, text) for text in ("一", "二")]
    for account_id in (STRANGER, FRIEND_OF_FRIEND, 0):
        with pytest.raises(NotFound) as error:
            await delete(blog, account_id, said[0].id)
        assert error.value.metadata == {"resource": "comment"}
    assert await delete(blog, FRIEND, said[0].id) == said[0]
    graph.blocks.add((FRIEND, AUTHOR))
    assert await delete(blog, AUTHOR, said[1].id) == said[1]
    assert await count(blog, entry_id) == 0
    for comment_id in (said[0].id, 17, -1):
        with pytest.raises(NotFound):
            await delete(blog, AUTHOR, comment_id)


async def test_pages_go_from_the_oldest_on_and_are_filled(blog: Blog, graph: SocialGraph) -> None:
    entry_id = await publish(blog, Visibility.PUBLIC)
    said = [
        (await comment(blog, account_id, entry_id)).id
        for account_id in (FRIEND, STRANGER, STRANGER, FRIEND, STRANGER, FRIEND)
    ]
    assert await listed(blog, ANYBODY, entry_id) == said
    first = await page(blog, ANYBODY, entry_id, limit=4)
    assert ([one.id for one in first.comments], first.is_end) == (said[:4], False)
    assert (first.oldest_comment_id, first.newest_comment_id) == (said[0], said[3])
    last = await page(blog, ANYBODY, entry_id, limit=4, min_id=first.newest_comment_id)
    assert ([one.id for one in last.comments], last.is_end) == (said[4:], True)
    assert await listed(blog, ANYBODY, entry_id, limit=2, max_id=said[4]) == said[2:4]
    graph.blocks.add((FRIEND_OF_FRIEND, STRANGER))
    first = await page(blog, FRIEND_OF_FRIEND, entry_id, limit=2)
    assert ([one.id for one in first.comments], first.newest_comment_id) == ([said[0], said[3]], said[3])
    assert await listed(blog, FRIEND_OF_FRIEND, entry_id, limit=2, min_id=said[3]) == [said[5]]
    with pytest.raises(InvalidField):
        await listed(blog, ANYBODY, entry_id, limit=-1)
    assert not (await page(blog, ANYBODY, await publish(blog, Visibility.PUBLIC))).comments


async def test_the_author_is_told_of_others(blog: Blog, graph: SocialGraph) -> None:
    entry_id = await publish(blog, Visibility.SELF)
    await comment(blog, AUTHOR, entry_id)
    assert blog.work() == []
    entry_id = await publish(blog, Visibility.FRIENDS)
    said = await comment(blog, FRIEND, entry_id)
    assert blog.work()[1:] == [("timeline.notify", {"account_id": AUTHOR, "from_id": FRIEND, "comment_id": said.id})]


async def test_the_same_key_comments_once(blog: Blog, graph: SocialGraph) -> None:
    entry_id = await publish(blog, Visibility.PUBLIC)
    said = await comment(blog, FRIEND, entry_id, request_id="k")
    assert await comment(blog, FRIEND, entry_id, request_id="k") == said
    with pytest.raises(IdempotencyKeyReused):
        await comment(blog, FRIEND, entry_id, "other", request_id="k")
    assert await count(blog, entry_id) == 1


async def test_a_wrong_comment_is_refused(blog: Blog, graph: SocialGraph) -> None:
    entry_id = await publish(blog, Visibility.PUBLIC)
    for text in ("", " ", "\0", "x" * 2001, "e" + "\u0301" * 40):
        with pytest.raises(InvalidField) as error:
            await comment(blog, FRIEND, entry_id, text)
        assert error.value.metadata == {"field": "text"}
    with pytest.raises(InvalidField) as error:
        await comment(blog, 0, entry_id)
    assert error.value.metadata == {"field": "account_id"}
    assert (await comment(blog, FRIEND, entry_id, "𠮷" * 2000)).text == "𠮷" * 2000
    blog.query("UPDATE blog_entries SET comments_count = %s", MAX_COMMENTS)
    with pytest.raises(LimitReached):
        await comment(blog, FRIEND, entry_id)


async def test_what_happens_at_once_is_counted(blog: Blog, graph: SocialGraph) -> None:
    entry_id = await publish(blog, Visibility.PUBLIC)
    said = await asyncio.gather(*(comment(blog, FRIEND, entry_id, str(number)) for number in range(12)))
    gone = said[:6]
    answers = await asyncio.gather(
        *(delete(blog, who, one.id) for one in gone for who in (FRIEND, AUTHOR)),
        *(comment(blog, STRANGER, entry_id) for _ in range(4)),
        return_exceptions=True,
    )
    failed = [answer for answer in answers if isinstance(answer, Exception)]
    assert [type(error) for error in failed] == [NotFound] * 6, "of two who delete one, one finds it"
    assert await count(blog, entry_id) == 12 - 6 + 4


async def test_an_entry_and_its_comments_can_be_deleted_at_once(blog: Blog, graph: SocialGraph) -> None:
    for _ in range(4):
        entry_id = await publish(blog, Visibility.PUBLIC)
        said = [await comment(blog, FRIEND, entry_id) for _ in range(4)]
        request = blog_pb.DeleteBlogEntryRequest(account_id=AUTHOR, blog_entry_id=entry_id)
        answers = await asyncio.gather(
            blog.ask(blog.stub.DeleteBlogEntry, request),
            *(delete(blog, FRIEND, one.id) for one in said),
            *(comment(blog, FRIEND, entry_id) for _ in range(2)),
            return_exceptions=True,
        )
        assert {type(answer) for answer in answers if isinstance(answer, Exception)} <= {NotFound}
    assert blog.query("SELECT count(*) FROM comments") == [(0,)]


async def test_batches_have_a_bound(blog: Blog) -> None:
    with pytest.raises(InvalidField, match="at most"):
        await by_id(blog, AUTHOR, *range(1001))
    assert await by_id(blog, AUTHOR) == set()
    assert await by_id(blog, AUTHOR, 17, 0, -1, 2**63 - 1) == set()


async def test_who_may_call(blog: Blog) -> None:
    gateway = {caller.GATEWAY}
    allowed = {
        "CreateComment": gateway | {caller.OPERATOR},  # the demo network writes as the operator
        "DeleteComment": gateway,
        "ListComments": gateway,
        "BatchGetComments": gateway | {caller.TIMELINE, caller.WORKER},
    }
    assert allowed.keys() == {method.name for method in pb.DESCRIPTOR.services_by_name["CommentService"].methods}
    for method, roles in allowed.items():
        for role in caller.ROLES - roles:
            with pytest.raises(KodamaError, match="PERMISSION_DENIED"):
                await blog.ask(getattr(blog.comments, method), getattr(pb, f"{method}Request")(), role)
