"""First figures of a whole network: `python -m benchmarks.smoke`. What each means: benchmarks/README.md."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.copy_baseline import measure_copy
from benchmarks.delivering import Burst, measure_burst
from benchmarks.figures import Figure, latency_of
from benchmarks.http_load import HttpJob, HttpRequest, HttpResult, load
from benchmarks.network import Bench, bench_network
from benchmarks.pgbench import run_pgbench
from benchmarks.population import Member, populate, regular_graph, wait_until_delivered, wait_until_pushed_to
from benchmarks.posting_load import TEXT, PostingJob
from benchmarks.report import as_json, console, machine_facts, show_figures, show_machine, show_usage, write_json
from benchmarks.usage import Phase, phase

HOME = "/api/v1/timelines/home?limit=20"
MAX_REQUESTS = 1_000_000
ACTIVATION_SECONDS = 120
WARMING_SECONDS = 2
LIVE_WORKERS = 1
"""Worker processes of timeline.live in a network as `make up` starts it."""

STATUS_SCRIPT = """
\\set author random(1, 1000000)
INSERT INTO statuses (account_id, id, text, visibility) VALUES (:author, next_id(1), '{text}', 1);
"""
HOME_SCRIPT = """
\\set number random(1, {members})
SELECT s.id, s.account_id, s.text, s.visibility, s.version, a.handle, a.display_name, a.note
FROM members AS m
CROSS JOIN LATERAL (
    SELECT entry_id, author_id FROM timeline.entries WHERE account_id = m.id ORDER BY entry_id DESC LIMIT 20
) AS e
JOIN status.statuses AS s ON s.account_id = e.author_id AND s.id = e.entry_id
JOIN account.accounts AS a ON a.id = e.author_id
WHERE m.number = :number ORDER BY e.entry_id DESC;
"""


@dataclass(frozen=True)
class Plan:
    """How much is to be measured."""

    seconds: int
    connections: int
    members: int
    friends: int
    posts: int


class Smoke:
    """The three measurements, on one network."""

    def __init__(self, bench: Bench, plan: Plan, members: Sequence[Member]) -> None:
        self._bench = bench
        self._plan = plan
        self._members = members
        self.phases: dict[str, Phase] = {}
        self.loads: dict[str, float] = {}
        """The share of all cores that the load generators took."""

    def activate(self) -> None:
        """Have everybody read their home timeline, so that they are pushed to."""
        self._http([HttpRequest("GET", HOME, member.token) for member in self._members], ACTIVATION_SECONDS, once=True)
        wait_until_pushed_to(self._bench)
        wait_until_delivered(self._bench)

    def statuses_in(self) -> Figure:
        """POST statuses over HTTP; their fan-out runs at the same time, as in life."""
        body = json.dumps({"status": TEXT})
        posts = [HttpRequest("POST", "/api/v1/statuses", member.token, body) for member in self._members]
        with phase(self._bench) as used:
            result = self._http(posts, self._plan.seconds)
        self._note("statuses in", used, result.cpu_seconds / result.seconds)
        wait_until_delivered(self._bench)
        self._bench.execute("CREATE SCHEMA IF NOT EXISTS bench")
        self._bench.execute("CREATE TABLE bench.statuses (LIKE status.statuses INCLUDING ALL)")
        baseline = run_pgbench(
            self._bench.server,
            STATUS_SCRIPT.format(text=TEXT),
            clients=self._plan.connections,
            seconds=self._plan.seconds,
            search_path="bench,status",
        )
        self._bench.execute("DROP TABLE bench.statuses")
        return Figure(
            "statuses in over HTTP",
            "statuses",
            result.per_second,
            latency_of(result.milliseconds),
            f"pgbench INSERT, {self._plan.connections} clients",
            baseline.per_second,
            baseline.latency,
        )

    def deliveries_out(self) -> tuple[Figure, Burst]:
        """Post a burst through gRPC and wait until the last friend has the last post."""
        job = PostingJob(
            [member.id for member in self._members],
            self._plan.posts,
            seconds=60,
            concurrency=self._plan.connections,
        )
        burst = measure_burst(self._bench, job)
        self._note("deliveries out", burst.used, burst.load_cpu_seconds / burst.empty_seconds)
        baseline = measure_copy(self._bench, burst.first_id, connections=LIVE_WORKERS)
        figure = Figure(
            "deliveries out",
            "entries",
            burst.deliveries / burst.empty_seconds,
            burst.relayed,
            f"COPY BINARY, {LIVE_WORKERS} connection",
            baseline.per_second,
            None,
        )
        return figure, burst

    def home_reads(self) -> Figure:
        """GET warm home timelines over HTTP."""
        reads = [HttpRequest("GET", HOME, member.token) for member in self._members]
        self._http(reads, WARMING_SECONDS)
        with phase(self._bench) as used:
            result = self._http(reads, self._plan.seconds)
        self._note("home reads", used, result.cpu_seconds / result.seconds)
        self._bench.execute("CREATE TABLE bench.members (number integer PRIMARY KEY, id bigint NOT NULL)")
        self._bench.execute(
            "INSERT INTO bench.members SELECT row_number() OVER (ORDER BY id), id FROM account.accounts"
        )
        self._bench.execute("ANALYZE bench.members, timeline.entries, status.statuses, account.accounts")
        baseline = run_pgbench(
            self._bench.server,
            HOME_SCRIPT.format(members=len(self._members)),
            clients=self._plan.connections,
            seconds=self._plan.seconds,
            search_path="bench",
        )
        return Figure(
            "home reads over HTTP",
            "pages of 20",
            result.per_second,
            latency_of(result.milliseconds),
            f"pgbench, the page in one query, {self._plan.connections} clients",
            baseline.per_second,
            baseline.latency,
        )

    def _http(self, requests: list[HttpRequest], seconds: float, *, once: bool = False) -> HttpResult:
        host, _, port = self._bench.trial.settings.gateway_address.rpartition(":")
        most = len(requests) if once else MAX_REQUESTS
        return load(HttpJob(host, int(port), self._plan.connections, seconds, most, requests))

    def _note(self, name: str, used: Phase, load_cores: float) -> None:
        self.phases[name] = used
        self.loads[name] = load_cores


def measure(plan: Plan) -> dict[str, Any]:
    """Run everything once, print it, and return it."""
    edges = regular_graph(plan.members, plan.friends, seed=1)
    with bench_network() as bench:
        facts = machine_facts(bench)
        console.print(f"{plan.members:,} members with {plan.friends} friends each move in …")
        smoke = Smoke(bench, plan, asyncio.run(populate(bench, edges)))
        smoke.activate()
        console.print("Measuring …")
        figures = [smoke.statuses_in()]
        deliveries, burst = smoke.deliveries_out()
        figures += [deliveries, smoke.home_reads()]
    parts = {name: used.parts for name, used in smoke.phases.items()}
    show_machine(facts)
    show_figures(f"{plan.connections} connections, {plan.seconds} s each", figures)
    console.print(
        f"burst: {burst.posts:,} posts in {burst.posting_seconds:.1f} s, {burst.deliveries:,} deliveries;"
        f" last committed after {burst.delivered_seconds:.2f} s, ledger empty after {burst.empty_seconds:.2f} s"
    )
    console.print(
        "load generators, in cores: " + ", ".join(f"{name} {cores:.2f}" for name, cores in smoke.loads.items())
    )
    show_usage(parts)
    return {
        "machine": facts,
        "plan": asdict(plan),
        "figures": [as_json(figure) for figure in figures],
        "burst": asdict(burst),
        "load_generator_cores": smoke.loads,
        "usage": {name: {part: asdict(usage) for part, usage in used.items()} for name, used in parts.items()},
    }


def main(
    json_path: Annotated[Path | None, typer.Option("--json", help="Write everything to this file.")] = None,
    seconds: Annotated[int, typer.Option(min=1, max=60, help="Length of each measurement.")] = 5,
    connections: Annotated[int, typer.Option(min=1, max=128, help="Connections, and clients of pgbench.")] = 8,
    friends: Annotated[int, typer.Option(min=1, max=500, help="Friends of each member.")] = 130,
    members: Annotated[int, typer.Option(min=10, max=10_000, help="Members; an even number.")] = 1000,
    posts: Annotated[int, typer.Option(min=1, max=100_000, help="Posts in the burst.")] = 2000,
) -> None:
    """Measure statuses in, deliveries out and home reads, each beside PostgreSQL alone."""
    if friends >= members or friends * members % 2:
        raise typer.BadParameter("there must be more members than friends, and members x friends must be even")
    write_json(json_path, measure(Plan(seconds, connections, members, friends, posts)))


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    app()
