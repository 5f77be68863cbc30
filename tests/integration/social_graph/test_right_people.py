"""Whatever has happened between members, nobody is shown whom they may not be, nor for a reason that they may not know.

Random histories of a small network, on the real service, its store and its workers. After each step what two members are shown is
compared with a model that is a few sets.
"""

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from kodama.social_graph.v1 import social_graph_pb2 as graph_pb

from chassis.errors import NotFound
from services.social_graph.domain import Obstacle
from tests.integration.social_graph.conftest import Graph, KnownAccounts, Sql, Work

EXAMPLES = int(os.environ.get("KODAMA_MACHINE_EXAMPLES", "15"))
PHASES = (Phase.explicit, Phase.generate)  # a shorter history would take a minute to find
MEMBERS = range(1, 9)
Pair = tuple[int, int]


@dataclass
class Truth:
    """How eight members stand: what the rules make of what they do, in words of its own."""

    friends: set[frozenset[int]] = field(default_factory=set)
    requests: set[Pair] = field(default_factory=set)
    blocks: set[Pair] = field(default_factory=set)
    mutes: set[Pair] = field(default_factory=set)
    dismissals: set[Pair] = field(default_factory=set)
    hiding: set[int] = field(default_factory=set)
    opted_out: set[int] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)

    def is_blocked(self, a: int, b: int) -> bool:
        return (a, b) in self.blocks or (b, a) in self.blocks

    def friends_of(self, a: int) -> set[int]:
        return {b for pair in self.friends if a in pair for b in pair - {a}}

    def ask(self, a: int, b: int) -> None:
        if self.is_blocked(a, b) or {a, b} & self.gone or frozenset({a, b}) in self.friends:
            return
        if (b, a) in self.requests:
            self.accept(a, b)
        else:
            self.requests.add((a, b))

    def accept(self, a: int, b: int) -> None:
        if (b, a) in self.requests:
            self.requests.remove((b, a))
            self.friends.add(frozenset({a, b}))

    def end(self, a: int, b: int) -> None:
        self.requests.discard((a, b))
        self.friends.discard(frozenset({a, b}))

    def block(self, a: int, b: int) -> None:
        if not {a, b} & self.gone:
            self.blocks.add((a, b))
            self.requests -= {(a, b), (b, a)}
            self.friends.discard(frozenset({a, b}))

    def mute(self, a: int, b: int) -> None:
        if not {a, b} & self.gone:
            self.mutes.add((a, b))

    def obstacles(self, viewer: int, other: int) -> list[Obstacle]:
        found = {
            Obstacle.FRIEND: frozenset({viewer, other}) in self.friends,
            Obstacle.REQUESTED: (viewer, other) in self.requests,
            Obstacle.REQUESTED_BY: (other, viewer) in self.requests,
            Obstacle.BLOCKING: (viewer, other) in self.blocks,
            Obstacle.MUTING: (viewer, other) in self.mutes,
            Obstacle.DISMISSED: (viewer, other) in self.dismissals,
            Obstacle.NOT_DISCOVERABLE: other in self.opted_out,
        }
        return [obstacle for obstacle, stands in found.items() if stands]

    def may_be_shown(self, viewer: int, other: int) -> bool:
        is_there = viewer != other and other not in self.gone and (other, viewer) not in self.blocks
        return is_there and not self.obstacles(viewer, other)

    def mutual_friends(self, viewer: int, other: int) -> set[int]:
        """Those that the viewer may be told of."""
        if other in self.hiding or self.is_blocked(viewer, other):
            return set()
        both = self.friends_of(viewer) & self.friends_of(other)
        return {one for one in both if one not in self.hiding | self.gone and not self.is_blocked(viewer, one)}


