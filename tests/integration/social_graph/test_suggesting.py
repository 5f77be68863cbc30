"""From friendships through the worker's tasks to what a member is shown."""

import asyncio
from datetime import UTC, datetime
from itertools import accumulate

import networkx as nx
import pytest
from kodama.social_graph.v1 import social_graph_pb2 as graph_pb

from chassis import topology
from chassis.database import Pool, transaction
from chassis.errors import InvalidField
from chassis.settings import Settings
from services.social_graph import suggestion_store
from services.social_graph.computing import Computing
from services.social_graph.domain import Suggestion
from services.social_graph.suggestions import Source, suggest
from services.social_graph.tasks import HANDLERS, compute, refresh
from services.social_graph.worker import make_app, open_context
from tests.integration.social_graph.conftest import Graph, Sql

NETWORK = nx.relabel_nodes(
    nx.convert_node_labels_to_integers(nx.les_miserables_graph()), lambda node: int(node) + 1, copy=True
)
EVERYBODY = {"after_id": 0, "until_id": 2**62}


def expected(network: "nx.Graph[int]") -> dict[int, list[Suggestion]]:
    """The suggestions in plain networkx, of friends of friends only."""
    return {
        member: [
            Suggestion(s.account_id, s.score, s.mutual_count, s.sample_friends)
            for s in best
            if s.source is Source.FRIENDS_OF_FRIENDS
        ]
        for member, best in suggest(network).items()
    }


def as_suggestions(shown: list[graph_pb.Suggestion]) -> list[Suggestion]:
    return [Suggestion(s.account_id, s.score, s.mutual_friends_count, tuple(s.mutual_friend_ids)) for s in shown]


async def shown_to_all(graph: Graph, network: "nx.Graph[int]") -> dict[int, list[Suggestion]]:
    members = list(network)
    lists = await asyncio.gather(*(graph.suggested(member) for member in members))
    return {member: as_suggestions(shown) for member, shown in zip(members, lists, strict=True)}


def near(network: "nx.Graph[int]", member: int, max_wedges: int) -> list[int]:
    """The friends of a member with the fewest friends, as far as these have no more than so many in all."""
    friends = sorted(network[member], key=lambda friend: (network.degree(friend), friend))
    reach = accumulate(network.degree(friend) for friend in friends)
    return [friend for friend, wedges in zip(friends, reach, strict=True) if wedges <= max_wedges]


@pytest.mark.parametrize(("max_wedges", "bounded"), [(250_000, 0), (200, 4), (60, 37)])
async def test_everybody_gets_what_the_whole_network_says(
    graph: Graph, pool: Pool, max_wedges: int, bounded: int
) -> None:
    """In groups of any size; but for whose friends have too many friends, only friends with few friends count."""
    await graph.form(NETWORK.edges)
    await compute(Computing(pool, max_wedges), [EVERYBODY])
    everybody = expected(NETWORK)
    alone = [member for member in NETWORK if len(near(NETWORK, member, max_wedges)) < NETWORK.degree(member)]
    assert len(alone) == bounded
    for member in alone:
        part = nx.Graph([(friend, other) for friend in near(NETWORK, member, max_wedges) for other in NETWORK[friend]])
        best = expected(part)[member] if member in part else []
        everybody[member] = [s for s in best if s.account_id not in NETWORK[member]]
    assert await shown_to_all(graph, NETWORK) == everybody


