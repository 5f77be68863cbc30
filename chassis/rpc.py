"""Serving and calling RPCs: signed callers, a policy per RPC, deadlines everywhere, errors in our words."""

import asyncio
import json
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from chassis import caller, exchange_service, failpoints, neighbours
from chassis.admission import MAX_DEADLINE_SECONDS, UNSIGNED, Policies, end, time_left
from chassis.errors import InvalidField, Unavailable, from_rpc_error
from chassis.exchange import ExchangeChannel
from chassis.failpoints import Failpoint

__all__ = [
    "MAX_DEADLINE_SECONDS",
    "MAX_MESSAGE_BYTES",
    "Server",
    "Service",
    "call",
    "call_stream",
    "call_with_stream",
    "method_names",
    "open_channel",
    "require_batch",
    "wait_until_serving",
]

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
MAX_CONCURRENT_RPCS = 1000
ENVELOPE_BYTES = 4096
"""What an exchange puts around an answer that is as large as a message may be."""

Response = TypeVar("Response", bound=Message)

SERVER_OPTIONS: Sequence[tuple[str, Any]] = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.max_connection_age_ms", 600_000),
    ("grpc.max_connection_age_grace_ms", 60_000),
)


@dataclass(frozen=True)
class Service:
    """One gRPC service of a server: how it is added, and who may call each of its RPCs."""

    name: str
    """Full name, such as kodama.status.v1.StatusService."""
    add: Callable[[grpc.aio.Server], None]
    callers: Mapping[str, frozenset[str]]
    """RPC name → roles (chassis.caller) that are let in. An RPC that is not listed lets nobody in, and the server refuses to
    start: a forgotten policy is found at once."""
    methods: Iterable[str]
    """The names of all its RPCs, from the descriptor."""


def method_names(service_descriptor: Any) -> list[str]:
    """Return the names of a service descriptor's RPCs."""
    return [method.name for method in service_descriptor.methods]


