"""Bounds on a connection that uvicorn has none for: how large a request's head is, and how long it may take to arrive."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from services.gateway.errors import plain_error

MAX_HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 20


class BoundedConnection(HttpToolsProtocol):
    """Ends connections that send a head without end, or none at all."""

    _head_bytes = 0
    _is_in_head = True
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Wait for the first request, not for ever."""
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_timer()
        super().connection_lost(exc)

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

    def on_headers_complete(self) -> None:
        """Go on with the body, for which the route's deadline holds."""
        self._is_in_head = False
        self._stop_timer()
        super().on_headers_complete()

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
