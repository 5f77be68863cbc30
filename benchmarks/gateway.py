"""The gateway under 1, 8 and 48 connections: `python -m benchmarks.gateway --json OUT`. What each figure means: benchmarks/README.md."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.delivering import relay_stopped
from benchmarks.figures import Figure, latency_of
from benchmarks.home_query import check_same, full_home_script
from benchmarks.http_load import HttpJob, HttpRequest, HttpResult, load
from benchmarks.network import Bench, bench_network, further_gateway
from benchmarks.pgbench import PgbenchResult, run_pgbench
from benchmarks.population import Member, populate, regular_graph, wait_until_delivered, wait_until_pushed_to
from benchmarks.posting_load import TEXT
from benchmarks.report import as_json, console, machine_facts, show_figures, show_machine, write_json
from benchmarks.smoke import HOME, HOME_SCRIPT
from benchmarks.usage import Usage, phase

LEVELS = (1, 8, 48)
MAX_REQUESTS = 1_000_000
PREPARE_SECONDS = 120
WARMING_SECONDS = 2
CHECKED_PAGES = 20
FULL = "all that the page shows, in one query"
POSTS_BEFORE = 3
"""Of each member, so that pages are full."""

POST_SCRIPT = """
\\set author random(1, 1000000)
WITH posted AS (
    INSERT INTO statuses (account_id, id, text, visibility) VALUES (:author, next_id(1), '{text}', 1) RETURNING id, account_id
)
INSERT INTO ledger (task, queue, payload)
SELECT 'timeline.fan_out', 'timeline.live', jsonb_build_object('entry_id', id, 'author_id', account_id) FROM posted;
"""
PROFILE_SCRIPT = """
\\set number random(1, {members})
SELECT s.id, s.account_id, s.text, s.visibility, s.version, a.handle, a.display_name, a.note
FROM members AS m JOIN account.accounts AS a ON a.id = m.id
CROSS JOIN LATERAL (
    SELECT * FROM status.statuses WHERE account_id = m.id ORDER BY id DESC LIMIT 2
) AS s
WHERE m.number = :number;
"""


@dataclass(frozen=True)
class Plan:
    """How much is to be measured."""

    seconds: int
    members: int
    friends: int
    levels: Sequence[int] = LEVELS


@dataclass(frozen=True)
class Measured:
    """A figure, and what one request of it cost."""

    figure: Figure
    connections: int
    cpu_ms_per_request: dict[str, float]
    """By part of the network, the database included."""
    load_cpu_ms_per_request: float
    """What the load generator took from the same cores."""

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {**as_json(self.figure), **{name: value for name, value in asdict(self).items() if name != "figure"}}


class Gateway:
    """The measurements, on one network."""

    def __init__(self, bench: Bench, plan: Plan, members: Sequence[Member]) -> None:
        self._bench = bench
        self._plan = plan
        self._members = members
        self._reads = [HttpRequest("GET", HOME, member.token) for member in members]
        self._profiles = [
            HttpRequest("GET", f"/api/v1/accounts/{other.id}/statuses?limit=2", member.token)
            for member, other in zip(members, [*members[1:], members[0]], strict=True)
        ]
        body = json.dumps({"status": TEXT})
        self._posts = [HttpRequest("POST", "/api/v1/statuses", member.token, body) for member in members]

    def prepare(self) -> None:
        """Have everybody read, so that they are pushed to, and post, so that their friends' pages are full."""
        self._once(self._reads)
        wait_until_pushed_to(self._bench)
        self._once(self._posts * POSTS_BEFORE)
        wait_until_delivered(self._bench)
        for statement in (
            "CREATE SCHEMA bench",
            "CREATE TABLE bench.members (number integer PRIMARY KEY, id bigint NOT NULL)",
            "INSERT INTO bench.members SELECT row_number() OVER (ORDER BY id), id FROM account.accounts",
            "ANALYZE bench.members, timeline.entries, status.statuses, account.accounts, social_graph.friendships",
        ):
            self._bench.execute(statement)
        check_same(self._bench, self._members[:CHECKED_PAGES])

    def measure(self, connections: int) -> Iterator[Measured]:
        """Measure everything at so many connections, each beside pgbench with as many clients."""
        bare = self._pgbench(HOME_SCRIPT.format(members=len(self._members)), connections)
        page = self._pgbench(full_home_script(len(self._members)), connections)
        with further_gateway(self._bench) as address, self._used() as used:
            result = self._load(self._reads, connections, PREPARE_SECONDS, most=len(self._reads), address=address)
        yield self._figure("home, cold", result, used, FULL, page, connections)
        result, used = self._warm(self._reads, connections)
        yield self._figure("home, warm", result, used, FULL, page, connections)
        yield self._figure("home, warm", result, used, "entries, statuses and accounts joined", bare, connections)
        result, used = self._warm(self._profiles, connections)
        profile = self._pgbench(self._profile_script(), connections)
        yield self._figure("profile", result, used, "its query", profile, connections)
        insert = self._insert(connections)
        for name, relay in (("post", nullcontext()), ("post, fan-outs later", relay_stopped(self._bench))):
            with relay, self._used() as used:
                result = self._load(self._posts, connections, self._plan.seconds)
            wait_until_delivered(self._bench)
            yield self._figure(name, result, used, "the INSERT with its ledger row", insert, connections)

    def _warm(self, requests: list[HttpRequest], connections: int) -> tuple[HttpResult, dict[str, Usage]]:
        self._load(requests, connections, WARMING_SECONDS)
        with self._used() as used:
            result = self._load(requests, connections, self._plan.seconds)
        return result, used

    def _profile_script(self) -> str:
        return PROFILE_SCRIPT.format(members=len(self._members))

    def _insert(self, connections: int) -> PgbenchResult:
        self._bench.execute("CREATE TABLE bench.statuses (LIKE status.statuses INCLUDING ALL)")
        self._bench.execute("CREATE TABLE bench.ledger (LIKE status.ledger INCLUDING ALL)")
        try:
            return self._pgbench(POST_SCRIPT.format(text=TEXT), connections, search_path="bench,status")
        finally:
            self._bench.execute("DROP TABLE bench.statuses, bench.ledger")

    def _pgbench(self, script: str, clients: int, *, search_path: str = "bench") -> PgbenchResult:
        return run_pgbench(
            self._bench.server, script, clients=clients, seconds=self._plan.seconds, search_path=search_path
        )

    @contextmanager
    def _used(self) -> Iterator[dict[str, Usage]]:
        parts: dict[str, Usage] = {}
        with phase(self._bench) as seen:
            yield parts
        parts.update(seen.parts)

    def _once(self, requests: list[HttpRequest]) -> None:
        self._load(requests, 24, PREPARE_SECONDS, most=len(requests))

    def _load(
        self,
        requests: list[HttpRequest],
        connections: int,
        seconds: float,
        *,
        most: int = MAX_REQUESTS,
        address: str = "",
    ) -> HttpResult:
        host, _, port = (address or self._bench.trial.settings.gateway_address).rpartition(":")
        return load(HttpJob(host, int(port), connections, seconds, most, requests))

    def _figure(
        self,
        name: str,
        result: HttpResult,
        used: dict[str, Usage],
        what: str,
        baseline: PgbenchResult,
        connections: int,
    ) -> Measured:
        requests = len(result.milliseconds)
        return Measured(
            Figure(
                f"{name}, {connections} connection{'s' if connections > 1 else ''}",
                "requests",
                result.per_second,
                latency_of(result.milliseconds),
                f"pgbench, {what}",
                baseline.per_second,
                baseline.latency,
            ),
            connections,
            {part: round(usage.cpu_seconds / requests * 1000, 3) for part, usage in used.items() if usage.cpu_seconds},
            round(result.cpu_seconds / requests * 1000, 3),
        )


