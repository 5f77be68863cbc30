"""Changes of one pair at the same moment: each has one right outcome, whoever comes first."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import psycopg
import pytest
from kodama.social_graph.v1 import social_graph_pb2 as graph_pb

from chassis.errors import LimitReached, NotFound
from chassis.settings import Settings
from tests.integration.social_graph.conftest import Graph, Sql

PAIRS = [(low, low + 100) for low in range(1, 61)]


async def at_once(*calls: Awaitable[Any]) -> list[Any]:
    """Make calls together and return what each answered or raised."""
    return await asyncio.gather(*calls, return_exceptions=True)


def worked(sql: Sql, task: str) -> list[tuple[int, int]]:
    return sorted((payload["account_id"], payload["friend_id"]) for payload in sql.work(task))


async def test_crossing_requests_make_one_friendship(graph: Graph, sql: Sql) -> None:
    await graph.form(PAIRS)  # so that the members' rows are there: making them would already put the calls in a row
    await at_once(*(graph.end(a, b) for a, b in PAIRS))
    sql.run("DELETE FROM ledger")
    answers = await at_once(*(call for a, b in PAIRS for call in (graph.ask(a, b), graph.ask(b, a))))
    for first, second in zip(answers[::2], answers[1::2], strict=True):
        assert sorted((first.is_friend, second.is_friend)) == [False, True]
        assert first.is_requested or second.is_requested
    assert sql.requests() == set()
    assert sql.edges() == {edge for a, b in PAIRS for edge in ((a, b), (b, a))}
    assert worked(sql, "timeline.backfill") == PAIRS
    assert worked(sql, "suggestions.refresh") == PAIRS
    sql.check_counts()


async def test_one_of_many_equal_acceptances_makes_friends(graph: Graph, sql: Sql) -> None:
    pairs = PAIRS[:20]
    await at_once(*(graph.ask(a, b) for a, b in pairs))
    answers = await at_once(*(graph.accept(b, a) for a, b in pairs for _ in range(3)))
    assert sum(isinstance(answer, NotFound) for answer in answers) == 2 * len(pairs)
    assert worked(sql, "timeline.backfill") == pairs
    sql.check_counts()


async def test_accept_against_withdrawal_leaves_nothing(graph: Graph, sql: Sql) -> None:
    await at_once(*(graph.ask(a, b) for a, b in PAIRS))
    answers = await at_once(*(call for a, b in PAIRS for call in (graph.accept(b, a), graph.end(a, b))))
    formed = []
    for pair, accepted, ended in zip(PAIRS, answers[::2], answers[1::2], strict=True):
        assert not ended.is_friend
        if not isinstance(accepted, NotFound):
            assert accepted.is_friend
            formed.append(pair)
    assert sql.edges() == set()
    assert sql.requests() == set()
    assert worked(sql, "timeline.backfill") == formed
    assert worked(sql, "timeline.purge") == formed
    for a, b in PAIRS[::10]:  # both sides agree
        assert (await graph.relate(a, [b]))[b] == graph_pb.Relationship(account_id=b)
        assert (await graph.relate(b, [a]))[a] == graph_pb.Relationship(account_id=a)
    sql.check_counts()


async def test_accept_against_rejection_has_one_outcome(graph: Graph, sql: Sql) -> None:
    await at_once(*(graph.ask(a, b) for a, b in PAIRS))
    answers = await at_once(*(call for a, b in PAIRS for call in (graph.accept(b, a), graph.reject(b, a))))
    formed = []
    for pair, accepted, rejected in zip(PAIRS, answers[::2], answers[1::2], strict=True):
        assert sorted(isinstance(answer, NotFound) for answer in (accepted, rejected)) == [False, True]
        if not isinstance(accepted, NotFound):
            formed.append(pair)
    assert sql.edges() == {edge for a, b in formed for edge in ((a, b), (b, a))}
    assert sql.requests() == set()
    assert worked(sql, "timeline.backfill") == formed
    sql.check_counts()


async def test_a_block_wins_against_acceptance(graph: Graph, sql: Sql) -> None:
    await at_once(*(graph.ask(a, b) for a, b in PAIRS))
    answers = await at_once(*(call for a, b in PAIRS for call in (graph.accept(b, a), graph.block(a, b))))
    formed = [pair for pair, answer in zip(PAIRS, answers[::2], strict=True) if not isinstance(answer, NotFound)]
    assert all(answer.is_friend for answer in answers[::2] if not isinstance(answer, NotFound))
    assert all(answer.is_blocking and not answer.is_friend for answer in answers[1::2])
    assert sql.edges() == set()
    assert sql.requests() == set()
    assert set(sql.rows("SELECT account_id, target_id FROM blocks")) == set(PAIRS)
    assert worked(sql, "timeline.backfill") == formed
    assert worked(sql, "timeline.purge") == formed
    sql.check_counts()


async def test_an_acceptance_in_the_middle_of_a_block_finds_nothing(graph: Graph, settings: Settings, sql: Sql) -> None:
    """The block has begun and not committed when the acceptance comes: without the members' locks it would see the request still."""
    await graph.ask(1, 2)
    with psycopg.connect(settings.service_database_url("social_graph")) as conn:
        conn.execute("SELECT FROM friend_requests FOR UPDATE")
        block = asyncio.create_task(graph.block(1, 2))
        await waiting_for_locks(sql, 1)
        accept = asyncio.create_task(graph.accept(2, 1))
        await waiting_for_locks(sql, 2)
    [blocked, accepted] = await at_once(block, accept)
    assert blocked.is_blocking
    assert isinstance(accepted, NotFound)
    assert sql.edges() == set()
    assert sql.work("timeline.backfill") == []
    sql.check_counts()


