"""Idempotency keys, on the writes of one service: the mechanism is the same in all."""

import asyncio
from typing import Any

import psycopg
import pytest
from google.protobuf.message import Message
from kodama.social_graph.v1 import social_graph_service_pb2 as pb
from kodama.social_graph.v1 import suggestion_service_pb2 as suggestion_pb

from chassis import caller
from chassis.database import Pool, connection
from chassis.errors import Conflict, IdempotencyKeyReused, InvalidField, KodamaError, NotFound
from chassis.housekeeping import repeat
from chassis.idempotency import delete_expired
from chassis.rpc import call
from chassis.settings import Settings
from tests.integration.social_graph.conftest import SECONDS, Graph, KnownAccounts, Sql


async def write(graph: Graph, method: Any, request: Message) -> Any:
    return await call(method, request, graph.signer(caller.GATEWAY), timeout_seconds=SECONDS)


async def ask(graph: Graph, account_id: int, target_id: int, key: str) -> Any:
    request = pb.RequestFriendshipRequest(account_id=account_id, target_id=target_id, request_id=key)
    return await write(graph, graph.stub.RequestFriendship, request)


async def block(graph: Graph, account_id: int, target_id: int, key: str) -> Any:
    request = pb.BlockRequest(account_id=account_id, target_id=target_id, request_id=key)
    return await write(graph, graph.stub.Block, request)


async def test_the_same_request_gets_the_stored_answer(graph: Graph, accounts: KnownAccounts, sql: Sql) -> None:
    first = await ask(graph, 1, 2, "k")
    assert first.relationship.is_requested
    await graph.end(1, 2)
    accounts.known = set()  # what is asked before the transaction is not asked again either
    assert await ask(graph, 1, 2, "k") == first
    assert sql.requests() == set()
    with pytest.raises(NotFound):
        await ask(graph, 1, 2, "another")


async def test_a_key_that_came_with_another_request(graph: Graph, sql: Sql) -> None:
    await ask(graph, 1, 2, "k")
    for other in (ask(graph, 1, 3, "k"), block(graph, 1, 2, "k")):
        with pytest.raises(IdempotencyKeyReused):
            await other
    assert sql.requests() == {(1, 2)}
    assert sql.rows("SELECT FROM blocks") == []


async def test_members_share_no_keys(graph: Graph, sql: Sql) -> None:
    await ask(graph, 1, 3, "k")
    await ask(graph, 2, 3, "k")
    assert sql.requests() == {(1, 3), (2, 3)}


async def test_what_failed_can_be_asked_for_again(graph: Graph, accounts: KnownAccounts, sql: Sql) -> None:
    await graph.block(2, 1)
    with pytest.raises(NotFound):
        await ask(graph, 1, 2, "k")
    assert sql.rows("SELECT FROM claims") == []
    await graph.unblock(2, 1)
    assert (await ask(graph, 1, 2, "k")).relationship.is_requested


async def test_while_the_first_is_running(graph: Graph, settings: Settings, sql: Sql) -> None:
    with psycopg.connect(settings.service_database_url("social_graph")) as conn:
        conn.execute("SELECT try_claim(1, 'k')")
        with pytest.raises(Conflict, match="still running"):
            await ask(graph, 1, 2, "k")
        assert sql.requests() == set()
        await ask(graph, 2, 3, "k")
    assert (await ask(graph, 1, 2, "k")).relationship.is_requested


async def test_of_many_at_once_one_is_done(graph: Graph, sql: Sql) -> None:
    await graph.ask(1, 2)
    request = pb.AcceptFriendRequestRequest(account_id=2, requester_id=1, request_id="k")
    answers = await asyncio.gather(
        *(write(graph, graph.stub.AcceptFriendRequest, request) for _ in range(20)), return_exceptions=True
    )
    accepted = [answer for answer in answers if isinstance(answer, pb.AcceptFriendRequestResponse)]
    assert accepted
    assert all(answer.relationship.is_friend for answer in accepted)
    assert all(isinstance(answer, Conflict) for answer in answers if answer not in accepted)
    assert (await write(graph, graph.stub.AcceptFriendRequest, request)) == accepted[0]
    assert len(sql.work("timeline.backfill")) == 1


async def test_no_effect_without_its_key(graph: Graph, settings: Settings, sql: Sql) -> None:
    with psycopg.connect(settings.database_url, autocommit=True) as admin:
        admin.execute("ALTER TABLE social_graph.claims ADD CONSTRAINT never CHECK (false) NOT VALID")
        with pytest.raises(KodamaError):
            await ask(graph, 1, 2, "k")
        assert sql.requests() == set()
        admin.execute("ALTER TABLE social_graph.claims DROP CONSTRAINT never")
    assert (await ask(graph, 1, 2, "k")).relationship.is_requested


async def test_without_a_key_nothing_is_kept(graph: Graph, sql: Sql) -> None:
    await graph.ask(1, 2)
    assert sql.rows("SELECT FROM claims") == []


async def test_keys_are_bounded(graph: Graph) -> None:
    for key in ("k" * 256, "鍵" * 86, "\0"):
        with pytest.raises(InvalidField) as error:
            await ask(graph, 1, 2, key)
        assert error.value.metadata == {"field": "request_id"}
    await ask(graph, 1, 2, "鍵" * 85)


async def test_an_empty_answer_is_one_too(graph: Graph, sql: Sql) -> None:
    request = suggestion_pb.DismissSuggestionRequest(account_id=1, target_id=2, request_id="k")
    for _ in range(2):
        await write(graph, graph.suggestions.DismissSuggestion, request)
    sql.run("DELETE FROM dismissals")
    await write(graph, graph.suggestions.DismissSuggestion, request)
    assert sql.rows("SELECT FROM dismissals") == []


async def test_a_key_is_free_again_after_a_day(graph: Graph, sql: Sql) -> None:
    await ask(graph, 1, 2, "k")
    sql.run("UPDATE claims SET created_at = now() - interval '25 hours'")
    await ask(graph, 1, 3, "k")
    assert sql.requests() == {(1, 2), (1, 3)}
    with pytest.raises(IdempotencyKeyReused):
        await ask(graph, 1, 2, "k")


async def test_housekeeping_deletes_old_keys(graph: Graph, pool: Pool, sql: Sql) -> None:
    for number in range(5):
        await ask(graph, 1, 10 + number, f"k{number}")
    sql.run("UPDATE claims SET created_at = now() - interval '25 hours' WHERE request_id < 'k3'")
    async with repeat("claims.forget", delete_expired, pool, interval_seconds=0.01):
        async with asyncio.timeout(SECONDS):
            while len(sql.rows("SELECT FROM claims")) > 2:
                await asyncio.sleep(0.01)
    async with connection(pool) as conn:
        assert await delete_expired(conn) == 0
    assert sql.rows("SELECT request_id FROM claims ORDER BY 1") == [("k3",), ("k4",)]


async def test_a_chore_that_fails_is_tried_again(pool: Pool) -> None:
    tries = asyncio.Queue[int]()

    async def fail(_conn: object) -> int:
        tries.put_nowait(1)
        raise NotFound("no")

    async with repeat("claims.forget", fail, pool, interval_seconds=0.01), asyncio.timeout(SECONDS):
        for _ in range(3):
            await tries.get()
