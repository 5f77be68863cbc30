"""How quickly connections are accepted, in rounds of the gateway's event loop."""

import asyncio
import socket

import uvicorn
import uvloop

from services.gateway.__main__ import ACCEPTS, listen

CLIENTS = 128


async def _rounds(listening: list[socket.socket]) -> int:
    """Return in how many rounds of the loop all connections that wait are accepted."""
    made: list[asyncio.BaseTransport] = []

    class Accepted(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            made.append(transport)

    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Accepted, sock=each, backlog=2 * CLIENTS) for each in listening]
    clients = [socket.create_connection(listening[0].getsockname()) for _ in range(CLIENTS)]
    rounds = 0
    while len(made) < CLIENTS:
        rounds += 1
        assert rounds < 10 * CLIENTS
        await asyncio.sleep(0)
    for transport in made:
        transport.close()
    for client in clients:
        client.close()
    for server in servers:
        server.close()
    return rounds


def test_many_are_accepted_in_a_round() -> None:
    config = uvicorn.Config("", host="127.0.0.1", port=0, log_config=None)
    assert uvloop.run(_rounds(listen(config))) < 3 * CLIENTS / ACCEPTS
