"""What is done to a network: each nemesis inflicts one kind of fault, holds it for a while, and lifts it."""

import asyncio
import os
import random
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import psutil
import psycopg

from chassis import topology
from tests.faults.broker_control import insist
from tests.faults.edges import EDGES
from tests.faults.network import Network
from tests.faults.proxy import Mode

CLOCK_BACK = "clock goes back"
CLOCK_SECONDS = 600

Strike = Callable[[Network, random.Random, float], Awaitable[None]]
"""Inflicts a fault for so many seconds; when it returns, the fault is over."""


@dataclass(frozen=True)
class Nemesis:
    """One kind of fault."""

    name: str
    strike: Strike
    lasts: bool
    """It is held for a time that the schedule chooses."""
    is_single: bool = True
    """It is tried alone, with its recovery timed."""


def _kill(prefix: str, *, whole: bool = False) -> Strike:
    async def strike(network: Network, chance: random.Random, seconds: float) -> None:
        network.kill(chance.choice(network.daemons.named(prefix)), whole=whole)

    return strike


def _stop(prefix: str) -> Strike:
    async def strike(network: Network, chance: random.Random, seconds: float) -> None:
        daemon = chance.choice(network.daemons.named(prefix))
        pid = daemon.pid
        if not pid or not daemon.send(signal.SIGSTOP):
            return
        try:
            await asyncio.sleep(seconds)
        finally:
            if daemon.pid == pid:
                daemon.send(signal.SIGCONT)

    return strike


async def kill_workers(network: Network, chance: random.Random, seconds: float) -> None:
    """Kill all workers at once, as the end of a machine would."""
    for daemon in network.daemons.named("worker-"):
        network.kill(daemon)


async def kill_child(network: Network, chance: random.Random, seconds: float) -> None:
    """Kill a child of the one worker that has any."""
    for daemon in network.daemons.named("worker-suggestions"):
        children = [child for child in daemon.children() if "spawn_main" in " ".join(_words(child))]
        if children:
            with suppress(psutil.NoSuchProcess):
                chance.choice(children).kill()
                network.kills["worker-child"] += 1
            return


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


async def terminate_sessions(network: Network, chance: random.Random, seconds: float) -> None:
    """Have PostgreSQL end a few random sessions, again and again."""
    until = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < until:
        with suppress(psycopg.Error):
            ended = await network.query(
                "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 3) AS chosen"
            )
            network.kills["session (terminated)"] += len(ended)
        await asyncio.sleep(0.2)


async def kill_backend(network: Network, chance: random.Random, seconds: float) -> None:
    """Kill one of PostgreSQL's backends: the server ends all others and recovers."""
    backends = [child for child in network.daemons.by_name["postgres"].children() if _is_backend(child)]
    if backends:
        with suppress(psutil.NoSuchProcess):
            chance.choice(backends).kill()
            network.kills["postgres-backend"] += 1


def _is_backend(process: psutil.Process) -> bool:
    return any("kodama" in word for word in _words(process)[:1])


async def restart_postgres(network: Network, chance: random.Random, seconds: float) -> None:
    """Have PostgreSQL end at once, in order or not; it is started again."""
    network.daemons.by_name["postgres"].send(chance.choice([signal.SIGINT, signal.SIGQUIT]))


async def kill_broker(network: Network, chance: random.Random, seconds: float) -> None:
    """Kill RabbitMQ's node; it is started again."""
    network.kill(network.daemons.by_name["rabbitmq"], whole=True)


async def take_broker_away(network: Network, chance: random.Random, seconds: float) -> None:
    """Kill RabbitMQ's node and keep it down."""
    async with _broker_down(network):
        await asyncio.sleep(seconds)


async def wipe_broker(network: Network, chance: random.Random, seconds: float) -> None:
    """Kill RabbitMQ's node and delete all that it has kept."""
    async with _broker_down(network):
        await asyncio.to_thread(_empty, network)


def _empty(network: Network) -> None:
    data = network.node.home / "data"
    shutil.rmtree(data)
    data.mkdir(mode=0o700)


@asynccontextmanager
async def _broker_down(network: Network) -> AsyncIterator[None]:
    broker = network.daemons.by_name["rabbitmq"]
    broker.is_held = True
    try:
        network.kill(broker, whole=True)
        while broker.pid:
            await asyncio.sleep(0.05)
        await broker.before_start()
        yield
    finally:
        network.daemons.release("rabbitmq")


