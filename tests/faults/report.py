"""What a run says at its end: counts as Jepsen gives them, the seed that makes it again, and whether it did enough to mean anything."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.memory import Growth
from tests.faults.safety import Violation

FAULTS = ("lost", "duplicated", "missing", "forbidden", "unsorted", "wrong")
"""Kinds of violations, of which there must be none."""

RECOVERY_GOAL_SECONDS = 15.0
DRAIN_GOAL_SECONDS = 120.0


@dataclass(frozen=True)
class Floors:
    """What a run has to have done: one that finds nothing because it did nothing has failed."""

    acknowledged: int
    """Statuses."""
    kills: int
    kinds: int
    """Different kinds of processes killed."""
    checked: int
    """Entries of home timelines that were compared."""
    stream_events: int = 0


@dataclass(frozen=True)
class Recovery:
    """How soon everything answered again after one fault."""

    fault: str
    held_seconds: float
    seconds: float | None
    """None: not within the bound."""


@dataclass(frozen=True)
class Crowd:
    """How many came at once."""

    what: str
    first_seconds: float | None
    seconds: float | None
    """None: not within the bound."""


@dataclass
class Report:
    """All that a run has to say."""

    command: str
    seed: int
    seconds: float = 0.0
    members: int = 0
    attempts: int = 0
    acknowledged: dict[str, int] = field(default_factory=dict)
    unknown: int = 0
    recovered: int = 0
    reads: int = 0
    shed: int = 0
    violations: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FAULTS, 0))
    first_violations: list[Violation] = field(default_factory=list)
    checked: dict[str, int] = field(default_factory=dict)
    kills: dict[str, int] = field(default_factory=dict)
    strikes: dict[str, int] = field(default_factory=dict)
    stream_events: int = 0
    stream_connections: int = 0
    stream_gaps: int = 0
    recoveries: list[Recovery] = field(default_factory=list)
    codes: dict[str, dict[int, int]] = field(default_factory=dict)
    failures_while_broker_away: int = 0
    requests_while_broker_away: int = 0
    crowds: list[Crowd] = field(default_factory=list)
    growth: list[Growth] = field(default_factory=list)
    drain_seconds: dict[str, float | None] = field(default_factory=dict)
    """After a fault of the broker, until no open work was older than a few seconds."""
    quiet_seconds: float = 0.0
    left_open: int = 0
    left_dead: int = 0
    floors: Floors | None = None
    is_timed: bool = False
    """Times are held against the goals, too."""
    troubles: list[str] = field(default_factory=list)
    """What went wrong with the harness itself."""
    notes: list[str] = field(default_factory=list)

    def shortfalls(self) -> list[str]:
        """Return what the run has not done enough of."""
        floors = self.floors
        if floors is None:
            return list(self.troubles)
        killed = {kind: count for kind, count in self.kills.items() if "terminated" not in kind}
        done = {
            "acknowledged statuses": (self.acknowledged.get("post", 0), floors.acknowledged),
            "kills": (sum(killed.values()), floors.kills),
            "kinds of processes killed": (len(killed), floors.kinds),
            "checked entries": (self.checked.get("entries", 0), floors.checked),
            "events over streams": (self.stream_events, floors.stream_events),
        }
        short = [f"only {actual} of {floor} {what}" for what, (actual, floor) in done.items() if actual < floor]
        return short + [f"the harness: {trouble}" for trouble in self.troubles[:5]]

    def faults(self) -> list[str]:
        """Return what is wrong with the network."""
        found = [f"{kind}: {count}" for kind, count in self.violations.items() if count]
        if self.left_open or self.left_dead:
            found.append(f"work left: {self.left_open} open, {self.left_dead} dead")
        return found + (self._slow() if self.is_timed else [])

    def _slow(self) -> list[str]:
        """Return what took too long or was not answered in time: only a machine that does nothing else can be held to that."""
        found = [
            f"{one.fault}: back after {_seconds(one.seconds)}"
            for one in self.recoveries
            if one.seconds is None or one.seconds > RECOVERY_GOAL_SECONDS
        ]
        found += [
            f"{what}: drained after {_seconds(seconds)}"
            for what, seconds in self.drain_seconds.items()
            if seconds is None or seconds > DRAIN_GOAL_SECONDS
        ]
        if self.failures_while_broker_away:
            found.append(f"{self.failures_while_broker_away} failures while only the broker was away")
        return found

    @property
    def passed(self) -> bool:
        """Nothing is wrong with the network, and the run did what it had to."""
        return not self.faults() and not self.shortfalls()

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(self.as_json(), indent=1) + "\n")

    def as_json(self) -> dict[str, Any]:
        """Return it with its verdict, ready for JSON."""
        return (
            {"passed": self.passed}
            | asdict(self)
            | {
                "faults": self.faults(),
                "shortfalls": self.shortfalls(),
            }
        )

    def text(self) -> str:
        """Return it for people."""
        lines = [
            f"{self.members} members, {self.seconds:,.0f} s; again with: {self.command}",
            _row("attempts", f"{self.attempts:,}", "acknowledged", _counts(self.acknowledged), "unknown", self.unknown),
            _row(
                "recovered", self.recovered, *(part for kind in FAULTS for part in (kind, self.violations.get(kind, 0)))
            ),
            _row("kills", sum(self.kills.values()), "", _counts(self.kills)),
            _row("checked", "", "", _counts(self.checked)),
            _row("reads while faults went on", f"{self.reads:,}", "not begun", self.shed),
            _row(
                "streams: connections", self.stream_connections, "events", self.stream_events, "gaps", self.stream_gaps
            ),
            _row(
                "while only the broker was away: requests",
                self.requests_while_broker_away,
                "failed",
                self.failures_while_broker_away,
            ),
            *(f"  drained after {what}: {_seconds(seconds)}" for what, seconds in self.drain_seconds.items()),
            f"  quiet {self.quiet_seconds:.1f} s after the load; left open {self.left_open}, dead {self.left_dead}",
            "  all answered again:",
            *(
                f"    {one.fault:32} held {one.held_seconds:6.1f} s, back after {_seconds(one.seconds)}"
                for one in self.recoveries
            ),
            *(f"  {one.what}: {_seconds(one.seconds)}, at first {_seconds(one.first_seconds)}" for one in self.crowds),
            *(
                f"  memory of {one.process}: {one.first_mib:.0f} MiB, after {one.seconds:.0f} s {one.last_mib:.0f} MiB"
                for one in self.growth
            ),
            *(f"  note: {note}" for note in self.notes),
            *(f"  {one.kind} at {one.where}, member {one.member}: {one.detail}" for one in self.first_violations[:20]),
        ]
        verdict = [*self.faults(), *self.shortfalls()]
        return "\n".join([*lines, f"FAILED: {'; '.join(verdict)}" if verdict else "passed"])


def _row(*parts: object) -> str:
    return "  " + " ".join(str(part) for part in parts if part != "")


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items(), key=lambda one: -one[1]))


def _seconds(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f} s"


def merged(*counts: Mapping[str, int]) -> dict[str, int]:
    """Return counts added up."""
    total: Counter[str] = Counter()
    for some in counts:
        total.update(some)
    return dict(total)
