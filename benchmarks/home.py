"""Home reads of pushed, pulled and mixed members: `python -m benchmarks.home`. What each figure means: benchmarks/README.md."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.fan_out import activate
from benchmarks.figures import Figure, latency_of
from benchmarks.home_load import HomeJob, read_homes
from benchmarks.http_load import HttpJob, HttpRequest, load
from benchmarks.network import Bench, bench_network
from benchmarks.pgbench import run_pgbench
from benchmarks.population import Member, populate, wait_until_delivered
from benchmarks.posting_load import PostingJob, post
from benchmarks.report import as_json, console, machine_facts, show_figures, show_machine, write_json
from services.cli.edge_list import EdgeList

LIMIT = 20
HOME = f"/api/v1/timelines/home?limit={LIMIT}"
GROUPS = ("pushed", "mixed", "pulled", "back")
"""Members all of whose friends are pushed, half of them, none of them; and pushed members who have not read for weeks."""
POSTS_PER_AUTHOR = 4
MAX_PUSHED_FRIENDS = 60
"""Authors with more friends than this are pulled."""
LIGHT_FRIENDS, FILLERS = 40, 61
DORMANT_DAYS = 15
MAX_READS = 1_000_000

IDS_SCRIPT = {
    "pushed": """
SELECT entry_id, author_id FROM members AS m CROSS JOIN LATERAL (
    SELECT entry_id, author_id FROM timeline.entries WHERE account_id = m.id ORDER BY entry_id DESC LIMIT {limit}
) AS e WHERE m.kind = '{group}' AND m.number = :number
""",
    "pulled": """
SELECT s.id, s.account_id FROM members AS m
JOIN social_graph.friendships AS f ON f.account_id = m.id
CROSS JOIN LATERAL (
    SELECT id, account_id FROM status.statuses WHERE account_id = f.friend_id ORDER BY id DESC LIMIT {limit}
) AS s WHERE m.kind = '{group}' AND m.number = :number ORDER BY s.id DESC LIMIT {limit}
""",
    "mixed": """
