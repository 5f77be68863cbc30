"""Short plays, each with what makes one kind of defect show: who is killed, held or cut off, and when."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping

from tests.faults.nemeses import wipe_broker
from tests.faults.network import Network
from tests.faults.proxy import Mode
from tests.faults.stage import Stage

Script = Callable[[Network, Stage], Awaitable[None]]

DUTY_SECONDS = 120.0
"""So long a script waits for the load to have done enough, on a machine however busy."""


async def posts(stage: Stage, more: int) -> None:
    """Wait until so many more posts are acknowledged. Raises TimeoutError."""
    wanted = stage.writer.acknowledged["post"] + more
    async with asyncio.timeout(DUTY_SECONDS):
        while stage.writer.acknowledged["post"] < wanted:
            await asyncio.sleep(0.05)


async def everyday(network: Network, stage: Stage) -> None:
    """Nothing is broken from outside."""
    await posts(stage, 80)


async def answers_lost(network: Network, stage: Stage) -> None:
    """What the services answer does not reach the gateways for a while, again and again."""
    for _ in range(3):
        await posts(stage, 10)
        await network.proxies.set("gateways-services", Mode.BLACKHOLE_BACK)
        await asyncio.sleep(4)
        await network.proxies.set("gateways-services", Mode.PASS)
    await posts(stage, 10)


async def postgres_killed(network: Network, stage: Stage) -> None:
    """PostgreSQL is killed while members post."""
    for _ in range(3):
        await posts(stage, 25)
        network.kill(network.daemons.by_name["postgres"])
    await posts(stage, 10)


async def broker_wiped(network: Network, stage: Stage) -> None:
    """Work lies in the broker, and the broker loses everything."""
    worker = network.daemons.by_name["worker-timeline.live"]
    await posts(stage, 10)
    worker.send(signal.SIGSTOP)
    await posts(stage, 30)
    await asyncio.sleep(1)
    await wipe_broker(network, stage.chance, 0)
    worker.send(signal.SIGCONT)
    await posts(stage, 10)


async def delivery_held_up(network: Network, stage: Stage) -> None:
    """Nobody delivers for a while."""
    worker = network.daemons.by_name["worker-timeline.live"]
    await posts(stage, 10)
    worker.send(signal.SIGSTOP)
    await posts(stage, 60)
    worker.send(signal.SIGCONT)


async def clearing_held_up(network: Network, stage: Stage) -> None:
    """Nobody clears away what former friends have of each other."""
    worker = network.daemons.by_name["worker-housekeeping"]
    worker.send(signal.SIGSTOP)
    await posts(stage, 100)
    worker.send(signal.SIGCONT)


async def streams_cut(network: Network, stage: Stage) -> None:
    """The gateways are killed, and with them all streams."""
    for name in ("gateway-1", "gateway-2", "gateway-1", "gateway-2"):
        await posts(stage, 20)
        network.kill(network.daemons.by_name[name])
    await posts(stage, 20)


async def worker_killed(network: Network, stage: Stage) -> None:
    """The worker that delivers is killed, slow as it is to report what it has done, and its work is done again."""
    await network.proxies.set("workers-services", Mode.DELAY, 0.5)
    for _ in range(8):
        await posts(stage, 10)
        network.kill(network.daemons.by_name["worker-timeline.live"])
        await asyncio.sleep(2)
    await network.proxies.set("workers-services", Mode.PASS)
    await posts(stage, 10)


async def worker_killed_and_broker_wiped(network: Network, stage: Stage) -> None:
    """The worker that delivers dies over its work, and what the broker had is lost, too."""
    worker = network.daemons.by_name["worker-timeline.live"]
    for _ in range(2):
        await posts(stage, 30)
        worker.is_held = True
        network.kill(worker)
        await wipe_broker(network, stage.chance, 0)
        network.daemons.release(worker.name)
    await posts(stage, 10)


SCRIPTS: Mapping[str, Script] = {
    "everyday": everyday,
    "answers lost": answers_lost,
    "PostgreSQL killed": postgres_killed,
    "broker wiped": broker_wiped,
    "delivery held up": delivery_held_up,
    "clearing held up": clearing_held_up,
    "streams cut": streams_cut,
    "worker killed": worker_killed,
    "worker killed, broker wiped": worker_killed_and_broker_wiped,
}
