"""The gateway beyond what it can do: `python -m benchmarks.overload --json OUT`. What each figure means: benchmarks/README.md."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from benchmarks.figures import Latency, latency_of
from benchmarks.http_load import HttpJob, HttpRequest, load
from benchmarks.network import Bench, bench_network
from benchmarks.open_load import OpenJob, OpenResult, Seen, open_load
from benchmarks.population import Member, populate, regular_graph, wait_until_delivered, wait_until_pushed_to
from benchmarks.posting_load import TEXT
from benchmarks.report import console, machine_facts, show_machine, write_json
from benchmarks.smoke import HOME

STEPS = (0.5, 1.0, 1.5, 2.0, 4.0)
"""Requests that are due, as multiples of what a closed loop had."""
CONNECTIONS = 48
CAPACITY_SECONDS = 5
READS_PER_POST = 3
PREPARE_SECONDS = 120
MAX_REQUESTS = 1_000_000
AFTER_SHARE = 0.25
AFTER_SECONDS = 8.0
USEFUL_MS = 1000.0
"""An answer that takes longer from when its request was due is no good to anybody."""
IN_A_ROW = 20
"""So many useful answers one after the other are normal life."""


@dataclass(frozen=True)
class Plan:
    """How much is to be measured."""

    seconds: int
    members: int
    friends: int
    with_limiter: bool
    steps: Sequence[float] = STEPS


@dataclass(frozen=True)
class Step:
    """What was seen at one rate."""

    load: float
    """As a multiple of the capacity."""
    due_per_second: float
    answered_per_second: float
    """Of the requests due in this time; answered well, whenever."""
    goodput_per_second: float
    """Answered well within USEFUL_MS from when they were due."""
    accepted: Latency | None
    refused: int
    refusals: Latency | None
    without_retry_after: int
    unanswered: int
    """No answer within 15 s."""
    broken: int
    """The connection ended without an answer, or there were too many on their way to send it."""
    other_statuses: dict[int, int]
    normal_after_seconds: float | None
    """From the end of the load until what was due had IN_A_ROW useful answers one after the other; None: not while it was looked."""
    generator_late_p99_ms: float
    generator_cpu_seconds: float


def judge(load_factor: float, job: OpenJob, result: OpenResult) -> Step:
    """Return the figures of one step."""
    during = [one for one in result.seen if one.due < job.seconds]
    well = [one.milliseconds for one in during if one.status == 200]
    refusals = [one for one in result.seen if one.status == 503]
    others = {one.status for one in result.seen} - {200, 503, 0, -1, -2}
    return Step(
        load_factor,
        len(during) / job.seconds,
        len(well) / job.seconds,
        len([milliseconds for milliseconds in well if milliseconds <= USEFUL_MS]) / job.seconds,
        latency_of(well),
        len(refusals),
        latency_of([one.milliseconds for one in refusals]),
        len([one for one in refusals if not one.can_retry]),
        len([one for one in result.seen if one.status == -1]),
        len([one for one in result.seen if one.status in (0, -2)]),
        {status: len([one for one in result.seen if one.status == status]) for status in sorted(others)},
        normal_after(result.seen, job.seconds),
        result.late_p99_ms,
        round(result.cpu_seconds, 1),
    )


def normal_after(seen: Sequence[Seen], end: float) -> float | None:
    """Return how long after `end` what was due began to be answered as in normal life; None where it never did."""
    after = sorted((one for one in seen if one.due >= end), key=lambda one: one.due)
    begin, row = end, 0
    for one in after:
        if one.status == 200 and one.milliseconds <= USEFUL_MS:
            begin, row = (one.due, 1) if row == 0 else (begin, row + 1)
            if row == IN_A_ROW:
                return round(begin - end, 2)
        else:
            row = 0
    return None


class Overload:
    """The measurements, on one network."""

    def __init__(self, bench: Bench, plan: Plan, members: Sequence[Member]) -> None:
        self._bench = bench
        self._plan = plan
        self._reads = [HttpRequest("GET", HOME, member.token) for member in members]
        body = json.dumps({"status": TEXT})
        self._posts = [HttpRequest("POST", "/api/v1/statuses", member.token, body) for member in members]
        self._mix = [
            request
            for number, post in enumerate(self._posts)
            for request in (*(self._reads[(number + step) % len(members)] for step in range(READS_PER_POST)), post)
        ]

    def prepare(self) -> None:
        """Have everybody read, so that they are pushed to, and post."""
        self._closed(self._reads, PREPARE_SECONDS, most=len(self._reads))
        wait_until_pushed_to(self._bench)
        self._closed(self._posts, PREPARE_SECONDS, most=len(self._posts))
        wait_until_delivered(self._bench)

    def capacity(self) -> float:
        """Return the requests a second of the mix that a closed loop has."""
        per_second = self._closed(self._mix, CAPACITY_SECONDS, most=MAX_REQUESTS)
        wait_until_delivered(self._bench)
        return per_second

    def step(self, load_factor: float, capacity: float) -> Step:
        """Measure one rate."""
        host, port = self._address()
        job = OpenJob(
            host,
            port,
            load_factor * capacity,
            self._plan.seconds,
            AFTER_SHARE * capacity,
            AFTER_SECONDS,
            self._mix,
        )
        step = judge(load_factor, job, open_load(job))
        wait_until_delivered(self._bench)
        return step

    def _closed(self, requests: list[HttpRequest], seconds: float, *, most: int) -> float:
        host, port = self._address()
        return load(HttpJob(host, port, CONNECTIONS, seconds, most, requests)).per_second

    def _address(self) -> tuple[str, int]:
        host, _, port = self._bench.trial.settings.gateway_address.rpartition(":")
        return host, int(port)


def measure(plan: Plan) -> dict[str, Any]:
    """Run everything once, print it, and return it."""
    switch = {} if plan.with_limiter else {"KODAMA_SHED_LOAD": "off"}
    with bench_network(**switch) as bench:
        facts = machine_facts(bench)
        console.print(f"{plan.members:,} members with {plan.friends} friends each move in …")
        overload = Overload(
            bench, plan, asyncio.run(populate(bench, regular_graph(plan.members, plan.friends, seed=1)))
        )
        overload.prepare()
        capacity = overload.capacity()
        console.print(f"A closed loop over {CONNECTIONS} connections has {capacity:,.0f} requests a second.")
        steps = []
        for load_factor in plan.steps:
            steps.append(overload.step(load_factor, capacity))
            console.print(steps[-1], markup=False)
    show_machine(facts)
    show(plan, steps)
    best = max(step.goodput_per_second for step in steps)
    return {
        "machine": facts,
        "plan": plan,
        "capacity_per_second": capacity,
        "steps": steps,
        "goodput_of_best": {str(step.load): round(step.goodput_per_second / best, 3) for step in steps},
    }


def show(plan: Plan, steps: Sequence[Step]) -> None:
    """Print the steps."""
    title = f"{plan.members:,} members, {plan.friends} friends, {plan.seconds} s each, limiter {'on' if plan.with_limiter else 'off'}"
    table = Table(
        *("load", "due/s", "answered/s", "useful/s", "p50 / p99 ms", "refused", "p99 ms", "no Retry-After"),
        *("no answer", "broken", "normal after s", "generator late p99 ms"),
        title=title,
    )
    for step in steps:
        table.add_row(
            f"{step.load}",
            f"{step.due_per_second:,.0f}",
            f"{step.answered_per_second:,.0f}",
            f"{step.goodput_per_second:,.0f}",
            f"{step.accepted.p50_ms:,.0f} / {step.accepted.p99_ms:,.0f}" if step.accepted else "–",
            f"{step.refused:,}",
            f"{step.refusals.p99_ms:,.0f}" if step.refusals else "–",
            f"{step.without_retry_after:,}",
            f"{step.unanswered:,}",
            f"{step.broken:,}",
            "–" if step.normal_after_seconds is None else f"{step.normal_after_seconds}",
            f"{step.generator_late_p99_ms:,.0f}",
        )
    console.print(table)


def main(
    json_path: Annotated[Path | None, typer.Option("--json", help="Write everything to this file.")] = None,
    seconds: Annotated[int, typer.Option(min=2, max=60, help="Length of each step.")] = 20,
    members: Annotated[int, typer.Option(min=10, max=10_000, help="Members; an even number.")] = 400,
    friends: Annotated[int, typer.Option(min=1, max=500, help="Friends of each member.")] = 40,
    limiter: Annotated[bool, typer.Option(help="Whether the gateway sheds load; without, it is the baseline.")] = True,
) -> None:
    """Measure three home reads to a post at rates up to four times what the gateway can do."""
    if friends >= members or friends * members % 2:
        raise typer.BadParameter("there must be more members than friends, and members x friends must be even")
    write_json(json_path, measure(Plan(seconds, members, friends, limiter)))


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    app()
