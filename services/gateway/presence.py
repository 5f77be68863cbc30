"""Whether the client of a request still waits for its answer, and since when it does."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from starlette.requests import Request

STATE = "connection"
"""Under which name a request's state has the connection that it came over."""


class Connection(Protocol):
    """What is known of the other end."""

    arrived: float
    """When the request that is being answered came, by the event loop's clock."""
    when_gone: Callable[[], None] | None
    """Called once when the client has hung up."""


class Presence:
    """A client that waits. Without a connection to ask, as in some tests, it is always there and has just come."""

    def __init__(self, request: Request) -> None:
        self._connection: Connection | None = request.scope.get("state", {}).get(STATE)
        self._deadline: asyncio.Timeout | None = None
        self.is_gone = False
        """It has hung up, and the deadline has come for that reason."""

    def deadline(self, seconds: float) -> "Presence":
        """Return a context that raises TimeoutError so long after the request came, or when the client has hung up."""
        began = asyncio.get_running_loop().time() if self._connection is None else self._connection.arrived
        self._deadline = asyncio.timeout_at(began + seconds)
        return self

    def stay(self) -> None:
        """Go on even where the client hangs up."""
        if self._connection is not None:
            self._connection.when_gone = None

    async def __aenter__(self) -> None:
        assert self._deadline is not None
        await self._deadline.__aenter__()
        if self._connection is not None:
            self._connection.when_gone = self._leave

    async def __aexit__(self, *error: object) -> None:
        assert self._deadline is not None
        self.stay()
        await self._deadline.__aexit__(*error)  # type: ignore[arg-type]  # what it is given itself

    def _leave(self) -> None:
        assert self._deadline is not None
        self.is_gone = True
        self._deadline.reschedule(asyncio.get_running_loop().time())
