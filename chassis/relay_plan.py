"""What a relay does with the rows that are due: which it parks, renews, gives up, cuts, and which travel together. Nothing here does I/O.

Rows that were in one message are a *company*: they are published again together, so that a backlog keeps its batches however often
leases end. Only failures take a company apart, and only as far as a bound on its parts allows: where what all of them need is away,
cutting would multiply messages and find nobody guilty.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from chassis import topology
from chassis.ledger import Payloads, payloads_of

FAILURES_BEFORE_CUT = 2
SECONDS_BEFORE_CUT = 15
"""So long may a company fail because somebody is away, until its rows are suspected themselves."""
MAX_PARTS = 16
"""Into so many parts the companies of one task are cut at most at a time, whatever they fail of."""
RENEWALS_BEFORE_DOUBT = 32
"""So many leases of a row are renewed because the broker seems to hold its message; then it is published once more, and the next time
after as many times as long. So no belief lasts for ever, and messages grow with the logarithm of the time."""


@dataclass(frozen=True)
class ClaimedRow:
    """A due row of a ledger, locked by a relay. `now` is the database's time at the claim."""

    id: int
    task: str
    payload: Payloads
    now: datetime
    publications: int = 0
    failures: int = 0
    message_id: UUID | None = None
    cut_from: UUID | None = None
    published_at: datetime | None = None
    failing_since: datetime | None = None
    failed_at: datetime | None = None
    """The last failure; `failing_since` is moved up by what lay idle before it."""

    @property
    def changes(self) -> int:
        """Return how many changes it stands for."""
        return len(payloads_of(self.payload))

    @property
    def queue(self) -> str:
        """Return where its task's messages go. Raises KeyError for an unknown task."""
        return topology.TASKS[self.task].queue


Company = Sequence[ClaimedRow]


@dataclass(frozen=True)
class Limits:
    """When a row is given up that fails alone."""

    failures: int
    hours: int
    """So long may it fail of what is nobody's fault as far as one can see: somebody who is away, a database that takes too long."""


@dataclass(frozen=True)
class Look:
    """What a broker's queue shows: how many messages are ready, and when the oldest of so many that this ledger has open was published.

    A queue hands out the oldest first. So what is ready of ours is among the `ready` messages that were published last; what was published
    before those was delivered, or is lost.
    """

    ready: int
    horizon: datetime | None


@dataclass
class Sorted:
    """Due rows by what becomes of them."""

    unknown: list[ClaimedRow] = field(default_factory=list)
    """Their task is none of this version's: another one will know it."""
    leased: list[Company] = field(default_factory=list)
    """Published, nothing heard of since, and their lease has ended."""
    again: list[Company] = field(default_factory=list)
    """They were published, and no message stands for them any more: they failed and their pause has ended, or the broker is another one."""
    given_up: list[ClaimedRow] = field(default_factory=list)
    fresh: list[ClaimedRow] = field(default_factory=list)


@dataclass(frozen=True)
class Batch:
    """Rows of one task that travel in one message."""

    rows: Company
    message_id: UUID
    cut_from: UUID | None = None
    """Where they have just been cut out of the company of a message: which."""

    @property
    def task(self) -> str:
        """Return the name of their task."""
        return self.rows[0].task

    @property
    def queue(self) -> str:
        """Return where it goes."""
        return self.rows[0].queue

    @property
    def row_ids(self) -> list[int]:
        """Return the ids of the rows."""
        return [row.id for row in self.rows]


def without_torn_company(rows: Sequence[ClaimedRow], limit: int) -> list[ClaimedRow]:
    """Leave out the last company where the claim's limit may have torn it; it stays due. Rows come company by company."""
    if len(rows) < limit or rows[-1].message_id is None:
        return list(rows)
    whole = [row for row in rows if row.message_id != rows[-1].message_id]
    return whole or list(rows)


def sort_out(rows: Sequence[ClaimedRow], limits: Limits, known: Collection[str] = topology.TASKS.keys()) -> Sorted:
    """Tell due rows apart by what becomes of them."""
    found = Sorted(unknown=[row for row in rows if row.task not in known])
    for company in _companies([row for row in rows if row.task in known]):
        first = company[0]
        if first.published_at is not None:
            found.leased.append(company)
        elif first.message_id is None and not _has_failed(first):
            found.fresh.extend(company)
        elif is_alone(company) and _is_exhausted(first, limits):
            found.given_up.append(first)
        else:
            found.again.append(company)
    return found


