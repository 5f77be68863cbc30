"""Connecting to a server that is busy: slow is not gone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kodama.page.v1.window_pb2 import Window

from chassis.rpc import call, open_channel
from tests.integration.chassis.probe import NAME, probing, signer

SLOWNESS_SECONDS = 0.4


@asynccontextmanager
async def _slow_way_to(port: int) -> AsyncIterator[int]:
    """Forward connections to a port, whose first answer takes its time; yield where to connect."""

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pause_seconds: float) -> None:
        while data := await reader.read(65536):
            await asyncio.sleep(pause_seconds)
            pause_seconds = 0
            writer.write(data)
            await writer.drain()
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(
            forward(reader, there_writer, 0),
            forward(there_reader, writer, SLOWNESS_SECONDS),
            return_exceptions=True,
        )

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_a_server_that_is_slow_to_greet_is_reached_all_the_same() -> None:
    async with probing() as probe, _slow_way_to(probe.server.port) as port:
        channel = open_channel(f"127.0.0.1:{port}", NAME)
        try:
            ask = channel.unary_unary(f"/{NAME}/Ask", Window.SerializeToString, Window.FromString)
            answer: Window = await call(ask, Window(limit=7), signer(), timeout_seconds=10)
            assert answer.limit == 7
        finally:
            await channel.close()
