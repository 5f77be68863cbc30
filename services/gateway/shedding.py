"""Load shedding: who is worked on now, who waits a moment, and who is refused at once, because there is more to do than can be done.

Requests beyond what is worked on at once (adaptive_limit.py) wait in a line, which is as long as what will be let in soon: within 0.25 s
where nobody has had to wait until just now, for that is a burst; within 0.08 s where somebody had to all through the last half a second,
for then waiting does not help (CoDel, as servers use it: "Fail at Scale", ACM Queue 2015). Whoever finds the line full is refused at once,
and whoever has stood in it for longer than that, too. So what is answered is answered soon, and nothing is worked on for who has gone.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from enum import IntEnum
from typing import NewType

import structlog
from prometheus_client import Counter, Gauge

from chassis.errors import Unavailable
from services.gateway.adaptive_limit import TARGET_AGE_SECONDS, AdaptiveLimit

log = structlog.get_logger(__name__)

BURST_SECONDS = 0.25
STANDING_SECONDS = 0.08
STANDS_AFTER_SECONDS = 0.5
TICK_SECONDS = 0.02
TICKS_PER_ADJUSTMENT = 10
SAY_SECONDS = 5.0
BUSY = "There is a lot going on at the moment; please try again in a moment."

refused_total = Counter("kodama_requests_refused", "Requests that were refused because of too much load", ("urgency",))
inside_gauge = Gauge("kodama_requests_inside", "Requests that are worked on")
limit_gauge = Gauge("kodama_requests_limit", "Requests that may be worked on at once")
lag_gauge = Gauge("kodama_gateway_loop_lag_seconds", "By how much the event loop was late when it was last looked at")


class Urgency(IntEnum):
    """Who comes first."""

    FOREGROUND = 0
    """Somebody waits for it: first pages of what one reads, and every write, which is lost where its author gives up."""
    BACKGROUND = 1
    """It can wait, or goes on by itself: further pages, searches, pictures, streams that open. It gets three places of four at most."""


SHARES = (1.0, 0.75)
"""Of the limit, by urgency."""


CallLater = Callable[[float, Callable[[], None]], object]


Ticket = NewType("Ticket", float)
"""The right to be worked on: since when somebody is."""


class _Waiting:
    """Somebody in a line."""

    __slots__ = ("arrived", "place")

    def __init__(self, arrived: float, place: "asyncio.Future[Ticket]") -> None:
        self.arrived = arrived
        self.place = place


class Shedder:
    """The limit and the lines of one gateway process. Belongs to its event loop."""

    def __init__(
        self, *, is_on: bool = True, clock: Callable[[], float] = time.monotonic, call_later: CallLater | None = None
    ) -> None:
        """`call_later` is that of the event loop that runs, where none is given."""
        self._is_on = is_on
        self._clock = clock
        self._call_later = call_later
        self._limit = AdaptiveLimit()
        self._inside = 0
        self._sum_entered = 0.0
        self._lines: tuple[deque[_Waiting], ...] = tuple(deque() for _ in Urgency)
        self._has_waited = False
        self._waits_since: float | None = None
        self._refused_untold = 0
        self._told_at = float("-inf")
        self._ticks = 0
        self._due: float | None = None
        self._lag = 0.0

    @property
    def inside(self) -> int:
        """How many are worked on."""
        return self._inside

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return sum(map(len, self._lines))

    @property
    def limit(self) -> int:
        """How many may be worked on at once."""
        return self._limit.value

    @property
    def lag_seconds(self) -> float:
        """By how much the event loop was late when it was last looked at: so long a request may have waited before it was read."""
        return self._lag

    def is_closed(self) -> bool:
        """Tell whether even what is urgent would be refused now."""
        return self._is_on and self._inside >= self._limit.value and self._is_full(Urgency.FOREGROUND)

    def try_enter(self, urgency: Urgency) -> Ticket | None:
        """Return a ticket where nobody has to wait. Hand it back with `leave` in any case."""
        if self._is_on:
            is_anybody_before = self._lines[0] or (urgency and self._lines[1])
            if is_anybody_before or self._inside >= self._limit.value * SHARES[urgency]:
                return None
        return self._admit()

    async def enter(self, urgency: Urgency) -> Ticket:
        """Return a ticket as soon as there is a place. Raises Unavailable where that would take too long. May be cancelled."""
        ticket = self.try_enter(urgency)
        if ticket is not None:
            return ticket
        if self._is_full(urgency):
            self.count_refusal(urgency)
            raise Unavailable(BUSY)
        waiting = _Waiting(self._clock() - self._lag, asyncio.get_running_loop().create_future())
        self._lines[urgency].append(waiting)
        self._note_wait()
        try:
            return await waiting.place
        except asyncio.CancelledError:
            if waiting.place.done() and not waiting.place.cancelled() and waiting.place.exception() is None:
                self.leave(waiting.place.result())  # it came together with the cancellation
            raise

    def leave(self, ticket: Ticket) -> None:
        """Hand a ticket back."""
        self._inside -= 1
        # Back to exactly nothing where nobody is inside, so that no error of rounding stays.
        self._sum_entered = self._sum_entered - ticket if self._inside else 0.0
        if self._lines[0] or self._lines[1]:
            self._let_in()

    async def pass_by(self, urgency: Urgency) -> None:
        """Wait for a place and give it back at once: for what then mostly waits for its client. Raises as `enter`."""
        self.leave(await self.enter(urgency))

    def count_refusal(self, urgency: Urgency) -> None:
        """Count somebody who was refused."""
        self._refused_untold += 1
        refused_total.labels(urgency.name.lower()).inc()
        self._note_wait()

    def tick(self) -> None:
        """Do what has become due: refuse who has stood in line for too long, adjust the limit."""
        now = self._clock()
        if self._inside:
            self._limit.note(self._inside, now - self._sum_entered / self._inside)
        self._ticks += 1
        if self._ticks % TICKS_PER_ADJUSTMENT == 0:
            self._limit.adjust(has_anybody_waited=self._has_waited)
            if not self._has_waited:
                self._waits_since = None
            self._has_waited = any(self._lines)
        self._let_in()
        self._refuse_late(now)
        self._tell(now)

    def _admit(self) -> Ticket:
        ticket = Ticket(self._clock())
        self._inside += 1
        self._sum_entered += ticket
        if self._due is None:
            self._wake()
        return ticket

    def _let_in(self) -> None:
        for urgency, line in zip(Urgency, self._lines, strict=True):
            room = self._limit.value * SHARES[urgency]
            while line and (line[0].place.done() or self._inside < room):
                waiting = line.popleft()
                if not waiting.place.done():
                    waiting.place.set_result(self._admit())
            if line:
                return

    def _refuse_late(self, now: float) -> None:
        oldest = now - self._patience()
        for urgency, line in zip(Urgency, self._lines, strict=True):
            while line and (line[0].place.done() or line[0].arrived < oldest):
                waiting = line.popleft()
                if not waiting.place.done():
                    self.count_refusal(urgency)
                    waiting.place.set_exception(Unavailable(BUSY))

    def _patience(self) -> float:
        """Return how long somebody may stand in line now."""
        since = self._waits_since
        return STANDING_SECONDS if since is not None and self._clock() - since > STANDS_AFTER_SECONDS else BURST_SECONDS

    def _is_full(self, urgency: Urgency) -> bool:
        """Tell whether as many stand in a line as are let in within that time, at the pace that the limit is made for."""
        return len(self._lines[urgency]) >= int(self._limit.value * self._patience() / (2 * TARGET_AGE_SECONDS))

    def _note_wait(self) -> None:
        self._has_waited = True
        if self._waits_since is None:
            self._waits_since = self._clock()
        self._wake()

    def _wake(self) -> None:
        """Have `tick` called while there is anything to do."""
        if self._due is None:
            self._due = self._clock() + TICK_SECONDS
            call_later = self._call_later or asyncio.get_running_loop().call_later
            call_later(TICK_SECONDS, self._tick_when_due)

    def _tick_when_due(self) -> None:
        assert self._due is not None
        self._lag = max(0.0, self._clock() - self._due)
        self._due = None
        self.tick()
        if self._inside or self._waits_since is not None or self._refused_untold or not self._limit.is_usual:
            self._wake()
        else:
            self._lag = 0.0

    def _tell(self, now: float) -> None:
        inside_gauge.set(self._inside)
        limit_gauge.set(self._limit.value)
        lag_gauge.set(self._lag)
        if self._refused_untold and now - self._told_at >= SAY_SECONDS:
            log.warning(
                "requests refused",
                requests=self._refused_untold,
                limit=self._limit.value,
                inside=self._inside,
                loop_lag_ms=round(self._lag * 1000),
            )
            self._refused_untold, self._told_at = 0, now