class History:
    """Lets the same happen to the service and to the truth."""

    def __init__(self, graph: Graph, work: Work, sql: Sql, accounts: KnownAccounts) -> None:
        self.graph, self._work, self._sql, self.accounts = graph, work, sql, accounts
        self.truth = Truth()
        accounts.known = set(MEMBERS)
        accounts.hiding, accounts.opted_out = self.truth.hiding, self.truth.opted_out
        for table in TABLES:
            sql.run(table)

    async def do(self, name: str, a: int, b: int) -> None:
        """Do one thing; what is refused is refused by both."""
        if name in ALONE:
            await ALONE[name](self, a)
        elif a != b:
            try:
                await TOGETHER[name](self, a, b)
            except NotFound:
                assert name in ("befriend", "ask", "block", "mute")

    async def refresh(self, a: int) -> None:
        await self._work.computing.refreshing.refresh([a])

    async def work_off(self, a: int) -> None:
        await self._work.drain("suggestions.refresh")

    async def generate(self, a: int) -> None:
        self._sql.run("DELETE FROM ledger")
        await self.graph.request_all()
        await self._work.drain("suggestions.snapshot", "suggestions.tune", "suggestions.compute")

    async def leave(self, a: int) -> None:
        self.truth.gone.add(a)
        self.accounts.known.discard(a)

    async def hide(self, a: int) -> None:
        self.truth.hiding.symmetric_difference_update({a})

    async def opt_out(self, a: int) -> None:
        self.truth.opted_out.symmetric_difference_update({a})

    async def expire(self, a: int) -> None:
        """Everything that ends by itself ends now, for everybody."""
        self._sql.run("UPDATE dismissals SET expires_at = now()")
        self._sql.run("UPDATE mutes SET expires_at = now()")
        self._sql.run("UPDATE friend_requests SET expires_at = now()")
        for ending in (self.truth.dismissals, self.truth.mutes, self.truth.requests):
            ending.clear()

    async def ask(self, a: int, b: int) -> None:
        self.truth.ask(a, b)
        await self.graph.ask(a, b)

    async def befriend(self, a: int, b: int) -> None:
        await self.ask(a, b)
        self.truth.accept(b, a)
        await self.graph.accept(b, a)

    async def end(self, a: int, b: int) -> None:
        self.truth.end(a, b)
        await self.graph.end(a, b)

    async def block(self, a: int, b: int) -> None:
        self.truth.block(a, b)
        await self.graph.block(a, b)

    async def unblock(self, a: int, b: int) -> None:
        self.truth.blocks.discard((a, b))
        await self.graph.unblock(a, b)

    async def mute(self, a: int, b: int) -> None:
        self.truth.mute(a, b)
        await self.graph.mute(a, b)

    async def unmute(self, a: int, b: int) -> None:
        self.truth.mutes.discard((a, b))
        await self.graph.unmute(a, b)

    async def dismiss(self, a: int, b: int) -> None:
        self.truth.dismissals.add((a, b))
        await self.graph.dismiss(a, b)

    async def restore(self, a: int, b: int) -> None:
        self.truth.dismissals.discard((a, b))
        await self.graph.restore(a, b)

    async def check(self, viewer: int, other: int) -> None:
        """What a viewer is shown is right, and what it is told of somebody."""
        shown = await self.graph.suggested(viewer)
        ids = [one.account_id for one in shown]
        assert len(ids) == len(set(ids))
        wrong = [one for one in ids if not self.truth.may_be_shown(viewer, one)]
        assert not wrong, f"{viewer} is shown {wrong}"
        near = {one for friend in self.truth.friends_of(viewer) for one in self.truth.friends_of(friend)}
        missing = {one for one in near if self.truth.may_be_shown(viewer, one)} - set(ids)
        assert not missing, f"{viewer} is not shown {missing}"
        for one in shown:
            self.check_reasons(viewer, one)
        if viewer != other:
            await self.check_why(viewer, other, ids)

    def check_reasons(self, viewer: int, shown: graph_pb.Suggestion) -> None:
        mutual = self.truth.mutual_friends(viewer, shown.account_id)
        assert shown.hides_mutual_friends == (shown.account_id in self.truth.hiding)
        assert shown.mutual_friends_count == len(mutual)
        assert set(shown.mutual_friend_ids) <= mutual
        assert len(shown.mutual_friend_ids) == min(3, len(mutual))
        assert (shown.score > 0) == bool(mutual)

    async def check_why(self, viewer: int, other: int, ids: list[int]) -> None:
        if other in self.truth.gone or (other, viewer) in self.truth.blocks:
            with pytest.raises(NotFound):
                await self.graph.explain(viewer, other)
            return
        why = await self.graph.explain(viewer, other)
        obstacles = self.truth.obstacles(viewer, other)
        assert why.rank == (ids.index(other) + 1 if other in ids else 0)
        assert [Obstacle(each) for each in why.obstacles] == (
            obstacles or ([] if why.rank else [Obstacle.NOT_AMONG_THE_BEST])
        )
        if Obstacle.BLOCKING not in obstacles:
            self.check_reasons(viewer, why.suggestion)
        assert bool(why.score_parts) == bool(self.truth.mutual_friends(viewer, other))


ALONE: Mapping[str, Callable[[History, int], Awaitable[None]]] = {
    "refresh": History.refresh,
    "work_off": History.work_off,
    "generate": History.generate,
    "leave": History.leave,
    "hide": History.hide,
    "opt_out": History.opt_out,
    "expire": History.expire,
}
TOGETHER: Mapping[str, Callable[[History, int, int], Awaitable[None]]] = {
    "befriend": History.befriend,
    "ask": History.ask,
    "end": History.end,
    "block": History.block,
    "unblock": History.unblock,
    "mute": History.mute,
    "unmute": History.unmute,
    "dismiss": History.dismiss,
    "restore": History.restore,
}
TABLES = (
    "DELETE FROM ledger",
    "DELETE FROM friendships",
    *(
        f"DELETE FROM {name}"
        for name in ("members", "friend_requests", "blocks", "mutes", "dismissals", "refreshed_suggestions")
    ),
    "UPDATE generations SET state = 'cancelled'",
)
# Friendships make networks, so they come more often than the rest; a generation costs most.
NAMES = st.sampled_from([*["befriend"] * 5, "dismiss", "expire", "refresh", *sorted(ALONE), *sorted(TOGETHER)])
STEPS = st.lists(st.tuples(NAMES, st.sampled_from(MEMBERS), st.sampled_from(MEMBERS)), min_size=5, max_size=18)
FRIENDSHIPS = st.sets(
    st.tuples(st.sampled_from(MEMBERS), st.sampled_from(MEMBERS)).filter(lambda p: p[0] < p[1]), max_size=14
)


@hypothesis_settings(
    max_examples=EXAMPLES,
    phases=PHASES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    print_blob=True,
)
@given(friendships=FRIENDSHIPS, steps=STEPS)
async def test_only_the_right_people_for_reasons_that_may_be_known(
    graph: Graph,
    work: Work,
    sql: Sql,
    accounts: KnownAccounts,
    monkeypatch: pytest.MonkeyPatch,
    friendships: set[Pair],
    steps: list[tuple[str, int, int]],
) -> None:
    monkeypatch.setattr("services.social_graph.suggestions.tuning.MAX_TRIALS", 1)
    history = History(graph, work, sql, accounts)
    await graph.form(friendships)
    history.truth.friends = {frozenset(pair) for pair in friendships}
    for name, a, b in steps:
        await history.do(name, a, b)
        await history.check(a, b)
        await history.check(b, a)