SELECT id, account_id FROM (
    (SELECT e.entry_id AS id, e.author_id AS account_id FROM members AS m CROSS JOIN LATERAL (
        SELECT entry_id, author_id FROM timeline.entries WHERE account_id = m.id ORDER BY entry_id DESC LIMIT {limit}
    ) AS e WHERE m.kind = '{group}' AND m.number = :number)
    UNION ALL
    (SELECT s.id, s.account_id FROM members AS m
    JOIN social_graph.friendships AS f ON f.account_id = m.id
    JOIN timeline.pulled_authors AS p ON p.author_id = f.friend_id
    CROSS JOIN LATERAL (
        SELECT id, account_id FROM status.statuses WHERE account_id = f.friend_id ORDER BY id DESC LIMIT {limit}
    ) AS s WHERE m.kind = '{group}' AND m.number = :number ORDER BY s.id DESC LIMIT {limit})
) AS both_kinds ORDER BY id DESC LIMIT {limit}
""",
}
IDS_SCRIPT["back"] = IDS_SCRIPT["pulled"]
PAGE_SCRIPT = """
WITH page (id, account_id) AS ({ids})
SELECT s.id, s.account_id, s.text, s.visibility, s.version, a.handle, a.display_name, a.note
FROM page AS p JOIN status.statuses AS s ON s.account_id = p.account_id AND s.id = p.id
JOIN account.accounts AS a ON a.id = p.account_id ORDER BY s.id DESC
"""


@dataclass(frozen=True)
class Plan:
    """How much is to be measured."""

    seconds: int
    connections: int
    friends: int
    readers: int
    """Members of each group."""


def homes_graph(plan: Plan) -> EdgeList:
    """Return readers of each group, named <group>_<number>, with light authors, heavy authors, or half of each as friends.

    A light author has at most LIGHT_FRIENDS friends; a heavy one has all fillers besides, and so too many to be pushed.
    """
    heavy = [f"heavy_{number}" for number in range(plan.friends)]
    pairs = [(author, f"filler_{number}") for author in heavy for number in range(FILLERS)]
    light_authors = max(plan.friends, plan.readers * plan.friends * 3 // LIGHT_FRIENDS + 1)
    light = cycle(f"light_{number}" for number in range(light_authors))
    for group in GROUPS:
        heavy_friends = {"pulled": plan.friends, "mixed": plan.friends // 2}.get(group, 0)
        for number in range(plan.readers):
            reader = f"{group}_{number}"
            pairs += [(author, reader) for author in heavy[:heavy_friends]]
            pairs += [(author, reader) for author in islice(light, plan.friends - heavy_friends)]
    members = dict.fromkeys(name for pair in pairs for name in pair)
    return EdgeList(list(members), pairs, 0, 0)


class Homes:
    """The measurements, on one network."""

    def __init__(self, bench: Bench, plan: Plan, members: Sequence[Member]) -> None:
        self._bench = bench
        self._plan = plan
        self._groups = {group: [each for each in members if each.name.startswith(f"{group}_")] for group in GROUPS}
        self._authors = [each.id for each in members if each.name.startswith(("light_", "heavy_"))]

    def prepare(self) -> None:
        """Have everybody read, post, wait for the deliveries, and number the readers for pgbench."""
        activate(self._bench, [member for group in self._groups.values() for member in group])
        job = PostingJob(self._authors, len(self._authors) * POSTS_PER_AUTHOR, seconds=120, concurrency=32)
        post(job, self._bench.environment())
        wait_until_delivered(self._bench)
        self._bench.execute("CREATE SCHEMA IF NOT EXISTS bench")
        self._bench.execute(
            "CREATE TABLE bench.members (kind text, number integer, id bigint NOT NULL, PRIMARY KEY (kind, number))"
        )
        self._bench.execute(
            "INSERT INTO bench.members SELECT split_part(handle, '_', 1),"
            " row_number() OVER (PARTITION BY split_part(handle, '_', 1) ORDER BY id), id FROM account.accounts"
        )
        self._bench.execute(
            "ANALYZE bench.members, timeline.entries, status.statuses, account.accounts, social_graph.friendships"
        )

    def over_rpc(self, group: str) -> Figure:
        """Read ids from TimelineService, beside the query for the same ids."""
        self._fall_asleep(group)
        ids = [member.id for member in self._groups[group]]
        job = HomeJob(ids, LIMIT, self._most(group), self._plan.seconds, self._plan.connections)
        if group != "back":
            read_homes(HomeJob(ids, LIMIT, len(ids), 60, self._plan.connections), self._bench.environment())
        result = read_homes(job, self._bench.environment())
        baseline = self._pgbench(group, IDS_SCRIPT[group])
        return Figure(
            f"{group}, ids over gRPC",
            "pages",
            result.per_second,
            latency_of(result.milliseconds),
            "pgbench, the ids",
            baseline.per_second,
            baseline.latency,
        )

    def over_http(self, group: str) -> Figure:
        """Read whole pages over HTTP, beside the query for the same rows."""
        host, _, port = self._bench.trial.settings.gateway_address.rpartition(":")
        reads = [HttpRequest("GET", HOME, member.token) for member in self._groups[group]]
        if group != "back":
            load(HttpJob(host, int(port), self._plan.connections, 60, len(reads), reads))
        self._fall_asleep(group)
        result = load(HttpJob(host, int(port), self._plan.connections, self._plan.seconds, self._most(group), reads))
        baseline = self._pgbench(group, PAGE_SCRIPT.format(ids=IDS_SCRIPT[group]))
        return Figure(
            f"{group}, pages over HTTP",
            "pages",
            result.per_second,
            latency_of(result.milliseconds),
            "pgbench, the page in one query",
            baseline.per_second,
            baseline.latency,
        )

    def _fall_asleep(self, group: str) -> None:
        """Let those who are to come back not have read for longer than is pushed to."""
        if group == "back":
            self._bench.execute(
                "UPDATE timeline.homes SET active_at = now() - make_interval(days => %(days)s)"
                " WHERE account_id IN (SELECT id FROM bench.members WHERE kind = 'back')",
                {"days": DORMANT_DAYS},
            )

    def _most(self, group: str) -> int:
        """Return how many reads there can be: who comes back does so once."""
        return self._plan.readers if group == "back" else MAX_READS

    def _pgbench(self, group: str, script: str) -> Any:
        text = script.replace("{group}", group).replace("{limit}", str(LIMIT))
        return run_pgbench(
            self._bench.server,
            f"\\set number random(1, {self._plan.readers})\n{text.strip()};\n",
            clients=self._plan.connections,
            seconds=self._plan.seconds,
            search_path="bench",
        )


def measure(plan: Plan) -> dict[str, Any]:
    """Run everything once, print it, and return it."""
    edges = homes_graph(plan)
    with bench_network(KODAMA_TIMELINE_MAX_PUSHED_FRIENDS=str(MAX_PUSHED_FRIENDS)) as bench:
        facts = machine_facts(bench)
        console.print(f"{len(edges.members):,} members with {len(edges.friendships):,} friendships move in …")
        homes = Homes(bench, plan, asyncio.run(populate(bench, edges)))
        homes.prepare()
        console.print("Measuring …")
        figures = [read(group) for read in (homes.over_rpc, homes.over_http) for group in GROUPS]
    show_machine(facts)
    show_figures(f"First pages of {LIMIT}, {plan.friends} friends, {plan.connections} connections", figures)
    return {"machine": facts, "plan": plan, "figures": [as_json(figure) for figure in figures]}


def main(
    json_path: Annotated[Path | None, typer.Option("--json", help="Write everything to this file.")] = None,
    seconds: Annotated[int, typer.Option(min=1, max=60, help="Length of each measurement.")] = 5,
    connections: Annotated[int, typer.Option(min=1, max=128, help="Connections, and clients of pgbench.")] = 4,
    friends: Annotated[int, typer.Option(min=10, max=900, help="Friends of each reader.")] = 130,
    readers: Annotated[int, typer.Option(min=10, max=400, help="Readers of each group.")] = 100,
) -> None:
    """Measure home reads of pushed, mixed, pulled and returning members, each beside the same query alone."""
    write_json(json_path, measure(Plan(seconds, connections, friends, readers)))


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    app()
