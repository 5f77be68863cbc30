"""Trials of the harness itself: each planted defect has to be found by a short play, and the same play on a sound network finds nothing."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from psycopg import sql

from tests.faults.http_client import Http
from tests.faults.load import Rates
from tests.faults.members import Society, settle_in
from tests.faults.network import Network, Plan, running_network
from tests.faults.planted import DEFECTS, Defect
from tests.faults.quiet import wait_quiet
from tests.faults.reading import Reader, Unreadable, each
from tests.faults.report import Report
from tests.faults.scripts import SCRIPTS
from tests.faults.stage import Cast, Stage

MEMBERS, FRIENDS, STREAMS = 12, 5, 4
RATES = Rates(posts=12, reads=8, others=10)
PATIENCE_SECONDS = 90.0
QUIET_SECONDS = 120.0
LEFT_SECONDS = 30.0
"""Work that a defect leaves is not waited for as long as on a sound network."""
PUSHED_SECONDS = 12.0
"""Ten seconds after a member's first read, posts are pushed to them."""
PLAN = Plan(relays=1, variables={"KODAMA_RELAY_LEASE_SECONDS": "10", "KODAMA_RELAY_MAX_ATTEMPTS": "100"})


@dataclass(frozen=True)
class Play:
    """A script, with or without a defect."""

    script: str
    defect: Defect | None = None

    @property
    def name(self) -> str:
        """What it is called."""
        return self.defect.name if self.defect else f"{self.script}, nothing planted"


def plays(names: Sequence[str]) -> list[Play]:
    """Return the plays that find these defects, and each of their scripts without one after."""
    defects = [DEFECTS[name] for name in names]
    sound = [Play(script) for script in dict.fromkeys(defect.script for defect in defects)]
    return [*(Play(defect.script, defect) for defect in defects), *sound]


async def settle(network: Network, wanted: Sequence[Play], seed: int) -> dict[str, Society]:
    """Make members for each play, have them read, and wait until posts are pushed to them."""
    settled = await asyncio.gather(
        *(
            settle_in(network.settings, MEMBERS, FRIENDS, prefix=f"t{number}_", seed=seed + number)
            for number, _ in enumerate(wanted)
        )
    )
    societies = {play.name: society for play, society in zip(wanted, settled, strict=True)}
    reader = Reader(Http(network.gateways))

    async def read(token: str) -> None:
        await reader.get("/api/v1/timelines/home?limit=1", token)

    await each([member.token for society in societies.values() for member in society.members], read)
    await asyncio.sleep(PUSHED_SECONDS)
    await wait_quiet(network, patience_seconds=QUIET_SECONDS)
    return societies


async def perform(network: Network, play: Play, society: Society, seed: int, folder: Path) -> Report:
    """Perform a play and return what the oracle says."""
    report = Report(f"play {play.name!r}", seed)
    began = time.monotonic()
    cast = Cast(seed, society, RATES, STREAMS, PATIENCE_SECONDS, LEFT_SECONDS if play.defect else QUIET_SECONDS)
    stage = Stage(cast, network, folder / f"{play.name.replace(' ', '-')}.jsonl")
    if play.defect:
        await plant_into(network, play.defect)
    try:
        stage.begin()
        await SCRIPTS[play.script](network, stage)
        await stage.end()
        await network.wait_healthy()
        try:
            await stage.judge(report)
        except Unreadable as error:
            report.violations["wrong"] += 1
            report.notes.append(f"unreadable: {error}")
    finally:
        await stage.close()
        if play.defect:
            await weed_out(network, play.defect)
    report.seconds = time.monotonic() - began
    return report


async def plant_into(network: Network, defect: Defect) -> None:
    """Plant a defect into a running network."""
    for statement in defect.sql:
        await network.query(statement)
    await restart(network, defect.restarts, {"KODAMA_PLANTED": defect.name})


async def weed_out(network: Network, defect: Defect) -> None:
    """Take a defect out, and with it the work that it has left."""
    for statement in defect.undo:
        await network.query(statement)
    await restart(network, defect.restarts, {})
    for producer in ("status", "blog", "social_graph", "timeline"):
        await network.query(sql.SQL("DELETE FROM {}.ledger").format(sql.Identifier(producer)))


async def restart(network: Network, names: Sequence[str], environment: Mapping[str, str]) -> None:
    """Start processes anew with further variables, and wait until the network is well."""
    for name in names:
        await network.daemons.restart(name, environment)
    if names:
        await network.wait_started(names)
        await network.wait_healthy()


@dataclass
class Trials:
    """What became of all plays."""

    seed: int
    reports: list[tuple[Play, Report]]

    @property
    def passed(self) -> bool:
        """Every defect was found, and nothing where there was none."""
        return bool(self.reports) and not self.failures()

    def failures(self) -> list[str]:
        """Return the plays that did not end as they have to."""
        return [play.name for play, report in self.reports if bool(report.faults()) != bool(play.defect)]

    def text(self) -> str:
        """Return it for people."""
        lines = []
        for play, report in self.reports:
            verdict = "found" if report.faults() else "nothing"
            is_right = bool(report.faults()) == bool(play.defect)
            posts = report.acknowledged.get("post", 0)
            lines.append(
                f"  {'ok' if is_right else 'NO':3} {play.name:44} {verdict:8} {report.seconds:5.0f} s {posts:5} posts"
                f"  {'; '.join(report.faults())}"
            )
        failures = self.failures()
        verdict = f"FAILED: {', '.join(failures)}" if failures else "passed: every defect was found, and nothing else"
        return "\n".join([*lines, verdict])

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        found = [
            {"play": play.name, "planted": play.defect is not None} | report.as_json() for play, report in self.reports
        ]
        path.write_text(json.dumps({"passed": self.passed, "seed": self.seed, "plays": found}, indent=1) + "\n")


async def run_trials(names: Sequence[str], seed: int, folder: Path, tell: Callable[[str], None]) -> Trials:
    """Start a network and perform the plays of these defects on it, each script also without one."""
    wanted = plays(names)
    trials = Trials(seed, [])
    async with running_network(folder, PLAN) as network:
        tell("the network runs")
        societies = await settle(network, wanted, seed)
        for number, play in enumerate(wanted):
            report = await perform(network, play, societies[play.name], seed + number, folder)
            trials.reports.append((play, report))
            tell(f"{report.seconds:5.0f} s  {play.name}: {'; '.join(report.faults()) or 'nothing found'}")
            for one in report.first_violations[: 0 if play.defect else 10]:
                tell(f"        {one.kind} at {one.where}, member {one.member}: {one.detail}")
    return trials
