"""Workers, relay and service are killed in the middle of a generation: it comes out as if nothing had happened.

All of them are processes of their own here, as operators run them, with RabbitMQ between them.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack

import networkx as nx
import psutil
import psycopg
import pytest
from psycopg.rows import TupleRow

from chassis.database import Pool
from chassis.settings import Settings
from tests.integration.chassis.test_process import environment_of
from tests.integration.social_graph.conftest import Sql, Work

MEMBERS = 1500
WAIT_SECONDS = 120
WORKER, RELAY, SERVICE = ("worker", "suggestions"), ("relay", "social_graph"), ("serve", "social_graph")


class Processes:
    """The processes of a small network; what is still running at the end is killed."""

    def __init__(self, settings: Settings) -> None:
        self._environment = environment_of(settings)
        self._running: dict[tuple[str, str], asyncio.subprocess.Process] = {}

    async def start(self, *commands: tuple[str, str]) -> None:
        for command in commands:
            self._running[command] = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "services.cli", *command, env=self._environment, start_new_session=True
            )

    async def kill(self, *commands: tuple[str, str]) -> None:
        """Kill processes at once, each with its children."""
        for command in commands:
            os.killpg(self._running[command].pid, signal.SIGKILL)
        for command in commands:
            await self._running.pop(command).wait()

    def kill_a_child(self, command: tuple[str, str]) -> None:
        """Kill the process of a pool that has worked most."""
        children = psutil.Process(self._running[command].pid).children()
        max(children, key=lambda child: child.cpu_times().user).kill()

    async def close(self) -> None:
        await self.kill(*self._running)


@pytest.fixture
def settings(settings: Settings, broker_url: str) -> Settings:
    """Hundreds of blocks, and leases that are short enough to be waited for."""
    changes = {"broker_url": broker_url, "suggestions_block_wedges": 1000, "relay_lease_seconds": 5}
    return settings.model_copy(update=changes)


def move_in(settings: Settings) -> None:
    """Bring a network in as one write, with nothing that this would cause."""
    graph = nx.barabasi_albert_graph(MEMBERS, 5, seed=7)
    with psycopg.connect(settings.service_database_url("social_graph"), autocommit=True) as conn:
        conn.execute(
            "INSERT INTO friendships (account_id, friend_id) SELECT a + 1, b + 1 FROM unnest(%s::bigint[], %s::bigint[]) AS edge(a, b)",
            (
                [*(a for a, _ in graph.edges), *(b for _, b in graph.edges)],
                [*(b for _, b in graph.edges), *(a for a, _ in graph.edges)],
            ),
        )
        conn.execute("INSERT INTO members SELECT account_id, count(*) FROM friendships GROUP BY account_id")


async def eventually(condition: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            while not condition():
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"not within {WAIT_SECONDS} s: {what}")


async def test_what_is_killed_in_the_middle_of_a_generation_changes_nothing(
    settings: Settings, pool: Pool, sql: Sql, work: Work
) -> None:
    move_in(settings)
    request(sql)
    await work.drain()
    undisturbed = sql.stored(1)
    assert len(undisturbed) == MEMBERS
    request(sql)

    def latest() -> TupleRow:
        [row] = sql.rows("SELECT state, blocks, blocks_done FROM described_generations ORDER BY id DESC LIMIT 1")
        return row

    def has_done(part: float) -> Callable[[], bool]:
        return lambda: latest()[1] > 0 and latest()[2] >= part * latest()[1]

    async with AsyncExitStack() as stack:
        processes = Processes(settings)
        stack.push_async_callback(processes.close)
        await processes.start(SERVICE, RELAY, WORKER)
        await eventually(has_done(0.05), "the first blocks are computed")
        processes.kill_a_child(WORKER)
        await eventually(has_done(0.2), "the others go on")
        await processes.kill(WORKER, RELAY, SERVICE)
        state, blocks, done = latest()
        assert (state, done < blocks) == ("computing", True), "killed too late to prove anything"
        assert sql.rows("SELECT max(id) FROM generations WHERE state = 'done'") == [(1,)]
        await processes.start(SERVICE, RELAY, WORKER)
        await eventually(has_done(0.6), "it goes on where it was")
        await processes.kill(WORKER)
        await processes.start(WORKER)
        await eventually(lambda: latest()[0] == "done", "the generation is done")
    assert sql.stored(2) == undisturbed
    assert sql.rows("SELECT count(*) FROM suggestions WHERE generation = 2") == [(MEMBERS,)]
    assert latest()[1] > 100


def request(sql: Sql) -> None:
    """Do what the chore does when a generation is due."""
    sql.run("INSERT INTO generations DEFAULT VALUES")
    sql.run(
        "INSERT INTO ledger (task, queue, payload)"
        " SELECT 'suggestions.snapshot', 'suggestions', jsonb_build_object('generation', max(id)) FROM generations"
    )
