"""What a member is shown: the right people, for reasons that hold, at the moment of the read."""

import pytest
from kodama.social_graph.v1 import social_graph_pb2 as graph_pb

from chassis import topology
from chassis.errors import InvalidField, NotFound, Unavailable
from chassis.settings import Settings
from services.social_graph.domain import Obstacle, Source
from services.social_graph.suggestions import Source as KernelSource
from services.social_graph.tasks import HANDLERS
from services.social_graph.worker import make_app, open_context
from tests.integration.social_graph.conftest import Graph, KnownAccounts, Sql, Work

STAR = [(1, 2), *((2, other) for other in range(3, 12))]
"""1 knows 2, who knows everybody else."""


async def ids(graph: Graph, viewer: int, limit: int = 50) -> list[int]:
    return [one.account_id for one in await graph.suggested(viewer, limit)]


async def test_who_may_not_be_suggested_now_is_left_out(graph: Graph, work: Work, accounts: KnownAccounts) -> None:
    await graph.form(STAR)
    await work.computing.refreshing.refresh([1])
    assert await ids(graph, 1) == list(range(3, 12))
    await graph.befriend(1, 3)
    await graph.ask(1, 4)
    await graph.ask(5, 1)
    await graph.block(1, 6)
    await graph.block(7, 1)
    await graph.dismiss(1, 8)
    await graph.dismiss(1, 8)
    await graph.dismiss(9, 1)
    await graph.mute(1, 10)
    assert await ids(graph, 1) == [9, 11]
    assert await ids(graph, 1, limit=1) == [9]
    accounts.opted_out.add(9)
    assert await ids(graph, 1) == [11]
    accounts.known.remove(11)
    assert await ids(graph, 1) == []
    accounts.opted_out.clear()
    await graph.end(1, 4)
    await graph.unblock(1, 6)
    await graph.restore(1, 8)
    await graph.unmute(1, 10)
    assert await ids(graph, 1) == [4, 6, 8, 9, 10]
    with pytest.raises(InvalidField):
        await graph.suggested(1, limit=-1)
    accounts.is_away = True
    with pytest.raises(Unavailable):
        await graph.suggested(1)


async def test_a_page_is_full_where_there_are_enough(graph: Graph, work: Work, accounts: KnownAccounts) -> None:
    """The stored fifty are all unsuitable: others take their places, friends of friends first."""
    await graph.form([(1, 2), *((2, other) for other in range(3, 90)), *((99, other) for other in (100, 101, 102))])
    await work.computing.refreshing.refresh([1])
    first = await ids(graph, 1)
    assert first == list(range(3, 53))
    accounts.opted_out.update(first)
    shown = await graph.suggested(1, 40)
    assert [one.account_id for one in shown] == [*range(53, 90), 99, 100, 101]
    assert [Source(one.source) for one in shown] == [Source.FRIENDS_OF_FRIENDS] * 37 + [Source.POPULAR] * 3


async def test_who_has_no_friends_sees_those_with_the_most(graph: Graph, work: Work) -> None:
    await graph.form(STAR)
    shown = await graph.suggested(500)
    assert [one.account_id for one in shown] == [2, 1, *range(3, 12)]
    assert {(Source(one.source), one.mutual_friends_count) for one in shown} == {(Source.POPULAR, 0)}


async def test_mutual_friends_are_those_of_this_moment(graph: Graph, work: Work, sql: Sql) -> None:
    await graph.form([(mutual, end) for mutual in (2, 3, 4, 5) for end in (1, 9)] + [(4, 8), (3, 7), (3, 6)])
    await work.computing.refreshing.refresh([1])

    async def named() -> tuple[int, list[int]]:
        [suggestion] = [one for one in await graph.suggested(1) if one.account_id == 9]
        return suggestion.mutual_friends_count, list(suggestion.mutual_friend_ids)

    assert await named() == (4, [2, 5, 4])
    await graph.end(1, 2)
    assert await named() == (3, [5, 4, 3])
    await graph.end(9, 4)
    assert await named() == (2, [5, 3])
    await graph.form([(1, 20), (20, 9)])
    assert await named() == (3, [5, 20, 3])
    for blocker, blocked in ((1, 5), (5, 1)):  # a block ends friendship; this holds even where rows say otherwise
        sql.run("INSERT INTO blocks (account_id, target_id) VALUES (%s, %s)", blocker, blocked)
        assert await named() == (2, [20, 3])
        sql.run("DELETE FROM blocks")


