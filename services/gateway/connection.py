"""Bounds on connections that uvicorn has none for: how large a request's head is, how long it may take to arrive, how many there are.

And what only a connection knows: when its requests came, and that the client has hung up.
"""

import asyncio
import resource
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from services.gateway.errors import plain_error
from services.gateway.middleware import Refusal
from services.gateway.presence import STATE
from services.gateway.shedding import Shedder, Urgency

MAX_HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 20
MAX_CONNECTIONS = 12_000
"""With so many open, requests over further ones are refused."""
MORE_CONNECTIONS = 1_000
"""So many of those are told that; the rest is hung up on."""
OTHER_FILES = 200
"""That the process may have open besides."""


STREAMING = b"/api/v1/streaming"


class BoundedConnection(HttpToolsProtocol):
    """Ends connections that send a head without end, or none at all, and refuses what would only wait."""

    _head_bytes = 0
    _is_in_head = True
    _timer: asyncio.TimerHandle | None = None
    when_gone: Callable[[], None] | None = None
    arrived = 0.0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        state: Any = self.config.app.state  # type: ignore[union-attr]  # a Starlette application
        self._shedder: Shedder = state.shedder
        self._refusal: Refusal = state.refusal
        self._usual_app = self.app
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most = MAX_CONNECTIONS
        if files != resource.RLIM_INFINITY:
            self._most = min(MAX_CONNECTIONS, max(files // 2, files - MORE_CONNECTIONS - OTHER_FILES))

    def connection_made(self, transport: Any) -> None:
        """Wait for the first request, not for ever."""
        super().connection_made(transport)
        if len(self.connections) > self._most + MORE_CONNECTIONS:
            transport.abort()
        else:
            self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection, and have nothing done for it any more."""
        self._stop_timer()
        super().connection_lost(exc)
        if self.when_gone is not None:
            self.when_gone()

    def data_received(self, data: bytes) -> None:
        """Count what arrives before a head is complete."""
        super().data_received(data)
        if not self._is_in_head:
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The request's head is too large.")

    def on_message_begin(self) -> None:
        """Begin with a head."""
        self._is_in_head, self._head_bytes = True, 0
        if self._timer is None:
            self._start_timer()
        super().on_message_begin()
        self.scope["state"][STATE] = self

    def on_headers_complete(self) -> None:
        """Go on with the body, for which the route's deadline holds; or refuse at once, before anything else is done."""
        self._is_in_head = False
        self._stop_timer()
        self.arrived = self.loop.time() - self._shedder.lag_seconds
        self.app = self._choose_app()
        super().on_headers_complete()

    def _choose_app(self) -> Any:
        if len(self.connections) > self._most:
            self._shedder.count_refusal(Urgency.BACKGROUND)
            return self._refusal.and_close
        # Pages, errors of OAuth and probes are for their routes to answer.
        if self.url.startswith(b"/api/") and self._shedder.is_closed() and not self.url.startswith(STREAMING):
            self._shedder.count_refusal(Urgency.FOREGROUND)
            return self._refusal
        return self._usual_app

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, or has no bound, in the form of every other error."""
        answer = plain_error(400, msg)
        head = [STATUS_LINE[400], *(name + b": " + value + b"\r\n" for name, value in answer.raw_headers)]
        self.transport.write(b"".join((*head, b"connection: close\r\n\r\n", bytes(answer.body))))
        self.transport.close()

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
