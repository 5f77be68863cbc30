"""Friend requests end after a time: from then on they are as if they had never been, at every read and in every race."""

import asyncio

import pytest
from kodama.social_graph.v1 import social_graph_pb2 as graph_pb

from chassis.database import Pool, connection
from chassis.errors import NotFound
from chassis.settings import Settings
from services.social_graph.store import delete_expired_requests
from tests.integration.social_graph.conftest import Graph, Sql

DAY_MS = 24 * 3600 * 1000
PAIRS = [(low, low + 100) for low in range(1, 41)]


def expire(sql: Sql) -> None:
    sql.run("UPDATE friend_requests SET expires_at = now()")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"friend_request_days": 30})


async def test_a_request_says_when_it_ends(graph: Graph) -> None:
    await graph.ask(1, 2)
    [waiting] = await graph.requests(2)
    assert abs(waiting.expires_at_ms - waiting.created_at_ms - 30 * DAY_MS) < 1000
    assert await graph.requests(1, outgoing=True) == [waiting]


async def test_an_expired_request_is_seen_nowhere(graph: Graph, sql: Sql) -> None:
    await graph.ask(1, 2)
    sql.run("INSERT INTO refreshed_suggestions VALUES (1, now(), '{2}', '{1}', '{1}')")
    assert await graph.suggested(1) == []
    expire(sql)
    assert await graph.requests(2) == []
    assert await graph.requests(1, outgoing=True) == []
    assert not (await graph.relate(1, [2]))[2].is_requested
    assert not (await graph.relate(2, [1]))[1].is_requested_by
    assert len(await graph.suggested(1)) == 1


async def test_an_expired_request_cannot_be_answered(graph: Graph, sql: Sql) -> None:
    await graph.ask(1, 2)
    expire(sql)
    for answer in (graph.accept, graph.reject):
        with pytest.raises(NotFound, match="friend request"):
            await answer(2, 1)
    assert not (await graph.end(1, 2)).is_friend
    assert sql.edges() == set()
    assert sql.work("timeline.backfill") == []


@pytest.mark.parametrize(("asker", "target"), [(1, 2), (2, 1)])
async def test_asking_anew_after_it_has_expired(graph: Graph, sql: Sql, asker: int, target: int) -> None:
    await graph.ask(1, 2)
    expire(sql)
    asked = await graph.ask(asker, target)
    assert (asked.is_requested, asked.is_friend) == (True, False)
    assert sql.requests() == {(asker, target)}
    assert (await graph.accept(target, asker)).is_friend


async def test_housekeeping_takes_what_has_expired_only(graph: Graph, sql: Sql, pool: Pool) -> None:
    for a, b in PAIRS:
        await graph.ask(a, b)
    sql.run("UPDATE friend_requests SET expires_at = now() WHERE requester_id <= 10")
    async with connection(pool) as conn:
        assert [await delete_expired_requests(conn) for _ in range(2)] == [10, 0]
    assert sql.requests() == set(PAIRS[10:])


async def test_asking_anew_while_housekeeping_deletes(graph: Graph, sql: Sql, pool: Pool) -> None:
    """Both meet on the same row, in either direction of the pair: the new request is there in the end, once."""
    for _ in range(3):
        await asyncio.gather(*(graph.ask(a, b) for a, b in PAIRS))
        expire(sql)

        async def clear() -> None:
            for _ in range(10):
                async with connection(pool) as conn:
                    await delete_expired_requests(conn)

        answers = await asyncio.gather(
            clear(), *(graph.ask(b, a) for a, b in PAIRS[::2]), *(graph.ask(a, b) for a, b in PAIRS[1::2])
        )
        assert all(answer is None or answer.is_requested for answer in answers)
        assert sql.requests() == {(b, a) for a, b in PAIRS[::2]} | set(PAIRS[1::2])
        await asyncio.gather(*(graph.end(*pair) for pair in sql.requests()))


async def test_accepting_while_it_expires_has_one_outcome(graph: Graph, sql: Sql, pool: Pool) -> None:
    """A request ends between its acceptance and its deletion: either both are friends, or it was not there."""
    await asyncio.gather(*(graph.ask(a, b) for a, b in PAIRS))

    async def end_all() -> None:
        for a, _ in PAIRS:
            async with connection(pool) as conn:
                await conn.execute(
                    "UPDATE friend_requests SET expires_at = clock_timestamp() WHERE requester_id = %s", (a,)
                )
                await delete_expired_requests(conn)

    accepting = asyncio.gather(*(graph.accept(b, a) for a, b in PAIRS), return_exceptions=True)
    await end_all()
    formed = {
        pair
        for pair, answer in zip(PAIRS, await accepting, strict=True)
        if isinstance(answer, graph_pb.Relationship) and answer.is_friend
    }
    assert sql.edges() == {edge for a, b in formed for edge in ((a, b), (b, a))}
    assert sql.requests() == set()
    sql.check_counts()