async def test_hidden_friends_are_no_reason_that_is_told(graph: Graph, work: Work, accounts: KnownAccounts) -> None:
    await graph.form([(mutual, end) for mutual in (2, 3) for end in (1, 9)] + [(3, 7)])
    await work.computing.refreshing.refresh([1])
    accounts.hiding = {2}
    shown = {one.account_id: one for one in await graph.suggested(1)}
    assert (shown[9].mutual_friends_count, list(shown[9].mutual_friend_ids)) == (1, [3])
    assert not shown[9].hides_mutual_friends
    accounts.hiding = {9}
    shown = {one.account_id: one for one in await graph.suggested(1)}
    assert (shown[9].mutual_friends_count, list(shown[9].mutual_friend_ids), shown[9].score) == (0, [], 0)
    assert shown[9].hides_mutual_friends
    assert list(shown[7].mutual_friend_ids) == [3]


async def test_refreshing_after_a_change_is_for_both_ends_at_once_and_for_their_friends_later(
    graph: Graph, work: Work, sql: Sql
) -> None:
    await graph.form([(1, 2), (3, 4), (2, 5)])
    await work.drain()
    await graph.befriend(2, 3)
    [row] = work.open()
    assert row[2] == {"account_id": 2, "friend_id": 3}
    await work.do(row)
    assert {one.account_id: list(one.mutual_friend_ids) for one in await graph.suggested(2)} == {4: [3]}
    assert {one.account_id: list(one.mutual_friend_ids) for one in await graph.suggested(3)} == {1: [2], 5: [2]}
    later = sql.rows(
        "SELECT payload, due_at > now() + interval '50 seconds' FROM ledger WHERE task LIKE 'suggestions.%%'"
    )
    assert sorted(payload["account_id"] for payload, is_later in later if is_later) == [1, 4, 5]
    assert len(later) == 3
    await graph.end(2, 5)
    rows = work.open()
    await work.do(rows[-1])
    waiting = sorted(payload["account_id"] for _, _, payload in work.open())
    assert waiting == [1, 3, 4, 5], "what waits for a member stands for what comes"
    await work.drain()
    assert {one.account_id for one in await graph.suggested(4) if one.mutual_friend_ids} == {2}


async def test_what_was_computed_from_later_friendships_is_read(graph: Graph, work: Work, sql: Sql) -> None:
    await graph.form([(1, 2), (2, 3), (5, 6)])
    sql.run("DELETE FROM ledger")
    await graph.request_all()
    await work.drain("suggestions.snapshot")
    await graph.form([(2, 4)])
    await work.computing.refreshing.refresh([1])
    await work.drain()
    stored = sql.stored(1)
    assert 4 not in stored
    assert await ids(graph, 1) == [3, 4, 5, 6], "the refreshed list knows what the generation, done later, does not"
    await graph.dismiss(1, 4)
    sql.run("UPDATE refreshed_suggestions SET computed_at = '2020-01-01', suggested_ids[1] = 1999")
    assert await ids(graph, 1) == stored[1], "nor can it undo what knows more"
    await graph.restore(1, 4)
    await work.computing.refreshing.refresh([1])
    sql.run("UPDATE refreshed_suggestions SET computed_at = now() + interval '1 hour', suggested_ids[1] = 4")
    await work.computing.refreshing.refresh([1])
    assert sql.rows("SELECT suggested_ids[1] FROM refreshed_suggestions WHERE account_id = 1") == [(4,)]


async def test_dismissals_are_listed_undone_and_end(graph: Graph, sql: Sql) -> None:
    for target in (5, 6, 7):
        await graph.dismiss(1, target)
    page = await graph.dismissed(1, page_size=2)
    assert [one.account_id for one in page.dismissed_suggestions] == [7, 6]
    assert all(one.expires_at_ms == 0 < one.created_at_ms for one in page.dismissed_suggestions)
    rest = await graph.dismissed(1, page_size=2, page_token=page.next_page_token)
    assert ([one.account_id for one in rest.dismissed_suggestions], rest.next_page_token) == ([5], "")
    await graph.restore(1, 6)
    await graph.restore(1, 6)
    sql.run("UPDATE dismissals SET expires_at = now() WHERE target_id = 7")
    assert [one.account_id for one in (await graph.dismissed(1)).dismissed_suggestions] == [5]
    await graph.dismiss(1, 7)
    assert [one.account_id for one in (await graph.dismissed(1)).dismissed_suggestions] == [7, 5]
    for bad in ("x", "MQ"):
        with pytest.raises(InvalidField, match="page_token"):
            await graph.dismissed(1, page_token=bad)
    for target in (0, 1):
        with pytest.raises(InvalidField):
            await graph.dismiss(1, target)
        with pytest.raises(InvalidField):
            await graph.restore(1, target)


