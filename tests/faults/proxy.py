"""A TCP proxy per edge of the network that can be made to misbehave: `python -m tests.faults.proxy`.

A process of its own, so that neither slows the other: it reads commands from standard input, one JSON object a line, and says "ok" when
one holds. It ends with its input.
"""

import asyncio
import json
import os
import socket
import struct
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import cast

import uvloop

CHUNK = 65_536
LOOPBACK = "127.0.0.1"
CONNECT_SECONDS = 5.0


class Mode(StrEnum):
    """What an edge does to what goes over it."""

    PASS = "pass"
    DELAY = "delay"
    """Every piece arrives `value` seconds later."""
    BLACKHOLE = "blackhole"
    """Nothing is read any more, either way, and nobody is told: a cable that was pulled."""
    BLACKHOLE_BACK = "blackhole_back"
    """What is asked arrives, what is answered does not."""
    RESET = "reset"
    """All connections are reset, new ones too."""
    HALF_CLOSE = "half_close"
    """Clients are sent an end while what they send is still taken."""
    THROTTLE = "throttle"
    """At most `value` bytes in a second and direction."""
    CUT = "cut"
    """A connection is reset when `value` more bytes have gone over it."""


@dataclass(eq=False)
class Wire:
    """One connection through the proxy: both its ends, and how many bytes went over it since the mode was set."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    passed: int = 0

    def reset(self) -> None:
        """End it with a reset on both sides."""
        for end in (self.client, self.server):
            abort(end)


@dataclass
class Edge:
    """One edge: where clients connect, and where they are led to."""

    name: str
    listens_at: int
    leads_to: int
    mode: Mode = Mode.PASS
    value: float = 0.0
    wires: set[Wire] = field(default_factory=set)
    forth: asyncio.Event = field(default_factory=asyncio.Event)
    back: asyncio.Event = field(default_factory=asyncio.Event)
    """What goes to the server, and what comes from it, is let through."""

    async def serve(self) -> asyncio.Server:
        """Begin to take connections."""
        self.set(Mode.PASS, 0)
        return await asyncio.start_server(self._take, LOOPBACK, self.listens_at, backlog=1024)

    def set(self, mode: Mode, value: float) -> None:
        """Behave like this from now on."""
        self.mode, self.value = mode, value
        for way, stops in ((self.forth, (Mode.BLACKHOLE,)), (self.back, (Mode.BLACKHOLE, Mode.BLACKHOLE_BACK))):
            (way.clear if mode in stops else way.set)()
        for wire in list(self.wires):
            wire.passed = 0
            if mode is Mode.RESET:
                wire.reset()
            elif mode is Mode.HALF_CLOSE:
                with suppress(OSError, RuntimeError):
                    wire.client.write_eof()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode is Mode.RESET:
            abort(writer)
            return
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                far_reader, far_writer = await asyncio.open_connection(LOOPBACK, self.leads_to)
        except (OSError, TimeoutError):
            abort(writer)
            return
        wire = Wire(writer, far_writer)
        self.wires.add(wire)
        try:
            await asyncio.gather(
                self._pump(reader, far_writer, wire, self.forth), self._pump(far_reader, writer, wire, self.back)
            )
        finally:
            self.wires.discard(wire)
            for end in (writer, far_writer):
                end.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wire: Wire, way: asyncio.Event
    ) -> None:
        with suppress(OSError, RuntimeError):
            while True:
                await way.wait()
                piece = await reader.read(CHUNK)
                await way.wait()  # it may have been read before the cable was pulled
                if not piece:
                    break
                await self._hold_up(piece, wire)
                if writer.is_closing():
                    return
                writer.write(piece)
                await writer.drain()
            writer.write_eof()

    async def _hold_up(self, piece: bytes, wire: Wire) -> None:
        wire.passed += len(piece)
        if self.mode is Mode.DELAY:
            await asyncio.sleep(self.value)
        elif self.mode is Mode.THROTTLE:
            await asyncio.sleep(len(piece) / self.value)
        elif self.mode is Mode.CUT and wire.passed >= self.value:
            wire.reset()


def abort(writer: asyncio.StreamWriter) -> None:
    """End a connection with a reset instead of an end."""
    with suppress(OSError):
        found = cast(socket.socket | None, writer.get_extra_info("socket"))
        if found is not None:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def obey(edges: Mapping[str, Edge]) -> None:
    """Take commands until standard input ends."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        command = json.loads(line)
        edges[command["edge"]].set(Mode(command["mode"]), float(command["value"]))
        say("ok")


def say(word: str) -> None:
    """Answer who has started us."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def main() -> None:
    """Serve the edges of the first line of the input: [[name, port, where it leads to], …]."""
    edges = {name: Edge(name, listens_at, leads_to) for name, listens_at, leads_to in json.loads(sys.stdin.readline())}
    servers = [await edge.serve() for edge in edges.values()]
    say("ok")
    await obey(edges)
    for server in servers:
        server.close()
    os._exit(0)  # what still goes over the edges is nobody's any more


if __name__ == "__main__":
    uvloop.run(main())
