"""Drafts against the real schema: kept, changed, and made entries of, by nobody but their author."""

import asyncio
from typing import Any

import pytest
from kodama.blog.v1 import blog_entry_pb2, draft_pb2
from kodama.blog.v1 import blog_service_pb2 as blog_pb
from kodama.blog.v1 import draft_service_pb2 as pb
from kodama.page.v1.window_pb2 import Window

from chassis import caller, ids
from chassis.errors import IdempotencyKeyReused, InvalidField, KodamaError, LimitReached, NotFound
from services.blog.domain import MAX_DRAFTS, Visibility
from tests.integration.blog.conftest import Blog, SocialGraph

AUTHOR, OTHER = 1, 2


async def create(blog: Blog, title: str = "題", text: str = "文", **fields: Any) -> draft_pb2.Draft:
    request = pb.CreateDraftRequest(account_id=AUTHOR, title=title, text=text, **fields)
    draft = (await blog.ask(blog.drafts.CreateDraft, request)).draft
    assert isinstance(draft, draft_pb2.Draft)
    return draft


async def publish(blog: Blog, draft_id: int, account_id: int = AUTHOR, **fields: Any) -> blog_entry_pb2.BlogEntry:
    request = pb.PublishDraftRequest(account_id=account_id, draft_id=draft_id, **fields)
    entry = (await blog.ask(blog.drafts.PublishDraft, request)).blog_entry
    assert isinstance(entry, blog_entry_pb2.BlogEntry)
    return entry


async def listed(blog: Blog, account_id: int = AUTHOR, **window: int) -> list[int]:
    request = pb.ListDraftsRequest(account_id=account_id, window=Window(**window))
    return [draft.id for draft in (await blog.ask(blog.drafts.ListDrafts, request)).drafts]


async def get(blog: Blog, draft_id: int, account_id: int = AUTHOR) -> draft_pb2.Draft:
    request = pb.GetDraftRequest(account_id=account_id, draft_id=draft_id)
    draft = (await blog.ask(blog.drafts.GetDraft, request)).draft
    assert isinstance(draft, draft_pb2.Draft)
    return draft


async def test_a_draft_is_kept_changed_and_deleted(blog: Blog) -> None:
    draft = await create(blog, title=" 題 ", text="")
    assert (draft.title, draft.text, int(draft.visibility), draft.version) == ("題", "", Visibility.FRIENDS, 1)
    assert await get(blog, draft.id) == draft
    change = pb.UpdateDraftRequest(account_id=AUTHOR, draft_id=draft.id, text="文", visibility=4)  # type: ignore[arg-type]  # a number of the enum
    changed = (await blog.ask(blog.drafts.UpdateDraft, change)).draft
    assert (changed.title, changed.text, int(changed.visibility), changed.version) == ("題", "文", Visibility.SELF, 2)
    assert changed.updated_at_ms > draft.updated_at_ms
    emptied = pb.UpdateDraftRequest(account_id=AUTHOR, draft_id=draft.id, title="", visibility=1)  # type: ignore[arg-type]  # a number of the enum
    assert (await blog.ask(blog.drafts.UpdateDraft, emptied)).draft.title == ""
    deleted = await blog.ask(blog.drafts.DeleteDraft, pb.DeleteDraftRequest(account_id=AUTHOR, draft_id=draft.id))
    assert deleted.draft.text == "文"
    with pytest.raises(NotFound) as error:
        await get(blog, draft.id)
    assert error.value.metadata == {"resource": "draft"}
    assert await listed(blog) == []
    assert blog.work() == []


async def test_nobody_else_finds_it(blog: Blog, social_graph: SocialGraph) -> None:
    social_graph.befriend((AUTHOR, OTHER))
    draft = await create(blog, visibility=1)
    assert await listed(blog, OTHER) == []
    for account_id in (OTHER, 0):
        for method, request in (
            (blog.drafts.GetDraft, pb.GetDraftRequest(account_id=account_id, draft_id=draft.id)),
            (blog.drafts.UpdateDraft, pb.UpdateDraftRequest(account_id=account_id, draft_id=draft.id, text="x")),
            (blog.drafts.DeleteDraft, pb.DeleteDraftRequest(account_id=account_id, draft_id=draft.id)),
            (blog.drafts.PublishDraft, pb.PublishDraftRequest(account_id=account_id, draft_id=draft.id)),
        ):
            with pytest.raises(NotFound):
                await blog.ask(method, request)
    for viewer_id in (AUTHOR, OTHER, 0):
        found = await blog.ask(
            blog.stub.BatchGetBlogEntries,
            blog_pb.BatchGetBlogEntriesRequest(viewer_id=viewer_id, blog_entry_ids=[draft.id]),
        )
        assert not found.blog_entries
    assert await get(blog, draft.id) == draft


