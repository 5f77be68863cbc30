"""Other processes can be started while calls are in flight: gRPC's fork handlers, which can crash the child, stay off."""

import subprocess
import sys

FORKS_DURING_CALLS = """
import asyncio, os, subprocess

from chassis import rpc


async def main():
    for _ in range(20):
        async with rpc.grpc.aio.insecure_channel("127.0.0.1:1") as channel:
            connecting = asyncio.ensure_future(channel.channel_ready())
            await asyncio.sleep(0.002)
            await asyncio.to_thread(subprocess.run, ["true"], user=os.getuid(), check=True)
            connecting.cancel()


asyncio.run(main())
"""


def test_a_process_started_as_a_user_while_calls_are_in_flight_runs_no_fork_handler_of_grpc() -> None:
    done = subprocess.run([sys.executable, "-c", FORKS_DURING_CALLS], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