class Gatekeeper(grpc.aio.ServerInterceptor):
    """Lets in signed callers of the right role, bounds deadlines, and ends RPCs with errors that people can read."""

    def __init__(self, key: str, policies: Policies) -> None:
        self._key = key
        self._policies = policies

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["grpc.RpcMethodHandler[Any, Any] | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """Wrap the handler of one call."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(("/grpc.health.", "/grpc.reflection.")):
            return handler
        role = caller.verify(handler_call_details.invocation_metadata, self._key)
        if method == exchange_service.METHOD:
            # Every call in an exchange is signed and admitted for itself; the stream only has to be opened by one of us.
            return handler if role else _refused_exchange
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._guard_stream(handler.unary_stream, method, role),
                handler.request_deserializer,
                handler.response_serializer,
            )
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(
                self._guard_unary(handler.stream_unary, method, role),
                handler.request_deserializer,
                handler.response_serializer,
            )
        return grpc.unary_unary_rpc_method_handler(
            self._guard_unary(handler.unary_unary, method, role),
            handler.request_deserializer,
            handler.response_serializer,
        )

    def _guard_unary(self, behavior: Any, method: str, role: str) -> Any:
        async def guarded(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            try:
                self._policies.admit(method, role, context.time_remaining())
                return await behavior(request, context)
            except Exception as error:
                await end(context, method, error)

        return guarded

    def _guard_stream(self, behavior: Any, method: str, role: str) -> Any:
        async def guarded(request: Message, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
            try:
                self._policies.admit(method, role, context.time_remaining())
                async for response in behavior(request, context):
                    yield response
            except Exception as error:
                await end(context, method, error)

        return guarded


async def _refuse_exchange(_requests: object, context: grpc.aio.ServicerContext[Any, Any]) -> None:
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, UNSIGNED)


_refused_exchange: "grpc.RpcMethodHandler[Any, Any]" = grpc.stream_stream_rpc_method_handler(
    cast(Any, _refuse_exchange)
)


class Server:
    """A gRPC server with health, reflection and a clean end."""

    def __init__(self, address: str, key: str, services: Sequence[Service], *, with_reflection: bool = True) -> None:
        policies: dict[str, frozenset[str]] = {}
        for service in services:
            without = sorted(set(service.methods) ^ set(service.callers))
            if without:
                raise ValueError(f"{service.name}: policy and RPCs differ in {', '.join(without)}")
            policies |= {f"/{service.name}/{method}": roles for method, roles in service.callers.items()}
        self._server = grpc.aio.server(
            interceptors=[Gatekeeper(key, Policies(policies))],
            options=SERVER_OPTIONS,
            maximum_concurrent_rpcs=MAX_CONCURRENT_RPCS,
        )
        self._health = health.aio.HealthServicer()
        self._can_serve, self._has_started = True, False
        self._names = [service.name for service in services]
        handlers = exchange_service.Recorder()
        for service in services:
            service.add(self._server)
            service.add(cast(grpc.aio.Server, handlers))
        self._exchange = exchange_service.ExchangeServicer(
            key, Policies(policies), handlers, max_answer_bytes=MAX_MESSAGE_BYTES
        )
        self._exchange.add_to(self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if with_reflection:
            reflection.enable_server_reflection(
                [*self._names, exchange_service.NAME, health.SERVICE_NAME, reflection.SERVICE_NAME], self._server
            )
        self._address, self._neighbours = address, neighbours.here()
        self.port = self._server.add_insecure_port(address)
        """The port that is listened on; chosen by the system where the address ends in :0."""

    async def start(self) -> None:
        """Serve, and say so to health checks, unless they have been told otherwise."""
        await self._server.start()
        self._neighbours.move_in(self._address, self._exchange)
        self._has_started = True
        await self.set_serving(self._can_serve)

    async def set_serving(self, can_serve: bool) -> None:
        """Have health checks say whether calls can be answered; calls come in either way."""
        self._can_serve = can_serve
        statuses = health_pb2.HealthCheckResponse
        for name in (*self._names, "") if self._has_started else ():
            await self._health.set(name, statuses.SERVING if can_serve else statuses.NOT_SERVING)

    async def stop(self, grace_seconds: float) -> None:
        """Turn health checks away, let running calls end for so long, then cancel them."""
        await self._health.enter_graceful_shutdown()
        self._neighbours.move_out(self._address)
        self._exchange.close()
        await self._server.stop(grace_seconds)
        await self._exchange.finish(grace_seconds)  # what neighbours have asked


def open_channel(address: str, service: str, *, retryable: Sequence[str] = ()) -> grpc.aio.Channel:
    """Return a client channel; make it in the process and event loop that use it (gRPC does not survive a fork).

    Unary calls that are made at the same time travel together (chassis.exchange).
    `retryable` names the RPCs that may be repeated when a server goes away (reads, and writes with a key).
    """
    policy = {
        "methodConfig": [
            {
                "name": [{"service": service, "method": method} for method in retryable],
                "retryPolicy": {
                    "maxAttempts": 3,
                    "initialBackoff": "0.05s",
                    "maxBackoff": "0.5s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
        if retryable
        else []
    }
    channel = grpc.aio.insecure_channel(
        address,
        options=(
            ("grpc.keepalive_time_ms", 20_000),
            ("grpc.keepalive_timeout_ms", 5_000),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES + ENVELOPE_BYTES),
            ("grpc.enable_http_proxy", 0),
            # By its name a pause, in fact how long connecting may take (grpc/grpc#12830): a server that is busy needs its time.
            ("grpc.min_reconnect_backoff_ms", 3_000),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 2_000),
            ("grpc.service_config", json.dumps(policy)),
        ),
    )
    return cast(grpc.aio.Channel, ExchangeChannel(channel, {f"/{service}/{method}" for method in retryable}, address))


async def call(
    method: Callable[..., Awaitable[Response]],
    request: Message,
    signer: caller.Signer,
    *,
    timeout_seconds: float,
) -> Response:
    """Call a unary RPC with the signature and a deadline, which is never later than that of the call being served.

    Raises the KodamaError that the other side ended with, or Unavailable.
    """
    try:
        answer = await method(request, timeout=time_left(timeout_seconds), metadata=signer.metadata())
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from error
    await failpoints.hit_async(Failpoint.RPC_AFTER_ANSWER, signer.role)
    return answer


async def call_with_stream(
    method: Callable[..., Awaitable[Response]],
    requests: AsyncIterable[Message],
    signer: caller.Signer,
    *,
    timeout_seconds: float,
) -> Response:
    """Call an RPC that takes a stream and answers once. Deadline and errors as in `call`; what the stream raises comes through."""
    try:
        return await method(requests, timeout=time_left(timeout_seconds), metadata=signer.metadata())
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from error


async def call_stream(
    method: Callable[..., AsyncIterable[Response]],
    request: Message,
    signer: caller.Signer,
    *,
    timeout_seconds: float,
) -> AsyncIterator[Response]:
    """Call an RPC that answers with a stream. Deadline and errors as in `call`."""
    try:
        async for response in method(request, timeout=time_left(timeout_seconds), metadata=signer.metadata()):
            yield response
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from error


def require_batch(field: str, values: Sequence[Any], maximum: int) -> None:
    """Raise InvalidField where a batch is larger than its bound."""
    if len(values) > maximum:
        raise InvalidField(field, f"{field} has {len(values)} elements; at most {maximum} are allowed.")


async def wait_until_serving(channel: grpc.aio.Channel, *, timeout_seconds: float) -> None:
    """Wait for a server to answer. Raises Unavailable after the timeout."""
    try:
        async with asyncio.timeout(timeout_seconds):
            await channel.channel_ready()
    except TimeoutError as error:
        raise Unavailable("The service does not answer.") from error