async def test_publishing_makes_a_new_entry_that_fans_out(blog: Blog) -> None:
    draft = await create(blog, visibility=1)
    other = await blog.ask(
        blog.stub.CreateBlogEntry,
        blog_pb.CreateBlogEntryRequest(
            account_id=AUTHOR, title="t", text="x", visibility=blog_entry_pb2.VISIBILITY_SELF
        ),
    )
    entry = await publish(blog, draft.id)
    assert (entry.title, entry.text, entry.visibility, entry.version) == (draft.title, draft.text, draft.visibility, 1)
    assert ids.kind_of(entry.id) is ids.Kind.BLOG_ENTRY
    assert entry.id > other.blog_entry.id > draft.id, "it sorts as what was published last"
    assert entry.created_at_ms >= draft.created_at_ms
    assert blog.work() == [("timeline.fan_out", {"entry_id": entry.id, "author_id": AUTHOR})]
    assert await listed(blog) == []
    with pytest.raises(NotFound):
        await publish(blog, draft.id)


async def test_what_changes_at_the_last_moment(blog: Blog) -> None:
    draft = await create(blog, title="", text="文")
    with pytest.raises(InvalidField) as error:
        await publish(blog, draft.id)
    assert error.value.metadata == {"field": "title"}
    with pytest.raises(InvalidField) as error:
        await publish(blog, draft.id, title="t", text="")
    assert error.value.metadata == {"field": "text"}
    assert await listed(blog) == [draft.id]
    entry = await publish(blog, draft.id, title="t", visibility=4)
    assert (entry.title, entry.text, int(entry.visibility)) == ("t", "文", Visibility.SELF)
    assert blog.work() == [], "nobody else reads it"


async def test_the_same_key_publishes_once(blog: Blog) -> None:
    draft = await create(blog, request_id="c")
    assert await create(blog, request_id="c") == draft
    entry = await publish(blog, draft.id, request_id="p")
    assert await publish(blog, draft.id, request_id="p") == entry
    with pytest.raises(IdempotencyKeyReused):
        await publish(blog, draft.id, request_id="p", title="other")
    assert blog.query("SELECT count(*) FROM blog_entries") == [(1,)]


async def test_publishing_at_once_publishes_once(blog: Blog) -> None:
    draft = await create(blog)
    answers = await asyncio.gather(*(publish(blog, draft.id) for _ in range(8)), return_exceptions=True)
    assert [type(answer) for answer in answers if isinstance(answer, Exception)] == [NotFound] * 7
    assert blog.query("SELECT count(*) FROM blog_entries") == [(1,)]
    assert len(blog.work()) == 1


async def test_a_wrong_draft_is_refused(blog: Blog) -> None:
    for fields, field in (
        ({"title": "", "text": " "}, "text"),
        ({"title": "a\nb"}, "title"),
        ({"title": "題" * 201}, "title"),
        ({"text": "x" * 50_001}, "text"),
        ({"text": "\0"}, "text"),
        ({"visibility": 9}, "visibility"),
    ):
        with pytest.raises(InvalidField) as error:
            await create(blog, **fields)
        assert error.value.metadata == {"field": field}
    draft = await create(blog, title="", text="文")
    with pytest.raises(InvalidField) as error:
        await blog.ask(blog.drafts.UpdateDraft, pb.UpdateDraftRequest(account_id=AUTHOR, draft_id=draft.id, text=" "))
    assert error.value.metadata == {"field": "text"}
    with pytest.raises(InvalidField):
        await blog.ask(blog.drafts.CreateDraft, pb.CreateDraftRequest(title="t"))


async def test_there_is_a_maximum_also_for_many_at_once(blog: Blog) -> None:
    blog.query(
        "INSERT INTO drafts (account_id, id, title, text, visibility)"
        " SELECT %s, n, 't', '', 3 FROM generate_series(1, %s) AS n",
        AUTHOR,
        MAX_DRAFTS - 2,
    )
    answers = await asyncio.gather(*(create(blog) for _ in range(6)), return_exceptions=True)
    assert [type(answer) for answer in answers if isinstance(answer, Exception)] == [LimitReached] * 4
    assert blog.query("SELECT count(*) FROM drafts") == [(MAX_DRAFTS,)]


async def test_drafts_go_page_by_page(blog: Blog) -> None:
    drafts = [(await create(blog)).id for _ in range(4)]
    assert await listed(blog) == drafts[::-1]
    assert await listed(blog, limit=2) == [drafts[3], drafts[2]]
    assert await listed(blog, limit=2, max_id=drafts[2]) == [drafts[1], drafts[0]]
    assert await listed(blog, limit=2, min_id=drafts[0]) == [drafts[2], drafts[1]]
    blog.query("UPDATE drafts SET text = repeat('𠮷', 50000)")
    blog.query(
        "INSERT INTO drafts (account_id, id, title, text, visibility)"
        " SELECT %s, n, 't', repeat('𠮷', 50000), 3 FROM generate_series(1, 20) AS n",
        AUTHOR,
    )
    assert len(await listed(blog, limit=40)) == 15, "no more bytes than an answer may have"


async def test_only_the_gateway_may_call(blog: Blog) -> None:
    for method in pb.DESCRIPTOR.services_by_name["DraftService"].methods:
        for role in caller.ROLES - {caller.GATEWAY}:
            with pytest.raises(KodamaError, match="PERMISSION_DENIED"):
                await blog.ask(getattr(blog.drafts, method.name), getattr(pb, f"{method.name}Request")(), role)