async def test_progress_of_computing_all_in_blocks(
    graph: Graph, pool: Pool, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.social_graph.suggesting.MAX_WEDGES", 2000)
    monkeypatch.setattr("services.social_graph.suggesting.MAX_BLOCK_MEMBERS", 20)
    await graph.form(NETWORK.edges)
    sql.run("DELETE FROM ledger")
    queued, again = await asyncio.gather(graph.queue_all(), graph.queue_all())
    assert queued == again
    assert queued.members == len(NETWORK)
    blocks = sql.work("suggestions.compute")
    assert len(blocks) == queued.blocks > 4
    inside = [m for block in blocks for m in NETWORK if block["after_id"] < m <= block["until_id"]]
    assert sorted(inside) == sorted(NETWORK)
    before = await graph.progress()
    assert (before.open_tasks, before.members, before.members_computed) == (len(blocks), len(NETWORK), 0)
    computing = Computing(pool)
    for block in blocks:
        await compute(computing, [block])
    sql.run("DELETE FROM ledger")
    after = await graph.progress()
    assert (after.open_tasks, after.members, after.members_computed) == (0, len(NETWORK), len(NETWORK))
    assert await shown_to_all(graph, NETWORK) == expected(NETWORK)
    assert (await graph.queue_all()).blocks == len(blocks)


async def test_nothing_to_compute(graph: Graph, pool: Pool) -> None:
    assert (await graph.queue_all()).blocks == 0
    await compute(Computing(pool), [EVERYBODY])
    await refresh(Computing(pool), [{"account_id": 5}])
    assert await graph.suggested(5) == []


async def test_refreshing_after_a_change_is_for_both_ends(graph: Graph, pool: Pool, sql: Sql) -> None:
    await graph.form([(1, 2), (3, 4)])
    computing = Computing(pool)
    await compute(computing, [EVERYBODY])
    await graph.befriend(2, 3)
    [payload] = [payload for payload in sql.work("suggestions.refresh") if "friend_id" in payload]
    await refresh(computing, [payload, payload, {"account_id": 1}])
    network = nx.Graph([(1, 2), (2, 3), (3, 4)])
    shown = await shown_to_all(graph, network)
    assert {m: s for m, s in shown.items() if m != 4} == {m: s for m, s in expected(network).items() if m != 4}
    assert shown[4] == []
    await graph.end(2, 3)
    await graph.end(3, 4)
    await refresh(computing, [payload])
    assert await graph.suggested(2) == []
    assert sql.rows("SELECT FROM suggestions WHERE account_id = 3") == []


async def test_what_was_read_later_stays(graph: Graph, pool: Pool) -> None:
    await graph.form([(1, 2), (2, 3)])
    await refresh(Computing(pool), [{"account_id": 1}])
    async with transaction(pool) as conn:
        await suggestion_store.save_suggestions(conn, datetime(2020, 1, 1, tzinfo=UTC), {1: []})
    assert [s.account_id for s in await graph.suggested(1)] == [3]


async def test_who_may_not_be_suggested_now_is_left_out(graph: Graph, pool: Pool) -> None:
    await graph.form([(1, 2), *((2, other) for other in range(3, 12))])
    await refresh(Computing(pool), [{"account_id": 1}])
    assert [s.account_id for s in await graph.suggested(1)] == list(range(3, 12))
    await graph.befriend(1, 3)
    await graph.ask(1, 4)
    await graph.ask(5, 1)
    await graph.block(1, 6)
    await graph.block(7, 1)
    await graph.dismiss(1, 8)
    await graph.dismiss(1, 8)
    await graph.dismiss(9, 1)
    assert [s.account_id for s in await graph.suggested(1)] == [9, 10, 11]
    assert [s.account_id for s in await graph.suggested(1, limit=2)] == [9, 10]
    await graph.end(1, 4)
    await graph.unblock(1, 6)
    assert [s.account_id for s in await graph.suggested(1)] == [4, 6, 9, 10, 11]
    with pytest.raises(InvalidField):
        await graph.suggested(1, limit=-1)


async def test_who_is_no_mutual_friend_any_more_is_not_named(graph: Graph, pool: Pool) -> None:
    await graph.form([(mutual, end) for mutual in (2, 3, 4) for end in (1, 9)] + [(4, 8), (3, 7), (3, 6)])
    await refresh(Computing(pool), [{"account_id": 1}])

    async def named() -> list[int]:
        [suggestion] = [s for s in await graph.suggested(1) if s.account_id == 9]
        return list(suggestion.mutual_friend_ids)

    assert await named() == [2, 4, 3]
    await graph.end(1, 2)
    assert await named() == [4, 3]
    await graph.end(9, 4)
    assert await named() == [3]
    await graph.block(3, 1)
    assert await named() == []


async def test_a_sample_blocked_either_way_is_not_named(graph: Graph, pool: Pool, sql: Sql) -> None:
    """A block ends friendship; this holds even where rows say otherwise."""
    await graph.form([(1, 2), (2, 9)])
    await refresh(Computing(pool), [{"account_id": 1}])
    for blocker, blocked in ((1, 2), (2, 1)):
        assert [list(s.mutual_friend_ids) for s in await graph.suggested(1)] == [[2]]
        sql.run("INSERT INTO blocks (account_id, target_id) VALUES (%s, %s)", blocker, blocked)
        assert [list(s.mutual_friend_ids) for s in await graph.suggested(1)] == [[]]
        sql.run("DELETE FROM blocks")


async def test_the_worker_has_all_tasks_of_its_queue(settings: Settings, graph: Graph) -> None:
    assert set(HANDLERS) == {task.name for task in topology.TASKS.values() if task.queue == "suggestions"}
    app = make_app(settings.model_copy(update={"broker_url": "amqp://127.0.0.1:1/"}))
    assert set(HANDLERS) <= set(app.tasks)
    await graph.form([(1, 2), (2, 3)])
    async with open_context(settings) as computing:
        await refresh(computing, [{"account_id": 3}])
    assert [s.account_id for s in await graph.suggested(3)] == [1]
