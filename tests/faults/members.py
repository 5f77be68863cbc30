"""The members of a network under test: brought in and signed in as an operator does it."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import networkx as nx
from kodama.account.v1 import account_service_pb2 as account_pb
from kodama.account.v1 import oauth_service_pb2 as oauth_pb

from chassis.errors import Unavailable
from chassis.rpc import call
from chassis.settings import Settings
from services.cli.edge_list import EdgeList
from services.cli.importing import import_friendships
from services.cli.network import Network as Operators
from services.cli.network import open_network

AT_A_TIME = 16
CALL_SECONDS = 60.0
TRIES, PAUSE_SECONDS = 20, 3.0

Done = TypeVar("Done")


@dataclass(frozen=True)
class Member:
    """Somebody who is signed in."""

    id: int
    handle: str
    token: str


@dataclass(frozen=True)
class Society:
    """Members, and which of them (by place) are friends at the beginning."""

    members: Sequence[Member]
    friendships: Sequence[tuple[int, int]]

    def pairs(self) -> list[tuple[int, int]]:
        """Return the friendships by account ids."""
        return [(self.members[left].id, self.members[right].id) for left, right in self.friendships]


async def settle_in(settings: Settings, count: int, friends: int, *, prefix: str, seed: int) -> Society:
    """Make members, each with so many random friends, and sign them in. Raises KodamaError."""
    graph: nx.Graph[int] = nx.random_regular_graph(friends, count, seed) if friends else nx.empty_graph(count)
    handles = [f"{prefix}{number}" for number in range(count)]
    edges = [(left, right) for left, right in graph.edges]
    async with open_network(settings) as operators:
        named = EdgeList(handles, [(handles[left], handles[right]) for left, right in edges], 0, 0)
        await patiently(lambda: import_friendships(operators, named, "", lambda *_: None))
        members = await patiently(lambda: _sign_in(operators, handles))
    random.Random(seed).shuffle(edges)
    return Society(members, edges)


async def patiently(work: Callable[[], Awaitable[Done]]) -> Done:
    """Do something that can be done again, as often as the network is too busy for it. Raises KodamaError after many tries."""
    for _ in range(TRIES):
        try:
            return await work()
        except Unavailable:
            await asyncio.sleep(PAUSE_SECONDS)
    return await work()


async def _sign_in(operators: Operators, handles: Sequence[str]) -> list[Member]:
    gate = asyncio.Semaphore(AT_A_TIME)

    async def one(account_id: int, handle: str) -> Member:
        request = oauth_pb.IssueAccountTokenRequest(account_id=account_id)
        async with gate:
            answer = await call(
                operators.oauth.IssueAccountToken, request, operators.signer, timeout_seconds=CALL_SECONDS
            )
        return Member(account_id, handle, answer.token.access_token)

    ids: dict[str, int] = {}
    for begin in range(0, len(handles), 100):
        found = await call(
            operators.accounts.BatchFindAccounts,
            account_pb.BatchFindAccountsRequest(handles=handles[begin : begin + 100]),
            operators.signer,
            timeout_seconds=CALL_SECONDS,
        )
        ids |= {account.handle: account.id for account in found.accounts}
    return list(await asyncio.gather(*(one(ids[handle], handle) for handle in handles)))
