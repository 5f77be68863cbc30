"""Friendships from elsewhere: all of a batch or nothing, as often as one likes."""

from collections.abc import Iterator

import networkx as nx
import psycopg
import pytest

from chassis import ledger, relay_store
from chassis.database import Pool, transaction
from chassis.errors import InvalidField, LimitReached, NotFound
from chassis.settings import Settings
from tests.integration.social_graph.conftest import Graph, KnownAccounts, Sql

WOMEN_AND_EVENTS = [
    (a + 1, b + 1) for a, b in nx.convert_node_labels_to_integers(nx.davis_southern_women_graph()).edges
]


async def test_importing_again_changes_nothing(graph: Graph, sql: Sql) -> None:
    expected = {edge for a, b in WOMEN_AND_EVENTS for edge in ((a, b), (b, a))}
    assert await graph.form(WOMEN_AND_EVENTS[:50]) == 50
    assert await graph.form([(b, a) for a, b in WOMEN_AND_EVENTS] + WOMEN_AND_EVENTS) == len(WOMEN_AND_EVENTS) - 50
    work = sql.work("timeline.rebase")
    assert sql.work("suggestions.refresh") == work
    assert await graph.form(WOMEN_AND_EVENTS) == 0
    assert sql.work("timeline.rebase") == work
    assert sql.edges() == expected
    assert await graph.form([]) == 0
    sql.check_counts()


async def test_every_member_with_a_new_friend_is_told_of_once(graph: Graph, sql: Sql) -> None:
    await graph.befriend(1, 2)
    assert await graph.form([(1, 2), (3, 2), (2, 4), (4, 3), (3, 4)]) == 3
    assert sql.work("timeline.rebase") == [{"account_id": member} for member in (2, 3, 4)]
    assert len(sql.work("timeline.backfill")) == 1


async def test_further_friends_of_a_member_wait_for_the_work_that_waits_already(graph: Graph, sql: Sql) -> None:
    assert await graph.form([(1, 2)]) == 1
    assert await graph.form([(2, 3)]) == 1
    assert sql.work("timeline.rebase") == [{"account_id": member} for member in (1, 2, 3)]
    sql.run("UPDATE ledger SET published_at = now()")
    assert await graph.form([(3, 4)]) == 1
    members = sorted(payload["account_id"] for payload in sql.work("suggestions.refresh"))
    assert members == [1, 2, 3, 3, 4]


@pytest.fixture
def relay_conn(settings: Settings) -> Iterator[psycopg.Connection]:
    with psycopg.connect(settings.service_database_url("social_graph"), autocommit=True) as conn:
        yield conn


async def test_work_that_the_relay_is_taking_does_not_stand_for_later_friends(
    graph: Graph, sql: Sql, relay_conn: psycopg.Connection
) -> None:
    assert await graph.form([(1, 2)]) == 1
    sql.run("UPDATE ledger SET due_at = now()")
    with relay_conn.transaction():
        assert len(relay_store.claim_due(relay_conn, 10)) == 4
        assert await graph.form([(2, 3)]) == 1
    members = sorted(payload["account_id"] for payload in sql.work("timeline.rebase"))
    assert members == [1, 2, 2, 3]


async def test_no_relay_takes_waiting_work_before_the_friends_are_there_that_it_stands_for(
    pool: Pool, graph: Graph, sql: Sql, relay_conn: psycopg.Connection
) -> None:
    assert await graph.form([(1, 2)]) == 1
    sql.run("UPDATE ledger SET due_at = now()")
    async with transaction(pool) as conn:
        await ledger.append(conn, "friendships.imported", [{"account_id": 2}], merges=True)
        rows = relay_store.claim_due(relay_conn, 10)
        assert {one["account_id"] for row in rows for one in ledger.payloads_of(row.payload)} == {1}
    rows = relay_store.claim_due(relay_conn, 10)
    assert {one["account_id"] for row in rows for one in ledger.payloads_of(row.payload)} == {1, 2}


async def test_requests_are_answered_and_blocks_respected(graph: Graph, sql: Sql) -> None:
    await graph.ask(1, 2)
    await graph.ask(4, 3)
    await graph.ask(1, 9)
    await graph.block(6, 5)
    assert await graph.form([(1, 2), (3, 4), (5, 6), (6, 7)]) == 3
    assert sql.requests() == {(1, 9)}
    assert (5, 6) not in sql.edges()
    assert await graph.counts([5, 6]) == {6: 1}
    sql.check_counts()


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([(1, 2), (3, 3)], "Friendship 2 is of member 3"),
        ([(0, 2)], "Friendship 1"),
        ([(1, 2), (4, -1)], "Friendship 2"),
    ],
)
async def test_impossible_friendships(graph: Graph, sql: Sql, pairs: list[tuple[int, int]], message: str) -> None:
    with pytest.raises(InvalidField, match=message) as refused:
        await graph.form(pairs)
    assert refused.value.metadata["field"] == "friendships"
    assert sql.edges() == set()


async def test_an_unknown_member_is_named(graph: Graph, accounts: KnownAccounts, sql: Sql) -> None:
    accounts.known = {1, 2, 3}
    with pytest.raises(NotFound, match="member 77") as refused:
        await graph.form([(1, 2), (3, 77), (2, 80)])
    assert refused.value.metadata["accountId"] == "77"
    assert sql.edges() == set()
    assert sql.work("timeline.rebase") == []


class TestLimit:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"max_friends": 4})

    async def test_who_would_pass_the_limit_is_named_and_nothing_is_imported(self, graph: Graph, sql: Sql) -> None:
        assert await graph.form([(5, friend) for friend in range(6, 10)]) == 4
        with pytest.raises(LimitReached, match="Member 5 ") as refused:
            await graph.form([(1, 2), (5, 10)])
        assert refused.value.metadata == {"limit": "4", "what": "friends", "accountId": "5"}
        assert len(sql.edges()) == 8
        assert len(sql.work("timeline.rebase")) == 5
        assert await graph.form([(5, friend) for friend in range(6, 10)]) == 0
        sql.check_counts()


async def test_ten_thousand_friendships_of_two_thousand_members(graph: Graph, sql: Sql) -> None:
    network = nx.gnm_random_graph(2000, 10_000, seed=4)
    assert await graph.form([(a + 1, b + 1) for a, b in network.edges]) == 10_000
    sql.check_counts()
    assert len(sql.edges()) == 20_000
