"""Services that share a process: their unary calls to each other take no wire.

In all else each is what it is in a process of its own: pool, database role, and the address at which everybody else reaches it; and a
call has its signature, policy, deadline, bounds and errors, and is serialized, so that nothing of a caller's is in the hands of the called.
"""

import asyncio
import contextvars
import time
from typing import Protocol

from kodama.rpc.v1 import exchange_service_pb2 as pb


class Answering(Protocol):
    """The serving end of a service's calls."""

    async def answer(self, call: pb.Call) -> pb.Answer:
        """Run one call to its end."""


class Neighbours:
    """The services of one process by their addresses, while they are served."""

    def __init__(self) -> None:
        self._served: dict[str, Answering] = {}

    def move_in(self, address: str, service: Answering) -> None:
        """Have calls to an address go to a service of this process."""
        self._served[address] = service

    def move_out(self, address: str) -> None:
        """Have them take the wire again."""
        self._served.pop(address, None)

    def find(self, address: str) -> Answering | None:
        """Return who is served at an address here."""
        return self._served.get(address)


_shared: contextvars.ContextVar[Neighbours | None] = contextvars.ContextVar("neighbours", default=None)


def share() -> None:
    """Have all servers and channels that are made from now on in this context be neighbours."""
    _shared.set(Neighbours())


def here() -> Neighbours:
    """Return the services that share this process with whoever asks; without `share`, nobody does."""
    return _shared.get() or Neighbours()


async def ask(near: Answering, method: str, request: bytes, signature: str, deadline: float) -> pb.Answer:
    """Make a call in this process; `deadline` is of time.monotonic(). Who is cancelled cancels it."""
    timeout_ms = max(1, min(int((deadline - time.monotonic()) * 1000), 2**31 - 1))
    call = pb.Call(method=method, request=request, timeout_ms=timeout_ms, signature=signature)
    # A context of its own: what is called has neither the caller's role nor the caller's deadline, but those of the call.
    return await asyncio.create_task(near.answer(call), context=contextvars.Context())
