"""Statuses that are posted at the same time are one statement, and each is posted as if it were alone."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace
from psycopg.rows import dict_row

from chassis.database import Pool, connection, make_pool
from chassis.ledger import MAX_SHARING, payloads_of
from chassis.settings import Settings
from services.status import posting_store, store
from services.status.domain import NewStatus, Posted, Status, StatusCount, Visibility

AUTHOR, OTHER = 5, 6
TABLES = ("statuses", "claims", "ledger")


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[Pool]:
    async with make_pool(settings.service_database_url("status"), size=4, application="test") as opened:
        yield opened


def new(text: str, key: str = "", *, author: int = AUTHOR, visibility: Visibility = Visibility.PUBLIC) -> NewStatus:
    return NewStatus(author, text, visibility, key)


async def post(pool: Pool, *posts: NewStatus) -> list[Status | None]:
    async with connection(pool) as conn:
        return [each.status if each else None for each in await posting_store.insert_statuses(conn, posts)]


async def rows(pool: Pool, table: str) -> list[dict[str, Any]]:
    async with connection(pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(psycopg.sql.SQL("SELECT * FROM {}").format(psycopg.sql.Identifier(table)))
        return await cursor.fetchall()


async def test_fan_outs_of_what_is_posted_together_share_rows(pool: Pool) -> None:
    posted = await post(pool, *(new(f"{number}") for number in range(MAX_SHARING + 1)))
    found = sorted(await rows(pool, "ledger"), key=lambda row: -row["payload_count"])
    assert [row["payload_count"] for row in found] == [MAX_SHARING, 1]
    assert [type(row["payload"]) for row in found] == [list, dict]
    shared = sorted(change["entry_id"] for row in found for change in payloads_of(row["payload"]))
    assert shared == sorted(each.id for each in posted if each)


async def test_many_are_posted_as_one_would_be(pool: Pool) -> None:
    """What the statement for many leaves behind is what the one for a single status does, change for change."""
    posts = [
        new("public"),
        new("with a key", "k1"),
        new("for friends", visibility=Visibility.FRIENDS),
        new("日本語 \\ ' \" {}, 👨‍👩‍👧", "k2", author=OTHER),
        replace(new("@hana @ken", "k3"), mentioned={"hana": 8, "ken": 9}),
        replace(new("@hana", visibility=Visibility.DIRECT), mentioned={"hana": 8}),
    ]
    left: list[dict[str, list[str]]] = []
    for together in (True, False):
        async with connection(pool) as conn:
            if together:
                answers = await posting_store.insert_statuses(conn, posts)
            else:
                answers = [await store.insert_status(conn, each) for each in posts]
        posted = [each and each.status for each in answers]
        check_counts([each for each in answers if each])
        assert [each and replace(each, id=0) for each in posted] == [each.as_posted(0) for each in posts]
        names = {str(each.id): f"post {number}" for number, each in enumerate(posted) if each}
        left.append({table: _bare(await rows(pool, table), names) for table in TABLES})
        async with connection(pool) as conn:
            for table in TABLES:
                await conn.execute(psycopg.sql.SQL("DELETE FROM {}").format(psycopg.sql.Identifier(table)))
    assert left[0] == left[1]
    assert len(left[0]["ledger"]) == 5 + 3  # all but the direct one to friends' homes, and who is mentioned hears of it


def check_counts(answers: list[Posted]) -> None:
    """Each is counted with all that its author has posted before it, in the order of the ids; direct ones are not."""
    for author in (AUTHOR, OTHER):
        count, last_id = 0, 0
        for status, counted in sorted(answers, key=lambda each: each.status.id):
            if status.account_id == author:
                if status.visibility != Visibility.DIRECT:
                    count, last_id = count + 1, status.id
                assert counted == StatusCount(author, count, last_id)


def _bare(found: list[dict[str, Any]], names: dict[str, str]) -> list[str]:
    """Rows without what differs from run to run, a ledger's for each change that it stands for."""
    bare = []
    changes = [{**row, "payload": one} for row in found for one in payloads_of(row.get("payload", {}))]
    for row in changes:
        kept = {name: value for name, value in row.items() if not name.endswith("_at")}
        if "task" in row:
            del kept["id"], kept["payload_count"]
        text = str(kept)
        for an_id, name in names.items():
            text = text.replace(an_id, name)
        bare.append(text)
    return sorted(bare)


async def test_the_same_key_twice_in_one_statement_posts_once(pool: Pool) -> None:
    first, second, third = await post(pool, new("a", "k"), new("a", "k"), new("a", "k", author=OTHER))
    assert first is not None
    assert second is None
    assert third is not None
    assert await post(pool, new("a", "k"), new("b")) != [None, None]
    assert len(await rows(pool, "statuses")) == 3


async def test_without_keys_the_same_text_is_posted_as_often_as_it_is_asked(pool: Pool) -> None:
    posted = [each for each in await post(pool, *[new("echo")] * 5) if each]
    assert len({each.id for each in posted}) == 5


async def test_a_key_that_is_just_being_used_by_another_is_left_out(pool: Pool) -> None:
    async with pool.connection() as holder, holder.transaction():
        await holder.execute("SELECT try_claim(%s, %s)", (AUTHOR, "held"))
        refused, posted = await post(pool, new("a", "held"), new("b", "free"))
    assert refused is None
    assert posted is not None
    [again] = await post(pool, new("a", "held"))
    assert again is not None


async def test_statements_that_post_under_the_same_keys_never_post_twice(pool: Pool) -> None:
    posts = [new(f"status {number}", f"key {number}") for number in range(40)]
    answers = await asyncio.gather(*(post(pool, *order) for order in (posts, posts[::-1], posts[20:] + posts[:20])))
    assert sum(each is not None for answer in answers for each in answer) == len(posts)
    assert len(await rows(pool, "statuses")) == len(posts)


async def test_one_that_breaks_the_statement_leaves_nothing_of_the_others(pool: Pool) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        await post(pool, new("fine"), new("x" * 2000))
    assert [await rows(pool, table) for table in TABLES] == [[], [], []]