async def waiting_for_locks(sql: Sql, sessions: int) -> None:
    """Wait until so many sessions of the service wait for another one."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(10):
        while sql.rows(query) != [(sessions,)]:
            await asyncio.sleep(0.01)


async def test_a_block_wins_against_a_request(graph: Graph, sql: Sql) -> None:
    answers = await at_once(*(call for a, b in PAIRS for call in (graph.ask(b, a), graph.block(a, b))))
    assert all(isinstance(answer, NotFound) or answer.is_requested for answer in answers[::2])
    assert sql.requests() == set()
    assert sql.edges() == set()


async def test_one_of_many_endings_counts(graph: Graph, sql: Sql) -> None:
    pairs = PAIRS[:20]
    await graph.form(pairs)
    await at_once(*(call for a, b in pairs for call in (graph.end(a, b), graph.end(b, a), graph.block(a, b))))
    assert sql.edges() == set()
    assert worked(sql, "timeline.purge") == pairs
    sql.check_counts()


async def test_imports_of_the_same_members_at_once(graph: Graph, sql: Sql) -> None:
    ring = [(member, member % 40 + 1) for member in range(1, 41)]
    other = [(member, (member + 7) % 40 + 1) for member in range(40, 0, -1)]
    formed = await at_once(*(graph.form(pairs) for pairs in (ring, other, list(reversed(ring)), other + ring)))
    together = {tuple(sorted(pair)) for pair in ring + other}
    assert sum(formed) == len(together)
    assert sql.edges() == {edge for a, b in together for edge in ((a, b), (b, a))}
    sql.check_counts()


class TestLimit:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"max_friends": 5})

    async def test_nobody_passes_the_limit_of_friends(self, graph: Graph, sql: Sql) -> None:
        popular = 1
        await at_once(*(graph.ask(member, popular) for member in range(2, 32)))
        answers = await at_once(*(graph.accept(popular, member) for member in range(2, 32)))
        assert sum(isinstance(answer, LimitReached) for answer in answers) == 25
        assert await graph.counts([popular]) == {popular: 5}
        assert len(sql.requests()) == 25
        assert len(sql.work("timeline.backfill")) == 5
        sql.check_counts()

    async def test_the_last_place_is_given_once_from_two_sides(self, graph: Graph, sql: Sql) -> None:
        """Each of ten members has one place left; one accepts them while they accept another: exactly one gets it."""
        members = range(1, 11)
        await graph.form([(member, 20 * member + friend) for member in members for friend in range(4)])
        await at_once(*(graph.ask(500 + member, member) for member in members))
        await at_once(*(graph.ask(member, 600 + member) for member in members))
        answers = await at_once(
            *(
                call
                for member in members
                for call in (graph.accept(member, 500 + member), graph.accept(600 + member, member))
            )
        )
        for left, right in zip(answers[::2], answers[1::2], strict=True):
            assert sorted(isinstance(answer, LimitReached) for answer in (left, right)) == [False, True]
        assert await graph.counts(members) == dict.fromkeys(members, 5)
        assert len(sql.requests()) == 10
        sql.check_counts()

    async def test_imports_and_acceptances_share_the_limit(self, graph: Graph, sql: Sql) -> None:
        await at_once(*(graph.ask(member, 1) for member in range(2, 12)))
        await at_once(
            *(graph.accept(1, member) for member in range(2, 12)),
            *(graph.form([(1, member)]) for member in range(12, 22)),
        )
        assert await graph.counts([1]) == {1: 5}
        sql.check_counts()
