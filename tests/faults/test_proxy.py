"""The proxy does to a connection what each of its modes says; otherwise nothing that is found through it would mean anything."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from deploy.local.ports import LOOPBACK, choose_ports
from tests.faults.proxy import Edge, Mode

PATIENCE_SECONDS = 20.0
A_WHILE = 0.2

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def an_edge() -> AsyncIterator[Edge]:
    """An edge that leads to a server which echoes what it is sent."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(1000):
            writer.write(piece)
            await writer.drain()
        writer.close()

    ports = choose_ports(["edge", "server"])
    server = await asyncio.start_server(echo, LOOPBACK, ports["server"])
    edge = Edge("an edge", ports["edge"], ports["server"])
    front = await edge.serve()
    try:
        yield edge
    finally:
        for wire in list(edge.wires):
            wire.reset()
        front.close()
        server.close()


async def connect(edge: Edge) -> Stream:
    return await asyncio.open_connection(LOOPBACK, edge.listens_at)


async def echoed(stream: Stream, text: bytes) -> bytes:
    stream[1].write(text)
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await stream[0].readexactly(len(text))


async def test_it_passes_both_ways() -> None:
    async with an_edge() as edge:
        stream = await connect(edge)
        assert await echoed(stream, b"hello") == b"hello"
        stream[1].close()


async def test_a_blackhole_says_nothing_and_passes_everything_when_it_is_over() -> None:
    async with an_edge() as edge:
        stream = await connect(edge)
        assert await echoed(stream, b"before") == b"before"
        edge.set(Mode.BLACKHOLE, 0)
        stream[1].write(b"within")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(A_WHILE):
                await stream[0].read(1)
        edge.set(Mode.PASS, 0)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await stream[0].readexactly(6) == b"within"
        stream[1].close()


async def test_a_reset_ends_what_is_open_and_what_comes() -> None:
    async with an_edge() as edge:
        stream = await connect(edge)
        assert await echoed(stream, b"before") == b"before"
        edge.set(Mode.RESET, 0)
        with pytest.raises(ConnectionResetError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await stream[0].read(1)
        later = await connect(edge)
        with pytest.raises(ConnectionResetError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await later[0].read(1)


async def test_a_half_close_ends_one_direction() -> None:
    async with an_edge() as edge:
        stream = await connect(edge)
        assert await echoed(stream, b"before") == b"before"
        edge.set(Mode.HALF_CLOSE, 0)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await stream[0].read(1) == b""
        stream[1].write(b"still taken")
        await stream[1].drain()
        stream[1].close()


async def test_a_cut_ends_a_connection_after_so_many_bytes() -> None:
    async with an_edge() as edge:
        stream = await connect(edge)
        edge.set(Mode.CUT, 20)
        assert await echoed(stream, b"12345") == b"12345"
        stream[1].write(b"x" * 40)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await stream[0].readexactly(40)


async def test_delays_and_throttles_pass_everything_in_the_end() -> None:
    async with an_edge() as edge:
        stream = await connect(edge)
        edge.set(Mode.DELAY, 0.05)
        assert await echoed(stream, b"late") == b"late"
        edge.set(Mode.THROTTLE, 1000)
        assert await echoed(stream, b"slow" * 10) == b"slow" * 10
        stream[1].close()
