"""Calls that are made again while a part of the network is busy or away: only such as are done once however often they are asked for."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from google.protobuf.message import Message

from chassis.admission import MAX_DEADLINE_SECONDS
from chassis.caller import Signer
from chassis.errors import Conflict, Unavailable
from chassis.rpc import call
from services.cli.terminal import console

Response = TypeVar("Response", bound=Message)
Item = TypeVar("Item")

CALL_SECONDS = 20.0
STILL_SECONDS = 300.0
"""Without one call that gets through: the network is not slow, it is down."""
FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.2, 5.0
FEW = 20
"""So few are not asked for in smaller parts."""


class Patience:
    """Goes on as long as some call gets through now and then, and says once when one does not."""

    def __init__(self, signer: Signer, *, still_seconds: float = STILL_SECONDS) -> None:
        self._signer = signer
        self._still_seconds = still_seconds
        self._progressed = time.monotonic()
        self._has_told = False

    @property
    def signer(self) -> Signer:
        """Whose calls they are."""
        return self._signer

    def note_success(self) -> None:
        """A call has got through."""
        self._progressed = time.monotonic()

    def note_failure(self, error: Unavailable | Conflict) -> None:
        """A call has not got through. Raises its error when none has for `still_seconds`."""
        if time.monotonic() > self._progressed + self._still_seconds:
            raise error
        if not self._has_told:
            self._has_told = True
            console.print(f"{error.message} Trying again until it works …", markup=False)


async def call_patiently(method: Callable[..., Awaitable[Response]], request: Message, patience: Patience) -> Response:
    """Make a call until it gets through. Raises what it ends with when patience ends."""
    seconds, pause = CALL_SECONDS, FIRST_PAUSE_SECONDS
    while True:
        try:
            answer = await call(method, request, patience.signer, timeout_seconds=seconds)
        except (Unavailable, Conflict) as error:
            patience.note_failure(error)
        else:
            patience.note_success()
            return answer
        await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - keeps callers apart, no secret
        seconds, pause = min(seconds * 2, MAX_DEADLINE_SECONDS), min(pause * 2, MAX_PAUSE_SECONDS)


async def call_in_parts(
    method: Callable[..., Awaitable[Response]],
    items: Sequence[Item],
    request: Callable[[Sequence[Item]], Message],
    patience: Patience,
) -> list[Response]:
    """Make a call for many things, in halves where it takes too long for all at once; return the answers in order."""
    if len(items) <= FEW:
        return [await call_patiently(method, request(items), patience)]
    try:
        answer = await call(method, request(items), patience.signer, timeout_seconds=MAX_DEADLINE_SECONDS)
    except (Unavailable, Conflict) as error:
        patience.note_failure(error)
        await asyncio.sleep(FIRST_PAUSE_SECONDS)
        middle = len(items) // 2
        first = await call_in_parts(method, items[:middle], request, patience)
        return first + await call_in_parts(method, items[middle:], request, patience)
    patience.note_success()
    return [answer]
