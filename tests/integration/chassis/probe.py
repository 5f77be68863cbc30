"""A gRPC service whose RPCs do what a test says, behind the house's server, and its client."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from kodama.page.v1.window_pb2 import Window
from kodama.rpc.v1 import exchange_service_pb2 as pb

from chassis import caller, exchange_service
from chassis.rpc import Server, Service, open_channel

KEY = "the key of this network"
NAME = "kodama.probe.v1.ProbeService"
METHODS = ("Ask", "Stream")

Context = grpc.aio.ServicerContext[Any, Any]
Ask = Callable[[Window, Context], Awaitable[Window]]
Stream = Callable[[Window, Context], AsyncIterator[Window]]


async def echo(request: Window, context: Context) -> Window:
    return request


async def count_up(request: Window, context: Context) -> AsyncIterator[Window]:
    for number in range(1, request.limit + 1):
        yield Window(limit=number)


@dataclass
class Probe:
    """A running server and its two RPCs as a client calls them."""

    server: Server
    channel: Any
    ask: Any
    stream: Any


def signer(role: str = caller.GATEWAY, key: str = KEY) -> caller.Signer:
    return caller.Signer(role, key)


def probe_service(
    ask: Ask = echo, stream: Stream = count_up, callers: Mapping[str, frozenset[str]] | None = None
) -> Service:
    """The service; by default the gateway may call both RPCs."""
    handlers = {
        "Ask": grpc.unary_unary_rpc_method_handler(ask, Window.FromString, Window.SerializeToString),
        "Stream": grpc.unary_stream_rpc_method_handler(stream, Window.FromString, Window.SerializeToString),
    }
    gateway = frozenset({caller.GATEWAY})
    return Service(
        name=NAME,
        add=lambda server: server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(NAME, handlers)]),
        callers=callers if callers is not None else dict.fromkeys(METHODS, gateway),
        methods=METHODS,
    )


@asynccontextmanager
async def probing(
    ask: Ask = echo, stream: Stream = count_up, callers: Mapping[str, frozenset[str]] | None = None
) -> AsyncIterator[Probe]:
    """Serve on a free port for the length of the block."""
    server = Server("127.0.0.1:0", KEY, [probe_service(ask, stream, callers)])
    await server.start()
    channel = open_channel(f"127.0.0.1:{server.port}", NAME)
    try:
        yield Probe(
            server,
            channel,
            channel.unary_unary(f"/{NAME}/Ask", Window.SerializeToString, Window.FromString),
            channel.unary_stream(f"/{NAME}/Stream", Window.SerializeToString, Window.FromString),
        )
    finally:
        await channel.close()
        await server.stop(0)


def open_exchange(channel: grpc.aio.Channel) -> Any:
    """Return the raw RPC of exchanges, for what no client of the house would send."""
    return channel.stream_stream(
        exchange_service.METHOD, pb.ExchangeCallsRequest.SerializeToString, pb.ExchangeCallsResponse.FromString
    )
