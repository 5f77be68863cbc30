"""Publishing and deleting against the real schema."""

import asyncio

import psycopg
import pytest
from kodama.blog.v1 import blog_entry_pb2
from kodama.blog.v1 import blog_service_pb2 as pb
from kodama.ledger.v1 import ledger_service_pb2 as ledger_pb
from kodama.ledger.v1 import ledger_service_pb2_grpc

from chassis import caller, ids
from chassis.errors import Conflict, FailedPrecondition, IdempotencyKeyReused, InvalidField, KodamaError, NotFound
from chassis.rpc import open_channel
from services.blog.domain import Visibility
from tests.integration.blog.conftest import Blog

AUTHOR, OTHER = 1, 2


def new(visibility: int = 0, title: str = "題", text: str = "文", **fields: str) -> pb.CreateBlogEntryRequest:
    return pb.CreateBlogEntryRequest(
        account_id=AUTHOR, title=title, text=text, visibility=blog_entry_pb2.Visibility.ValueType(visibility), **fields
    )


async def publish(blog: Blog, request: pb.CreateBlogEntryRequest) -> blog_entry_pb2.BlogEntry:
    entry = (await blog.ask(blog.stub.CreateBlogEntry, request)).blog_entry
    assert isinstance(entry, blog_entry_pb2.BlogEntry)
    return entry


def work(blog: Blog) -> list[tuple[str, str, dict[str, int]]]:
    return [tuple(row) for row in blog.query("SELECT task, queue, payload FROM ledger ORDER BY id")]


async def test_an_entry_and_its_work_are_written(blog: Blog) -> None:
    entry = await publish(blog, new(title=" 題 ", text="一\r\n二"))
    assert (entry.account_id, entry.title, entry.text, entry.version) == (AUTHOR, "題", "一\n二", 1)
    assert int(entry.visibility) == Visibility.FRIENDS
    assert ids.kind_of(entry.id) is ids.Kind.BLOG_ENTRY
    assert entry.created_at_ms == ids.created_at_ms(entry.id) > 1_700_000_000_000
    assert work(blog) == [("timeline.fan_out", "timeline.live", {"entry_id": entry.id, "author_id": AUTHOR})]


@pytest.mark.parametrize("visibility", list(Visibility))
async def test_all_but_private_entries_are_fanned_out(blog: Blog, visibility: Visibility) -> None:
    entry = await publish(blog, new(visibility))
    assert int(entry.visibility) == visibility
    expected = [] if visibility is Visibility.SELF else ["timeline.fan_out"]
    assert [task for task, _, _ in work(blog)] == expected


async def test_the_longest_entry(blog: Blog) -> None:
    entry = await publish(blog, new(title="題" * 200, text="𠮷" * 50_000))
    assert (len(entry.title), len(entry.text)) == (200, 50_000)
    with pytest.raises(InvalidField) as error:
        await publish(blog, new(text="𠮷" * 50_001))
    assert error.value.metadata == {"field": "text"}


async def test_a_wrong_entry_leaves_nothing(blog: Blog) -> None:
    for request, field in (
        (new(text="\0"), "text"),
        (new(title="a\nb"), "title"),
        (new(99), "visibility"),
        (new(request_id="\0"), "request_id"),
        (pb.CreateBlogEntryRequest(title="t", text="x"), "account_id"),
    ):
        with pytest.raises(InvalidField) as error:
            await publish(blog, request)
        assert error.value.metadata == {"field": field}
    assert blog.query("SELECT (SELECT count(*) FROM blog_entries), (SELECT count(*) FROM claims)") == [(0, 0)]
    assert work(blog) == []


async def test_the_same_key_publishes_once(blog: Blog) -> None:
    first = await publish(blog, new(request_id="k"))
    assert await publish(blog, new(request_id="k")) == first
    for other in (new(text="other", request_id="k"), new(title="other", request_id="k"), new(1, request_id="k")):
        with pytest.raises(IdempotencyKeyReused):
            await publish(blog, other)
    elsewhere = new(request_id="k")
    elsewhere.account_id = OTHER
    assert (await publish(blog, elsewhere)).account_id == OTHER
    assert len(work(blog)) == 2


async def test_many_with_one_key_at_once_publish_once(blog: Blog) -> None:
    answers = await asyncio.gather(*(publish(blog, new(request_id="k")) for _ in range(12)), return_exceptions=True)
    running = [answer for answer in answers if isinstance(answer, Conflict)]
    entries = [answer for answer in answers if isinstance(answer, blog_entry_pb2.BlogEntry)]
    assert entries
    assert len(entries) + len(running) == 12
    assert {entry.id for entry in entries} == {(await publish(blog, new(request_id="k"))).id}
    assert len(work(blog)) == 1


