"""Streams: what happens, as it happens, as server-sent events and over a WebSocket."""

import re
from collections.abc import Awaitable, Callable

from starlette.responses import Response
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from chassis.errors import InvalidField, KodamaError, PermissionDenied, Unauthenticated
from services.gateway.auth import ANYBODY, MAX_TOKEN_LENGTH, Caller, Open, bearer_token, require_confirmed
from services.gateway.context import Call, Gateway
from services.gateway.errors import api_error
from services.gateway.limiting import GENERAL, Standing
from services.gateway.parameters import NoParameters
from services.gateway.routing import Handler, Route
from services.gateway.shedding import Urgency
from services.gateway.streaming.events import StreamName
from services.gateway.streaming.hub import NEEDED_SCOPE
from services.gateway.streaming.resumption import Resumption
from services.gateway.streaming.server_sent import MEDIA_TYPE, EventStream
from services.gateway.streaming.web_socket import SocketStreams

_PROTOCOL = re.compile(r"[A-Za-z0-9_\-]+")
MAX_QUERY_STREAM = 100


def streaming(name: StreamName) -> Handler:
    """Return the handler that opens a stream."""

    async def get_stream(call: Call[NoParameters]) -> Response:
        caller, hub = call.caller, call.gateway.hub
        last_event_id = _last_event_id(call.request.headers.get("last-event-id", ""))
        token_hash = bytes.fromhex(caller.token)
        stream = await hub.open(caller.account_id, token_hash, caller.scopes, name, last_event_id)
        return EventStream(hub, stream)

    return get_stream


def _last_event_id(text: str) -> Resumption | None:
    if not text:
        return None
    try:
        return Resumption.read(text)
    except ValueError:
        raise InvalidField("Last-Event-ID", "Last-Event-ID is the id of an event of this stream.") from None


async def get_health(_: Call[NoParameters]) -> Response:
    """Say that streams can be opened here."""
    return Response("OK", media_type="text/plain")


def web_socket_routes(gateway: Gateway) -> list[WebSocketRoute]:
    """Return where WebSockets are opened. Their policy: a member's token, and per stream the scope that it needs."""
    endpoint = _web_socket_endpoint(gateway)
    return [WebSocketRoute(path, endpoint) for path in ("/api/v1/streaming", "/api/v1/streaming/")]


def _web_socket_endpoint(gateway: Gateway) -> Callable[[WebSocket], Awaitable[None]]:
    async def open_socket(socket: WebSocket) -> None:
        protocol = socket.headers.get("sec-websocket-protocol", "").partition(",")[0].strip()
        try:
            caller = await _admit(gateway, socket, protocol)
            await gateway.shedder.pass_by(Urgency.BACKGROUND)
        except KodamaError as error:
            await socket.send_denial_response(api_error(error, {}))
            return
        # A client that offers protocols takes no answer without one of them.
        await socket.accept(subprotocol=protocol or None)
        first = socket.query_params.get("stream", "")[:MAX_QUERY_STREAM]
        await SocketStreams(socket, gateway.hub, caller, bytes.fromhex(caller.token)).serve(first)

    return open_socket


async def _admit(gateway: Gateway, socket: WebSocket, protocol: str) -> Caller:
    """Return the member who opens a socket, having counted it as a request is counted."""
    try:
        caller = await gateway.tokens.caller(_token(socket, protocol))
    except Unauthenticated:
        gateway.limiter.count(socket, ANYBODY, GENERAL, Standing())
        raise
    gateway.limiter.count(socket, caller, GENERAL, Standing())
    if not caller.account_id:
        raise PermissionDenied("This needs the token of a member; this one stands for an app only.")
    require_confirmed(caller)
    return caller


def _token(socket: WebSocket, protocol: str) -> str:
    """Return the token: of the header, else of the query string, else in the place of a protocol, as browsers have to send it."""
    if "authorization" in socket.headers:
        return bearer_token(socket)
    token = socket.query_params.get("access_token", "") or protocol
    if not token or len(token) > MAX_TOKEN_LENGTH or not _PROTOCOL.fullmatch(token):
        raise Unauthenticated("This needs an access token.")
    return token


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/streaming/health",
        handler=get_health,
        policy=Open.PUBLIC,
        is_limited=False,
        urgency=None,
        media_type="text/plain",
        summary="Whether streams can be opened",
        tag="streaming",
    ),
    Route(
        method="GET",
        path="/api/v1/streaming/user",
        handler=streaming("user"),
        policy=NEEDED_SCOPE["user"],
        urgency=Urgency.BACKGROUND,
        holds_no_place=True,
        takes_query_token=True,
        media_type=MEDIA_TYPE,
        summary="The caller's home timeline and, where the token covers them, notifications, as they happen",
        tag="streaming",
    ),
    Route(
        method="GET",
        path="/api/v1/streaming/user/notification",
        handler=streaming("user:notification"),
        policy=NEEDED_SCOPE["user:notification"],
        urgency=Urgency.BACKGROUND,
        holds_no_place=True,
        takes_query_token=True,
        media_type=MEDIA_TYPE,
        summary="The caller's notifications, as they happen",
        tag="streaming",
    ),
)
