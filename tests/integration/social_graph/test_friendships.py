"""Asking, answering, ending and blocking, one after the other."""

import psycopg
import pytest

from chassis.errors import InvalidField, KodamaError, LimitReached, NotFound
from chassis.settings import Settings
from tests.integration.social_graph.conftest import Graph, KnownAccounts, Sql


async def test_a_friendship_from_request_to_end(graph: Graph, sql: Sql) -> None:
    asked = await graph.ask(1, 2)
    assert (asked.account_id, asked.is_requested, asked.is_friend) == (2, True, False)
    assert (await graph.relate(2, [1]))[1].is_requested_by
    accepted = await graph.accept(2, 1)
    assert accepted.is_friend
    assert not accepted.is_requested_by
    assert sql.edges() == {(1, 2), (2, 1)}
    assert sql.requests() == set()
    assert await graph.counts([1, 2, 3]) == {1: 1, 2: 1}
    ended = await graph.end(1, 2)
    assert not ended.is_friend
    assert sql.edges() == set()
    assert await graph.counts([1, 2]) == {}
    for task in ("timeline.backfill", "timeline.purge"):
        assert sql.work(task) == [{"account_id": 1, "friend_id": 2}]
    assert sql.work("suggestions.refresh") == [{"account_id": 1, "friend_id": 2}] * 2
    sql.check_counts()


async def test_asking_who_has_asked_makes_friends_at_once(graph: Graph, sql: Sql) -> None:
    await graph.ask(2, 1)
    assert (await graph.ask(1, 2)).is_friend
    assert sql.requests() == set()
    assert sql.work("timeline.backfill") == [{"account_id": 1, "friend_id": 2}]


async def test_asking_again_changes_nothing(graph: Graph, sql: Sql) -> None:
    await graph.ask(1, 2)
    assert (await graph.ask(1, 2)).is_requested
    assert sql.requests() == {(1, 2)}
    await graph.accept(2, 1)
    assert (await graph.ask(1, 2)).is_friend
    assert (await graph.ask(2, 1)).is_friend
    assert sql.requests() == set()
    assert len(sql.work("timeline.backfill")) == 1


async def test_ending_withdraws_the_own_request_and_not_the_others(graph: Graph, sql: Sql) -> None:
    await graph.ask(1, 2)
    assert (await graph.end(2, 1)).is_requested_by
    assert not (await graph.end(1, 2)).is_requested
    assert not (await graph.end(1, 2)).is_requested
    assert sql.requests() == set()
    assert sql.work("timeline.purge") == []


async def test_rejecting(graph: Graph, sql: Sql) -> None:
    await graph.ask(1, 2)
    assert not (await graph.reject(2, 1)).is_requested_by
    assert sql.requests() == set()
    with pytest.raises(NotFound, match="friend request"):
        await graph.reject(2, 1)
    with pytest.raises(NotFound, match="friend request"):
        await graph.accept(2, 1)


async def test_nobody_accepts_an_own_request(graph: Graph, sql: Sql) -> None:
    await graph.ask(1, 2)
    with pytest.raises(NotFound):
        await graph.accept(1, 2)
    with pytest.raises(NotFound):
        await graph.reject(1, 2)
    assert sql.requests() == {(1, 2)}
    assert sql.edges() == set()


async def test_blocking_ends_all_and_hides(graph: Graph, sql: Sql) -> None:
    await graph.befriend(1, 2)
    blocked = await graph.block(1, 2)
    assert (blocked.is_blocking, blocked.is_friend) == (True, False)
    assert (await graph.block(1, 2)).is_blocking
    assert (await graph.relate(2, [1]))[1].is_blocked_by
    assert sql.edges() == set()
    assert sql.work("timeline.purge") == [{"account_id": 1, "friend_id": 2}]
    with pytest.raises(NotFound) as by_blocked:
        await graph.ask(2, 1)
    with pytest.raises(NotFound) as by_blocker:
        await graph.ask(1, 2)
    with pytest.raises(NotFound) as unknown:
        await graph.ask(1, 999_999)
    told = {(error.value.message, *error.value.metadata.items()) for error in (by_blocked, by_blocker, unknown)}
    assert len(told) == 1
    assert not (await graph.unblock(1, 2)).is_blocking
    assert not (await graph.unblock(1, 2)).is_blocking
    assert sql.edges() == set()
    assert (await graph.ask(2, 1)).is_requested
    sql.check_counts()