async def test_a_key_that_is_in_use_publishes_nothing(blog: Blog) -> None:
    with psycopg.connect(blog.settings.service_database_url("blog")) as conn:
        conn.execute("SELECT try_claim(%s, 'k')", (AUTHOR,))
        with pytest.raises(Conflict, match="still running"):
            await publish(blog, new(request_id="k"))
        await publish(blog, new(request_id="another"))
    assert (await publish(blog, new(request_id="k"))).id


async def test_a_key_is_of_one_write(blog: Blog) -> None:
    entry = await publish(blog, new(request_id="k"))
    with pytest.raises(IdempotencyKeyReused):
        await blog.ask(
            blog.stub.DeleteBlogEntry,
            pb.DeleteBlogEntryRequest(account_id=AUTHOR, blog_entry_id=entry.id, request_id="k"),
        )
    request = pb.DeleteBlogEntryRequest(account_id=AUTHOR, blog_entry_id=entry.id, request_id="d")
    for _ in range(2):
        assert (await blog.ask(blog.stub.DeleteBlogEntry, request)).blog_entry == entry
    with pytest.raises(IdempotencyKeyReused):
        await publish(blog, new(request_id="d"))
    assert blog.query("SELECT count(*) FROM blog_entries") == [(0,)]


async def test_a_key_is_free_again_after_a_day(blog: Blog) -> None:
    first = await publish(blog, new(request_id="k"))
    blog.query("UPDATE claims SET created_at = now() - interval '25 hours'")
    second = await publish(blog, new(text="other", request_id="k"))
    assert second.id != first.id
    assert await publish(blog, new(text="other", request_id="k")) == second


async def test_deleting(blog: Blog) -> None:
    entry = await publish(blog, new(request_id="k"))
    request = pb.DeleteBlogEntryRequest(account_id=AUTHOR, blog_entry_id=entry.id)
    with pytest.raises(NotFound):
        await blog.ask(blog.stub.DeleteBlogEntry, pb.DeleteBlogEntryRequest(account_id=OTHER, blog_entry_id=entry.id))
    assert (await blog.ask(blog.stub.DeleteBlogEntry, request)).blog_entry == entry
    with pytest.raises(NotFound) as error:
        await blog.ask(blog.stub.DeleteBlogEntry, request)
    assert error.value.metadata == {"resource": "blog_entry"}
    assert [(task, queue) for task, queue, _ in work(blog)] == [
        ("timeline.fan_out", "timeline.live"),
        ("timeline.retract", "housekeeping"),
    ]
    assert work(blog)[1][2] == {"entry_id": entry.id, "author_id": AUTHOR}
    with pytest.raises(FailedPrecondition):
        await publish(blog, new(request_id="k"))


async def test_the_ledger_is_served(blog: Blog) -> None:
    entry = await publish(blog, new())
    channel = open_channel(blog.settings.address("blog"), "kodama.ledger.v1.LedgerService")
    stub = ledger_service_pb2_grpc.LedgerServiceStub(channel)
    opened = await blog.ask(
        stub.ListOpenWork, ledger_pb.ListOpenWorkRequest(tasks=["timeline.fan_out"]), caller.TIMELINE
    )
    assert [str(entry.id) in row.payload_json for row in opened.rows] == [True]
    await channel.close()


async def test_who_may_call(blog: Blog) -> None:
    gateway, timeline = {caller.GATEWAY}, {caller.TIMELINE, caller.WORKER}
    allowed = {
        "CreateBlogEntry": gateway | {caller.OPERATOR},  # the demo network writes as the operator
        "UpdateBlogEntry": gateway,
        "DeleteBlogEntry": gateway,
        "BatchGetBlogEntries": gateway,
        "ListAccountBlogEntries": gateway,
        "FilterHomeBlogEntries": timeline,
        "FilterShownMedia": {caller.MEDIA, caller.WORKER},
        "BatchPullOwnBlogEntries": timeline,
        "PullBlogEntries": timeline,
        "BatchGetPublishedBlogEntries": timeline,
    }
    assert allowed.keys() == {method.name for method in pb.DESCRIPTOR.services_by_name["BlogService"].methods}
    for method, roles in allowed.items():
        for role in caller.ROLES - roles:
            with pytest.raises(KodamaError, match="PERMISSION_DENIED"):
                await blog.ask(getattr(blog.stub, method), getattr(pb, f"{method}Request")(), role)
