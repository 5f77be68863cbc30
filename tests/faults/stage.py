"""One play: members at work and onlookers on a network, whose journal an oracle judges in the end."""

import asyncio
import random
import time
from dataclasses import dataclass
from pathlib import Path

from tests.faults.http_client import Http
from tests.faults.journal import Journal, read_journal
from tests.faults.load import Load, Rates, choose
from tests.faults.members import Society
from tests.faults.network import Network
from tests.faults.oracle import Oracle
from tests.faults.quiet import wait_quiet
from tests.faults.reading import Reader
from tests.faults.report import Report
from tests.faults.safety import Findings, Safety
from tests.faults.stream_check import check_streams
from tests.faults.streams import Streams
from tests.faults.world import World, replay
from tests.faults.writing import Telephone, Writer

DEFECT = 500
"""What the network answers to its own surprise, whatever is broken: everything else is expected, and 503."""


@dataclass(frozen=True)
class Cast:
    """Who takes part."""

    seed: int
    society: Society
    rates: Rates
    streams: int
    patience_seconds: float
    """For so long an operation is asked for again."""
    quiet_seconds: float
    """Work that does not become less for so long, when nothing is done any more, is left over."""


class Stage:
    """The members of a cast on a network. Call `begin`, then `end`, then `judge`."""

    def __init__(self, cast: Cast, network: Network, journal: Path) -> None:
        self._cast = cast
        self._network = network
        self.findings = Findings()
        self.journal = Journal(journal)
        self.world = World(self._ids(), cast.society.pairs())
        self.telephone = Telephone(Http(network.gateways, chance=random.Random(cast.seed)))
        self.safety = Safety(self.world, self.findings)
        self.chance = random.Random(cast.seed + 1)
        self.writer = Writer(
            self.telephone, self.journal, self.world, self.chance, patience_seconds=cast.patience_seconds
        )
        self.load = Load(cast.society, self.world, self.writer, self.telephone, self.safety, cast.rates, cast.seed + 2)
        self.streams = Streams(
            choose(cast.society.members, cast.streams, cast.seed),
            network.gateways,
            self.telephone,
            self.safety,
            self.findings,
            cast.seed + 3,
        )
        self._stop, self._stop_streams = asyncio.Event(), asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def _ids(self) -> list[int]:
        return [member.id for member in self._cast.society.members]

    def begin(self) -> None:
        """Let the load and the streams begin."""
        self._tasks = [
            asyncio.create_task(self.load.run(self._stop)),
            asyncio.create_task(self.streams.run(self._stop_streams)),
        ]

    async def end(self) -> None:
        """Let the load end, and wait until it is known what became of everything."""
        self.telephone.phase = "after"
        self._stop.set()
        await self._tasks[0]

    async def judge(self, report: Report) -> None:
        """Wait until the network is quiet, compare everything with the journal, and fill the report in. Raises Unreadable."""
        left, report.quiet_seconds = await wait_quiet(self._network, patience_seconds=self._cast.quiet_seconds)
        report.left_open, report.left_dead = left.open, left.dead
        self.journal.close()
        world = replay(self._ids(), self._cast.society.pairs(), read_journal(self.journal.path))
        reader = Reader(Http(self._network.gateways))
        began = time.monotonic()
        verdict = await Oracle(world, self._cast.society.members, reader, self.findings).check()
        await check_streams(world, self.streams.onlookers, self.findings, verdict)
        self._stop_streams.set()
        await self._tasks[1]
        report.notes.append(f"the oracle read {reader.pages:,} pages in {time.monotonic() - began:.0f} s")
        report.checked = dict(verdict.checked)
        report.recovered = verdict.recovered
        self._fill_in(report)

    def _fill_in(self, report: Report) -> None:
        onlookers = self.streams.onlookers
        for failure in self.telephone.failures:
            if failure.code == DEFECT:
                self.findings.note("wrong", "answers", 0, f"{DEFECT} at {failure.path}: a defect", failure.at)
        report.members = len(self._cast.society.members)
        report.attempts = self.writer.attempts
        report.acknowledged = {str(verb): count for verb, count in self.writer.acknowledged.items()}
        report.unknown = self.writer.unknown
        report.troubles += self.load.troubles
        report.reads, report.shed = self.load.reads, self.load.shed
        report.checked["entries during faults"] = self.findings.checked
        report.violations |= self.findings.counts
        report.first_violations = self.findings.first
        report.codes = {phase: dict(counts) for phase, counts in self.telephone.codes.items()}
        report.stream_connections = sum(one.connections for one in onlookers)
        report.stream_events = sum(len(one.got) for one in onlookers)
        report.stream_gaps = sum(one.gaps for one in onlookers)

    async def close(self) -> None:
        """Give up whatever still runs."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
