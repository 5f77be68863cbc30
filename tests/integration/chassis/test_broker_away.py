"""A worker whose broker is away: it asks again after a few seconds at most, and can be stopped meanwhile."""

import asyncio
import json
import signal
import socket
import sys

from chassis.settings import Settings
from chassis.task_consumer import MAX_PAUSE_SECONDS
from tests.integration.chassis.test_process import environment_of

TRIES = 6


async def pauses_of(process: asyncio.subprocess.Process) -> list[float]:
    """The first pauses that a worker announces between two tries."""
    assert process.stdout is not None
    pauses: list[float] = []
    async with asyncio.timeout(180):
        while len(pauses) < TRIES:
            line = await process.stdout.readline()
            assert line, "the worker has ended"
            if line.startswith(b"{") and (told := json.loads(line))["event"] == "broker away":
                pauses.append(told["pause_seconds"])
    return pauses


async def test_the_pauses_between_two_tries_stay_short(settings: Settings) -> None:
    with socket.socket() as bound:  # and nobody listens
        bound.bind(("127.0.0.1", 0))
        url = f"amqp://nobody@127.0.0.1:{bound.getsockname()[1]}/"
        environment = environment_of(settings.model_copy(update={"broker_url": url}))
        module = "tests.integration.chassis.worker_under_test"
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            "threads",
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            pauses = await pauses_of(process)
            process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.communicate(), 180)
            assert process.returncode == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert 0 < min(pauses) <= max(pauses) == MAX_PAUSE_SECONDS