def _companies(rows: Sequence[ClaimedRow]) -> Iterator[Company]:
    """Yield rows by the message that they were in last, and by what has become of it."""

    def key(row: ClaimedRow) -> tuple[UUID | None, str, bool, bool]:
        return row.message_id, row.task, row.published_at is None, _has_failed(row)

    gathered: dict[tuple[UUID | None, str, bool, bool], list[ClaimedRow]] = {}
    for row in rows:
        gathered.setdefault(key(row), []).append(row)
    yield from gathered.values()


def _has_failed(row: ClaimedRow) -> bool:
    return row.failures > 0 or row.failing_since is not None


def is_alone(company: Company) -> bool:
    """Tell whether it is a single change: what fails then fails of nobody else's fault."""
    return len(company) == 1 and company[0].changes == 1


def _is_exhausted(row: ClaimedRow, limits: Limits) -> bool:
    return row.failures >= limits.failures or _fails_for(row, timedelta(hours=limits.hours))


def _fails_for(row: ClaimedRow, time: timedelta) -> bool:
    """Tell whether it had failed for so long when it failed last: nothing is held against it while nobody tries it."""
    return row.failing_since is not None and row.failed_at is not None and row.failed_at - row.failing_since >= time


def is_held(company: Company, look: Look, lease_seconds: int) -> bool:
    """Tell whether the broker still holds the message of a company whose lease has ended, as far as the queue shows.

    An empty queue holds nothing: then the message is with a worker, and comes to it twice, or is lost.
    """
    row = company[0]
    if not look.ready or row.published_at is None:
        return False
    patience = timedelta(seconds=lease_seconds * RENEWALS_BEFORE_DOUBT ** min(max(row.publications, 1), 6))
    if row.now - row.published_at >= patience:
        return False
    return look.horizon is None or row.published_at >= look.horizon


def is_suspect(company: Company) -> bool:
    """Tell whether a company has failed so often or so long that one of its rows may be the reason."""
    return any(
        row.failures >= FAILURES_BEFORE_CUT or _fails_for(row, timedelta(seconds=SECONDS_BEFORE_CUT)) for row in company
    )


def parts_of(companies: Sequence[Company], taken: Mapping[str, int]) -> list[int]:
    """Return into how many parts to cut each of these failing companies; 1: it stays as it is.

    `taken` says by task how many parts there are beyond one per company that was cut. Where what fails is one row, all parts but its
    own succeed, and make room for the next cut; where all fail of the same, cutting ends at MAX_PARTS.
    """
    room = {company[0].task: MAX_PARTS - 1 - taken.get(company[0].task, 0) for company in companies}
    parts = []
    for company in companies:
        task = company[0].task
        changes = sum(row.changes for row in company)
        wanted = min(changes, 1 + max(0, room[task])) if is_suspect(company) else 1
        room[task] -= wanted - 1
        parts.append(wanted)
    return parts


def cut(company: Company, parts: int) -> list[Company]:
    """Return a company in so many parts of about the same size, in order."""
    return [company[len(company) * part // parts : len(company) * (part + 1) // parts] for part in range(parts)]


def make_batches(
    fresh: Sequence[ClaimedRow], companies: Sequence[Company] = (), new_id: Callable[[], UUID] = uuid4
) -> list[Batch]:
    """Group fresh rows of one task into micro-batches, in order; companies stay together, in batches of their own."""
    packed = _pack(fresh)
    for company in companies:
        packed += _pack(company)
    return [Batch(rows, new_id()) for rows in packed]


def cut_batches(company: Company, rows: Company, parts: int, new_id: Callable[[], UUID] = uuid4) -> list[Batch]:
    """Return the parts of a company, whose shared rows have been split into these rows, as batches that remember where they are from."""
    origin = company[0].cut_from or company[0].message_id or new_id()
    return [Batch(part, new_id(), origin) for part in cut(rows, parts)]


def _pack(rows: Sequence[ClaimedRow]) -> list[list[ClaimedRow]]:
    packed: list[list[ClaimedRow]] = []
    filling: dict[str, list[ClaimedRow]] = {}
    room: dict[str, int] = {}
    for row in rows:
        if row.task not in filling or room[row.task] < row.changes:
            filling[row.task] = []
            packed.append(filling[row.task])
            room[row.task] = topology.TASKS[row.task].batch_size
        filling[row.task].append(row)
        room[row.task] -= row.changes
    return packed


def lease_of(task: str, lease_seconds: int) -> int:
    """Return a task's lease: the configured one, and as much more as it may take longer than a minute."""
    return lease_seconds + max(0, topology.TASKS[task].time_limit_seconds - topology.USUAL_LIMIT_SECONDS)