def _alarm(raise_it: tuple[str, ...], lift_it: tuple[str, ...]) -> Strike:
    async def strike(network: Network, chance: random.Random, seconds: float) -> None:
        try:
            await insist(network.node, *raise_it)
            await asyncio.sleep(seconds)
        finally:
            await insist(network.node, *lift_it)

    return strike


async def close_connections(network: Network, chance: random.Random, seconds: float) -> None:
    """Have RabbitMQ close all connections."""
    await insist(network.node, "close_all_connections", "the harness")


def _edge(edge: str, mode: Mode, value: float = 0.0) -> Strike:
    async def strike(network: Network, chance: random.Random, seconds: float) -> None:
        await network.proxies.set(edge, mode, value)
        try:
            await asyncio.sleep(seconds)
        finally:
            await network.proxies.set(edge, Mode.PASS)

    return strike


async def stop_backend(network: Network, chance: random.Random, seconds: float) -> None:
    """Stop one of PostgreSQL's backends for a while: a statement that does not end."""
    backends = [child for child in network.daemons.by_name["postgres"].children() if _is_backend(child)]
    if not backends:
        return
    chosen = chance.choice(backends)
    with suppress(psutil.NoSuchProcess):
        chosen.suspend()
    try:
        await asyncio.sleep(seconds)
    finally:
        with suppress(psutil.NoSuchProcess):
            os.kill(chosen.pid, signal.SIGCONT)


async def set_clock_back(network: Network, chance: random.Random, seconds: float) -> None:
    """Have PostgreSQL's clock go back by ten minutes, and later right again."""
    if network.clock is None:
        return
    await asyncio.to_thread(network.clock.set, -CLOCK_SECONDS)
    try:
        await asyncio.sleep(seconds)
    finally:
        network.clock.set(0)


def _all() -> list[Nemesis]:
    processes = ["services", "media", "relay-", "gateway-", *(f"worker-{queue}" for queue in topology.QUEUES)]
    modes = [(Mode.BLACKHOLE, 0.0), (Mode.RESET, 0.0), (Mode.DELAY, 0.2), (Mode.HALF_CLOSE, 0.0), (Mode.CUT, 3000.0)]
    modes.append((Mode.THROTTLE, 100_000.0))
    return [
        *(Nemesis(f"kill {name.strip('-')}", _kill(name), lasts=False) for name in processes),
        *(Nemesis(f"stop {name.strip('-')}", _stop(name), lasts=True) for name in processes),
        Nemesis("kill all workers", kill_workers, lasts=False),
        Nemesis("kill worker's child", kill_child, lasts=False),
        Nemesis("terminate sessions", terminate_sessions, lasts=True),
        Nemesis("kill a PostgreSQL backend", kill_backend, lasts=False),
        Nemesis("stop a PostgreSQL backend", stop_backend, lasts=True),
        Nemesis("kill PostgreSQL", _kill("postgres"), lasts=False),
        Nemesis("restart PostgreSQL", restart_postgres, lasts=False),
        Nemesis(CLOCK_BACK, set_clock_back, lasts=True),
        Nemesis("kill RabbitMQ", kill_broker, lasts=False),
        Nemesis("wipe RabbitMQ", wipe_broker, lasts=False),
        Nemesis("RabbitMQ away", take_broker_away, lasts=True),
        Nemesis(
            "memory alarm",
            _alarm(("set_vm_memory_high_watermark", "0"), ("set_vm_memory_high_watermark", "absolute", "512MiB")),
            lasts=True,
        ),
        Nemesis("disk alarm", _alarm(("set_disk_free_limit", "999TB"), ("set_disk_free_limit", "200MB")), lasts=True),
        Nemesis("close connections", close_connections, lasts=False),
        *(
            Nemesis(f"{mode.value} {edge}", _edge(edge, mode, value), lasts=True, is_single=mode is Mode.BLACKHOLE)
            for edge in EDGES
            for mode, value in modes
        ),
    ]


NEMESES: Mapping[str, Nemesis] = {nemesis.name: nemesis for nemesis in _all()}