async def test_why_somebody_is_suggested(graph: Graph, work: Work, accounts: KnownAccounts) -> None:
    await graph.form([(mutual, end) for mutual in (2, 3) for end in (1, 9)] + [(3, 7), (3, 8)])
    await work.computing.refreshing.refresh([1])
    why = await graph.explain(1, 9)
    assert (why.rank, list(why.obstacles)) == (1, [])
    assert (Source(why.suggestion.source), why.suggestion.mutual_friends_count) == (Source.FRIENDS_OF_FRIENDS, 2)
    assert list(why.suggestion.mutual_friend_ids) == [2, 3]
    assert why.suggestion.score == pytest.approx(1 / 2 + 1 / 4)
    [part] = why.score_parts
    assert part.name == "kernel"
    assert part.value == pytest.approx(1 / 2 + 1 / 4)
    accounts.hiding = {2}
    why = await graph.explain(1, 9)
    assert why.suggestion.mutual_friends_count == 1
    assert why.suggestion.score == pytest.approx(1 / 4)
    accounts.hiding = {9}
    why = await graph.explain(1, 9)
    assert (why.suggestion.mutual_friends_count, why.suggestion.score, list(why.score_parts)) == (0, 0, [])
    assert why.suggestion.hides_mutual_friends
    assert why.rank == 1


async def test_why_somebody_is_not_suggested(graph: Graph, work: Work, accounts: KnownAccounts) -> None:
    await graph.form([*STAR, *((2, other) for other in range(12, 80))])
    await work.computing.refreshing.refresh([1])
    await graph.befriend(1, 3)
    await graph.ask(1, 4)
    await graph.ask(5, 1)
    await graph.block(1, 6)
    await graph.block(7, 1)
    await graph.dismiss(1, 8)
    await graph.mute(1, 8)
    accounts.opted_out.add(9)

    async def obstacles(target: int) -> list[int]:
        why = await graph.explain(1, target)
        assert why.rank == 0
        assert why.suggestion.source == graph_pb.SUGGESTION_SOURCE_UNSPECIFIED
        return list(why.obstacles)

    assert await obstacles(3) == [Obstacle.FRIEND]
    assert await obstacles(4) == [Obstacle.REQUESTED]
    assert await obstacles(5) == [Obstacle.REQUESTED_BY]
    assert await obstacles(6) == [Obstacle.BLOCKING]
    assert await obstacles(8) == [Obstacle.MUTING, Obstacle.DISMISSED]
    assert await obstacles(9) == [Obstacle.NOT_DISCOVERABLE]
    assert await obstacles(1500) == [Obstacle.NOT_AMONG_THE_BEST]
    assert list((await graph.explain(1, 3)).suggestion.mutual_friend_ids) == [2]
    with pytest.raises(NotFound) as blocked:
        await graph.explain(1, 7)
    with pytest.raises(NotFound) as unknown:
        await graph.explain(1, 5000)
    assert blocked.value.message == unknown.value.message
    with pytest.raises(InvalidField):
        await graph.explain(1, 1)


async def test_the_number_of_a_source_and_an_obstacle_is_that_of_the_contract() -> None:
    for source in Source:
        assert int(graph_pb.SuggestionSource.Value(f"SUGGESTION_SOURCE_{source.name}")) == source
        assert int(KernelSource[source.name]) == source
    for obstacle in Obstacle:
        assert int(graph_pb.Obstacle.Value(f"OBSTACLE_{obstacle.name}")) == obstacle


async def test_the_worker_has_all_tasks_of_its_queues(settings: Settings, graph: Graph) -> None:
    queues = {queue.name for queue in topology.QUEUES.values() if queue.service == "social_graph"}
    assert set(HANDLERS) == {task.name for task in topology.TASKS.values() if task.queue in queues}
    app = make_app(settings.model_copy(update={"broker_url": "amqp://127.0.0.1:1/"}))
    assert set(HANDLERS) <= set(app.tasks)
    await graph.form([(1, 2), (2, 3)])
    async with open_context(settings) as computing:
        await HANDLERS["suggestions.refresh"](computing, [{"account_id": 3}])
    assert await ids(graph, 3) == [1]