def measure(plan: Plan) -> dict[str, Any]:
    """Run everything once, print it, and return it."""
    with bench_network() as bench:
        facts = machine_facts(bench)
        console.print(f"{plan.members:,} members with {plan.friends} friends each move in …")
        gateway = Gateway(bench, plan, asyncio.run(populate(bench, regular_graph(plan.members, plan.friends, seed=1))))
        gateway.prepare()
        console.print("Measuring …")
        found = [measured for connections in plan.levels for measured in gateway.measure(connections)]
    show_machine(facts)
    show_figures(
        f"{plan.members:,} members, {plan.friends} friends, {plan.seconds} s each", [one.figure for one in found]
    )
    for one in {one.figure.name: one for one in found}.values():
        parts = sorted(one.cpu_ms_per_request.items(), key=lambda part: -part[1])
        console.print(
            f"{one.figure.name}: {sum(one.cpu_ms_per_request.values()):.2f} ms of CPU per request ("
            + ", ".join(f"{part} {milliseconds:.2f}" for part, milliseconds in parts[:8])
            + f"; load generator {one.load_cpu_ms_per_request:.2f})"
        )
    return {"machine": facts, "plan": plan, "figures": [one.as_json() for one in found]}


def main(
    json_path: Annotated[Path | None, typer.Option("--json", help="Write everything to this file.")] = None,
    seconds: Annotated[int, typer.Option(min=1, max=60, help="Length of each measurement.")] = 5,
    friends: Annotated[int, typer.Option(min=1, max=500, help="Friends of each member.")] = 130,
    members: Annotated[int, typer.Option(min=10, max=10_000, help="Members; an even number.")] = 1000,
) -> None:
    """Measure home timelines, profiles and posts over HTTP, each beside PostgreSQL alone with the same rows."""
    if friends >= members or friends * members % 2:
        raise typer.BadParameter("there must be more members than friends, and members x friends must be even")
    write_json(json_path, measure(Plan(seconds, members, friends)))


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    app()
