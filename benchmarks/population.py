"""Members and friendships for a benchmark, brought in as an operator brings them in."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import kombu
import networkx as nx
import psutil
import psycopg
from kodama.account.v1 import oauth_service_pb2 as oauth_pb
from psycopg import sql

from benchmarks.network import Bench
from chassis import topology
from chassis.ids import first_id_at
from chassis.rpc import call
from services.cli.edge_list import EdgeList
from services.cli.importing import import_friendships
from services.cli.network import Network, open_network

AT_A_TIME = 16
CALL_SECONDS = 20
QUIET_SECONDS = 180
POLL_SECONDS = 0.05
IDLE_PERCENT = 3.0
SUGGESTION_QUEUES = ("suggestions", "suggestions.live")


@dataclass(frozen=True)
class Member:
    """Somebody who can sign in."""

    id: int
    name: str
    token: str


def regular_graph(members: int, friends: int, seed: int) -> EdgeList:
    """Return a random graph in which everybody has the same number of friends. Raises networkx's error where there is none."""
    graph: nx.Graph[int] = nx.random_regular_graph(friends, members, seed)
    return EdgeList([f"r{node}" for node in graph], [(f"r{left}", f"r{right}") for left, right in graph.edges], 0, 0)


def author_groups(readers: int, authors: Mapping[int, int], seed: int) -> EdgeList:
    """Return groups of authors whose friends are random readers: `authors` maps the friends of each to how many such authors.

    Authors are named a<friends>_<number>, readers r<number>; authors are nobody's readers.
    """
    chance = random.Random(seed)
    names = [f"r{number}" for number in range(readers)]
    pairs = [
        (f"a{friends}_{number}", reader)
        for friends, count in authors.items()
        for number in range(count)
        for reader in chance.sample(names, friends)
    ]
    members = dict.fromkeys(name for pair in pairs for name in pair)
    return EdgeList(list(members), pairs, 0, 0)


async def populate(bench: Bench, edges: EdgeList) -> list[Member]:
    """Bring a graph's members and friendships in, wait for the work that this causes, and sign everybody in."""
    async with open_network(bench.trial.settings) as network:
        await import_friendships(network, edges, "", lambda *_: None)
        await asyncio.to_thread(skip_suggestions, bench)
        await asyncio.to_thread(wait_until_delivered, bench)
        return await _sign_in(bench, network)


def skip_suggestions(bench: Bench) -> None:
    """Strike the computing of suggestions, which an import queues for every member and no benchmark here measures.

    Computed for hundreds of members with hundreds of friends each it would occupy a core for minutes.
    """
    deadline = time.monotonic() + QUIET_SECONDS
    with kombu.Connection(bench.trial.settings.require_broker_url()) as broker, broker.channel() as channel:
        while True:
            struck = bench.execute("DELETE FROM social_graph.ledger WHERE task LIKE 'suggestions.%'")
            purged = sum(channel.queue_purge(queue) for queue in SUGGESTION_QUEUES)
            if not struck and not purged and all(_is_idle(bench, queue) for queue in SUGGESTION_QUEUES):
                return
            if time.monotonic() > deadline:
                raise TimeoutError("the worker of the suggestions does not come to rest")


def _is_idle(bench: Bench, name: str) -> bool:
    """Tell, after a second of looking, whether the processes with this word in their command do nothing."""
    found = bench.trial.find_processes(lambda process: name in process.cmdline())
    for process in found:
        process.cpu_percent()
    time.sleep(1)
    return all(_percent(process) < IDLE_PERCENT for process in found)


def _percent(process: psutil.Process) -> float:
    try:
        return process.cpu_percent()
    except psutil.NoSuchProcess:
        return 0.0


def wait_until_delivered(bench: Bench, *, seconds: float = QUIET_SECONDS) -> float:
    """Wait until every ledger is empty and return when it was seen, as Unix time.

    Raises TimeoutError after `seconds`, also where work was given up: dead rows stay in their ledger.
    """
    deadline = time.monotonic() + seconds
    with bench.connect() as conn:
        while True:
            if not any(_has_work(conn, producer) for producer in topology.PRODUCERS):
                return time.time()
            if time.monotonic() > deadline:
                raise TimeoutError("the ledgers do not become empty")
            time.sleep(POLL_SECONDS)


def _has_work(conn: psycopg.Connection, producer: str) -> bool:
    query = sql.SQL("SELECT FROM {}.ledger WHERE task NOT LIKE 'suggestions.%' LIMIT 1")
    return conn.execute(query.format(sql.Identifier(producer))).fetchone() is not None


async def _sign_in(bench: Bench, network: Network) -> list[Member]:
    async def one(account_id: int, handle: str) -> Member:
        request = oauth_pb.IssueAccountTokenRequest(account_id=account_id)
        answer = await call(network.oauth.IssueAccountToken, request, network.signer, timeout_seconds=CALL_SECONDS)
        return Member(account_id, handle, answer.token.access_token)

    rows = bench.query("SELECT id, handle FROM account.accounts ORDER BY id")
    return await _bounded([partial(one, account_id, handle) for account_id, handle in rows])


async def _bounded(work: Sequence[Callable[[], Awaitable[Member]]]) -> list[Member]:
    gate = asyncio.Semaphore(AT_A_TIME)

    async def one(make: Callable[[], Awaitable[Member]]) -> Member:
        async with gate:
            return await make()

    return list(await asyncio.gather(*map(one, work)))


def wait_until_pushed_to(bench: Bench) -> None:
    """Wait until the margin is over after which everything is pushed to those who have read their home timeline."""
    deadline = time.monotonic() + QUIET_SECONDS
    while True:
        now = first_id_at(int(time.time() * 1000))
        rows = bench.query("SELECT count(*) FROM timeline.homes WHERE pushed_from > %(now)s", {"now": now})
        if rows == [(0,)]:
            return
        if time.monotonic() > deadline:
            raise TimeoutError("pushing does not begin")
        time.sleep(POLL_SECONDS)