@pytest.mark.parametrize(("requester", "target"), [(1, 2), (2, 1)])
async def test_blocking_drops_requests_both_ways(graph: Graph, sql: Sql, requester: int, target: int) -> None:
    await graph.ask(requester, target)
    await graph.block(1, 2)
    assert sql.requests() == set()
    assert sql.work("timeline.purge") == []
    with pytest.raises(NotFound):
        await graph.accept(target, requester)


async def test_unknown_members(graph: Graph, accounts: KnownAccounts, sql: Sql) -> None:
    accounts.known = {1}
    for account_id, target_id in ((1, 2), (2, 1)):
        with pytest.raises(NotFound, match="no such member"):
            await graph.ask(account_id, target_id)
        with pytest.raises(NotFound, match="no such member"):
            await graph.block(account_id, target_id)
        with pytest.raises(NotFound, match="no such member"):
            await graph.mute(account_id, target_id)
    assert sql.rows("SELECT FROM mutes") == []
    assert sql.rows("SELECT FROM blocks") == []
    assert sql.requests() == set()


async def test_members_do_not_deal_with_themselves(graph: Graph) -> None:
    for change, field in (
        (graph.ask, "target_id"),
        (graph.end, "target_id"),
        (graph.block, "target_id"),
        (graph.unblock, "target_id"),
        (graph.mute, "target_id"),
        (graph.unmute, "target_id"),
        (graph.accept, "requester_id"),
        (graph.reject, "requester_id"),
        (graph.dismiss, "target_id"),
    ):
        with pytest.raises(InvalidField) as own:
            await change(7, 7)
        assert own.value.metadata["field"] == field
        with pytest.raises(InvalidField):
            await change(7, -1)
        with pytest.raises(InvalidField) as nobody:
            await change(0, 7)
        assert nobody.value.metadata["field"] == "account_id"


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """A smaller limit of friends, where a test asks for it."""
    return settings.model_copy(update={"max_friends": getattr(request, "param", settings.max_friends)})


@pytest.mark.parametrize("settings", [1], indirect=True)
async def test_the_limit_of_friends(graph: Graph, sql: Sql) -> None:
    await graph.ask(3, 1)
    await graph.ask(1, 4)
    await graph.befriend(1, 2)
    for member, other in ((1, 5), (5, 1)):
        with pytest.raises(LimitReached, match="Member 1 ") as reached:
            await graph.ask(member, other)
        assert reached.value.metadata == {"limit": "1", "what": "friends", "accountId": "1"}
    with pytest.raises(LimitReached):
        await graph.accept(1, 3)
    with pytest.raises(LimitReached):
        await graph.accept(4, 1)
    assert sql.requests() == {(3, 1), (1, 4)}
    assert (await graph.ask(1, 2)).is_friend
    await graph.end(1, 2)
    assert (await graph.accept(1, 3)).is_friend
    sql.check_counts()


async def test_the_schema_refuses_half_a_friendship(graph: Graph, sql: Sql) -> None:
    await graph.befriend(1, 2)
    for statement in (
        "INSERT INTO friendships (account_id, friend_id) VALUES (1, 3)",
        "DELETE FROM friendships WHERE account_id = 1",
        "UPDATE friendships SET friend_id = 4 WHERE account_id = 1",
    ):
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            sql.run(statement)
    assert sql.edges() == {(1, 2), (2, 1)}


async def test_the_schema_refuses_requests_both_ways(graph: Graph, sql: Sql) -> None:
    await graph.ask(1, 2)
    with pytest.raises(psycopg.errors.UniqueViolation):
        sql.run("INSERT INTO friend_requests (requester_id, target_id) VALUES (2, 1)")


async def test_who_may_not_call(graph: Graph) -> None:
    stranger = Graph(graph.settings.model_copy(update={"secret": "x" * 32}), graph.stub, graph.suggestions)
    with pytest.raises(KodamaError, match="UNAUTHENTICATED"):
        await stranger.ask(1, 2)
