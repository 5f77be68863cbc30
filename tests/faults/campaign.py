"""A run: a network under load, faults one by one, then many at once, then quiet, and the oracle's verdict."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests.faults.crowds import connect_and_leave, streams_come_back
from tests.faults.load import Rates
from tests.faults.members import Society, settle_in
from tests.faults.memory import Memory
from tests.faults.nemeses import NEMESES
from tests.faults.network import Network, Plan, running_network
from tests.faults.probes import Probes
from tests.faults.quiet import wait_quiet
from tests.faults.report import Floors, Recovery, Report
from tests.faults.stage import Cast, Stage

RECOVERY_BOUND_SECONDS = 180.0
DRAINED_AGE_SECONDS = 5.0
DRAINED_SOON_SECONDS = 30.0
"""So long a run waits that is not held to times."""
QUIET_PATIENCE_SECONDS = 240.0
DRAIN_BOUND_SECONDS = 300.0

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Campaign:
    """What a run does."""

    seed: int
    command: str
    members: int
    friends: int
    rates: Rates
    singles: Sequence[tuple[str, float]]
    """Nemeses that strike alone, and for how many seconds."""
    broker_away_seconds: float
    storm: Sequence[str]
    """Nemeses that strike at any time, together."""
    storm_seconds: float
    strike_every_seconds: float
    longest_seconds: float
    """How long a nemesis of the storm holds at most."""
    streams: int
    floors: Floors
    patience_seconds: float = 180.0
    is_timed: bool = False
    """Times are held against the goals."""
    crowd_streams: int = 0
    crowd_connects: int = 0
    plan: Plan = field(default_factory=Plan)


class Run:
    """One run of a campaign on a network. Use `perform`."""

    def __init__(self, campaign: Campaign, network: Network, society: Society, folder: Path, tell: Tell) -> None:
        self._tell = tell
        self._began = time.monotonic()
        self._campaign = campaign
        self._network = network
        self._chance = random.Random(campaign.seed)
        cast = Cast(
            campaign.seed,
            society,
            campaign.rates,
            campaign.streams,
            campaign.patience_seconds,
            quiet_seconds=QUIET_PATIENCE_SECONDS,
        )
        self._stage = Stage(cast, network, folder / "journal.jsonl")
        self._society = society
        self._memory = Memory(network)
        self._probes = Probes(network.gateways, society.members, campaign.seed)
        self.report = Report(campaign.command, campaign.seed, floors=campaign.floors, is_timed=campaign.is_timed)
        self._strikes: Counter[str] = Counter()

    async def perform(self) -> Report:
        """Do everything and return the report."""
        stop = asyncio.Event()
        watching = asyncio.create_task(self._memory.run(stop))
        self._stage.begin()
        try:
            await self._strike_one_by_one()
            await self._take_broker_away()
            await self._storm()
            await self._crowds()
            self._say("no more faults; the load ends")
            await self._stage.end()
            await self._network.wait_healthy()
            await self._stage.judge(self.report)
            self._say(f"quiet after {self.report.quiet_seconds:.0f} s; compared {self.report.checked}")
        finally:
            stop.set()
            await self._stage.close()
            await watching
            self._probes.close()
        self.report.seconds = time.monotonic() - self._began
        self.report.troubles += self._network.daemons.troubles
        self.report.growth = self._memory.growth()
        self.report.kills = dict(self._network.kills)
        self.report.strikes = dict(self._strikes)
        return self.report

    def _say(self, line: str) -> None:
        """Tell how far it is."""
        posts = self._stage.writer.acknowledged["post"]
        kills = sum(self._network.kills.values())
        found = self._stage.findings.counts or ""
        self._tell(f"{time.monotonic() - self._began:6.0f} s  {posts:6} posts  {kills:4} kills  {found}  {line}")

    async def _strike_one_by_one(self) -> None:
        self._stage.telephone.phase = "no fault"
        await self._probes.wait_well(RECOVERY_BOUND_SECONDS)
        for name, seconds in self._campaign.singles:
            self._stage.telephone.phase = name
            await self._strike(name, seconds)
            recovered = await self._probes.wait_well(RECOVERY_BOUND_SECONDS)
            self._say(f"{name}: all answered after {'never' if recovered is None else f'{recovered:.1f} s'}")
            self.report.recoveries.append(Recovery(name, seconds if NEMESES[name].lasts else 0.0, recovered))
            if "RabbitMQ" in name:
                await self._time_drain(name)

    async def _take_broker_away(self) -> None:
        seconds = self._campaign.broker_away_seconds
        if not seconds:
            return
        self._stage.telephone.phase = phase = "only the broker away"
        await self._strike("RabbitMQ away", seconds)
        self._stage.telephone.phase = "the broker comes back"
        await self._time_drain(f"RabbitMQ away {seconds:.0f} s")
        self._say(f"the broker was away; drained after {self.report.drain_seconds}")
        counts = self._stage.telephone.codes.get(phase, Counter())
        self.report.requests_while_broker_away = counts.total()
        self.report.failures_while_broker_away = sum(
            count for code, count in counts.items() if code == 0 or code >= 500
        )

    async def _crowds(self) -> None:
        """Let thousands come at once."""
        campaign = self._campaign
        if campaign.crowd_streams:
            self._stage.telephone.phase = "crowds"
            self.report.crowds = [
                await streams_come_back(self._network, self._society.members, campaign.crowd_streams),
                await connect_and_leave(self._network, campaign.crowd_connects),
            ]
            recovered = await self._probes.wait_well(RECOVERY_BOUND_SECONDS)
            self.report.recoveries.append(Recovery("crowds", 0.0, recovered))
            self._say(f"{self.report.crowds}")

    async def _strike(self, name: str, seconds: float) -> None:
        self._strikes[name] += 1
        try:
            await NEMESES[name].strike(self._network, self._chance, seconds)
        except Exception as error:  # a nemesis that fails is told of, and nothing more
            self.report.notes.append(f"{name}: {type(error).__name__}: {error}")

    async def _time_drain(self, name: str) -> None:
        """Time until no open work is older than a few seconds."""
        began = time.monotonic()
        while time.monotonic() - began < (DRAIN_BOUND_SECONDS if self._campaign.is_timed else DRAINED_SOON_SECONDS):
            if await self._oldest_age() < DRAINED_AGE_SECONDS:
                self.report.drain_seconds[name] = time.monotonic() - began
                return
            await asyncio.sleep(0.5)
        self.report.drain_seconds[name] = None

    async def _oldest_age(self) -> float:
        try:
            [(age,)] = await self._network.query(
                "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - created_at)), 0)::float8 FROM ("
                " SELECT created_at FROM status.ledger UNION ALL SELECT created_at FROM blog.ledger) AS work"
            )
        except psycopg.Error:
            return float("inf")
        return float(age)

    async def _storm(self) -> None:
        """Let nemeses strike at any time, several at once; wait until the last has ended."""
        self._stage.telephone.phase = "storm"
        until = time.monotonic() + self._campaign.storm_seconds
        tasks: set[asyncio.Task[None]] = set()
        while time.monotonic() < until:
            name = self._chance.choice(self._campaign.storm)
            task = asyncio.create_task(self._strike(name, self._chance.uniform(1, self._campaign.longest_seconds)))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            if self._strikes.total() % 20 == 0:
                self._say("in the storm")
            await asyncio.sleep(self._chance.expovariate(1 / self._campaign.strike_every_seconds))
        while tasks:
            await asyncio.wait(tasks)


async def run_campaign(campaign: Campaign, folder: Path, tell: Tell) -> Report:
    """Start a network, run a campaign on it, and return its report."""
    async with running_network(folder, campaign.plan) as network:
        tell("the network runs")
        society = await settle_in(network.settings, campaign.members, campaign.friends, prefix="m", seed=campaign.seed)
        await wait_quiet(network, patience_seconds=QUIET_PATIENCE_SECONDS)
        return await Run(campaign, network, society, folder, tell).perform()
