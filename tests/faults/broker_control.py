"""`rabbitmqctl` for a private node."""

import asyncio

from deploy.local.command import inherited_environment
from deploy.local.rabbitmq import NODE, RabbitMQ

SECONDS = 60.0
TRIES, PAUSE_SECONDS = 20, 2.0


class Refused(Exception):
    """The node did not do it."""


async def control(node: RabbitMQ, *arguments: str) -> str:
    """Run a command of `rabbitmqctl` and return what it says. Raises Refused."""
    program = node.software.server.with_name("rabbitmqctl")
    process = await asyncio.create_subprocess_exec(
        str(program),
        "-n",
        NODE,
        *arguments,
        env={**inherited_environment(), **node.environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(SECONDS):
            said, _ = await process.communicate()
    except TimeoutError as error:
        process.kill()
        raise Refused(f"rabbitmqctl {arguments[0]} took longer than {SECONDS} s") from error
    if process.returncode != 0:
        raise Refused(f"rabbitmqctl {arguments[0]}: {said.decode(errors='replace')[-500:]}")
    return said.decode(errors="replace")


async def insist(node: RabbitMQ, *arguments: str) -> None:
    """Run a command as soon as the node takes it: it may be starting. Raises Refused after many tries."""
    for _ in range(TRIES):
        try:
            await control(node, *arguments)
            return
        except Refused:
            await asyncio.sleep(PAUSE_SECONDS)
    await control(node, *arguments)
