"""How long everybody's suggestions take, end to end: snapshot, model, blocks and swap, through Celery and PostgreSQL."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import psutil
import psycopg
import typer
from psycopg import sql
from rich.table import Table

from benchmarks.figures import percentile
from benchmarks.network import Bench, bench_network
from benchmarks.report import console, machine_facts, write_json
from benchmarks.suggestion_networks import make_network
from benchmarks.suggestion_workers import peak_mb
from benchmarks.usage import Usage, phase
from services.social_graph.suggestions import CsrGraph

LIMIT_SECONDS = 400
LOOK_SECONDS = 0.1
MIB = 1024 * 1024
CHUNK_MEMBERS = 20_000
FRIENDSHIPS = 50

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_WIRE = np.dtype([("fields", ">i2"), ("a_length", ">i4"), ("a", ">i8"), ("b_length", ">i4"), ("b", ">i8")])


@dataclass
class Memory:
    """The most that one process of the workers has had in memory, in MiB."""

    resident: float = 0.0
    """With all that it shares with others, such as the snapshot that all of them map (RSS, the kernel's own peak)."""
    proportional: float = 0.0
    """With its part of that (PSS), as often as was looked."""
    own: float = 0.0
    """Without (USS), as often as was looked."""


@dataclass(frozen=True)
class Run:
    """One generation."""

    members: int
    friendships: int
    blocks: int
    covered: float
    """Members with at least ten suggestions, of all."""
    snapshot_seconds: float
    model_seconds: float
    compute_seconds: float
    """Blocks and swap."""
    total_seconds: float
    worker_cpu_seconds: float
    postgresql_cpu_seconds: float
    memory: Memory = field(default_factory=Memory)


def main(
    members: Annotated[int, typer.Option(min=100)] = 1_000_000,
    friends: Annotated[int, typer.Option(min=2, help="On the mean.")] = 22,
    json: Annotated[Path | None, typer.Option(help="Where to write the figures.")] = None,
) -> None:
    """Compute everybody's suggestions twice on a network that runs, beside what PostgreSQL alone takes for its part of it."""
    with bench_network() as bench:
        facts = machine_facts(bench)
        console.print(f"{members:,} members with {friends} friends on the mean are moving in …")
        move_in(bench, make_network(members, friends))
        runs = [compute(bench), compute(bench)]
        changes = befriend(bench, members)
        baseline = postgresql_alone(bench)
    show(runs, baseline, changes)
    if json is not None:
        figures = {"runs": [asdict(run) for run in runs], "postgresql_alone_seconds": baseline}
        write_json(json, {"machine": facts, **figures, "seconds_after_a_friendship": changes})


def move_in(bench: Bench, graph: CsrGraph) -> None:
    """Write friendships as if they had been there for long; nothing is caused by it."""
    with bench.connect() as conn:
        conn.execute("SET session_replication_role = replica")  # else each row is looked up for its other end
        with conn.cursor().copy(
            "COPY social_graph.friendships (account_id, friend_id) FROM STDIN (FORMAT binary)"
        ) as copy:
            copy.write(_HEADER)
            for start in range(0, len(graph), CHUNK_MEMBERS):
                copy.write(_rows(graph, start, min(start + CHUNK_MEMBERS, len(graph))))
            copy.write(b"\xff\xff")
        conn.execute(
            "INSERT INTO social_graph.members SELECT account_id, count(*) FROM social_graph.friendships GROUP BY 1"
        )
        conn.execute("VACUUM ANALYZE social_graph.friendships")
        conn.execute("VACUUM ANALYZE social_graph.members")
        conn.execute("CHECKPOINT")


def _rows(graph: CsrGraph, start: int, stop: int) -> bytes:
    friends: npt.NDArray[np.int32] = graph.indices[graph.indptr[start] : graph.indptr[stop]]
    wire = np.empty(len(friends), dtype=_WIRE)
    wire["fields"], wire["a_length"], wire["b_length"] = 2, 8, 8
    wire["a"] = np.repeat(graph.account_ids[start:stop], np.diff(graph.indptr[start : stop + 1]))
    wire["b"] = graph.account_ids[friends]
    return wire.tobytes()


def compute(bench: Bench) -> Run:
    """Have a generation computed and time it by PostgreSQL's clock, from the request until it is read."""
    with watching_memory(bench) as memory, phase(bench) as used:
        asked = bench.trial.kodama("suggest", "--all", "--no-wait")
        if asked.returncode != 0:
            raise RuntimeError(asked.stderr)
        states = _follow(bench)
    [row] = bench.query(
        "SELECT members, friendships, blocks, covered_members, extract(epoch FROM finished_at - requested_at)::float8,"
        " extract(epoch FROM finished_at)::float8 FROM social_graph.described_generations ORDER BY id DESC LIMIT 1"
    )
    count, friendships, blocks, covered, total, finished_at = row
    snapshot, model = (states[later] - states[state] for state, later in (("begun", "tuning"), ("tuning", "computing")))
    computing = finished_at - states["computing"]
    workers, postgresql = (used.parts.get(part, Usage()).cpu_seconds for part in ("worker suggestions", "postgresql"))
    shares = (covered / count, snapshot, model, computing, total, workers, postgresql)
    return Run(count, friendships, blocks, *shares, memory)


def _follow(bench: Bench) -> dict[str, float]:
    """Return when each state of the generation at work was first seen, as Unix time of PostgreSQL."""
    seen: dict[str, float] = {}
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        [(state, error, requested, now)] = bench.query(
            "SELECT state, error, extract(epoch FROM requested_at)::float8, extract(epoch FROM clock_timestamp())::float8"
            " FROM social_graph.generations ORDER BY id DESC LIMIT 1"
        )
        seen.setdefault("begun", requested)
        seen.setdefault(state, now)
        if state == "done":
            return {"tuning": now, "computing": now} | seen
        if state == "failed":
            raise RuntimeError(error)
        time.sleep(LOOK_SECONDS)
    raise TimeoutError(f"not done within {LIMIT_SECONDS} s")


@contextmanager
def watching_memory(bench: Bench) -> Iterator[Memory]:
    """Watch what the workers of suggestions have in memory until the block ends."""
    most, stop = Memory(), threading.Event()
    for process in _workers(bench):
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # its peak until now is forgotten; see proc(5)

    def watch() -> None:
        while not stop.wait(LOOK_SECONDS * 3):
            for process in _workers(bench):
                _look(process, most)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield most
    finally:
        stop.set()
        watcher.join()


def _workers(bench: Bench) -> list[psutil.Process]:
    parents = bench.trial.find_processes(lambda process: process.cmdline()[-1:] == ["suggestions"])
    return [process for parent in parents for process in (parent, *parent.children())]


def _look(process: psutil.Process, most: Memory) -> None:
    try:
        used, peak = process.memory_full_info(), peak_mb(process.pid)
    except (psutil.Error, OSError):
        return
    most.resident = max(most.resident, peak * 1e6 / MIB)
    most.proportional = max(most.proportional, used.pss / MIB)
    most.own = max(most.own, used.uss / MIB)


def befriend(bench: Bench, members: int) -> list[float]:
    """Make friends of strangers, one pair after the other; return how long each took until both ends' suggestions were computed, ascending.

    Seconds from the commit. The friendship and its work are written as the service writes them.
    """
    chance = np.random.default_rng(2)
    took: list[float] = []
    with bench.connect() as conn:
        conn.execute("SET search_path = social_graph")
        while len(took) < FRIENDSHIPS:
            low, high = sorted(int(one) for one in chance.choice(members, 2, replace=False) + 1)
            if _form(conn, low, high):
                took.append(_until_refreshed(conn, low, high))
    return sorted(took)


def _form(conn: psycopg.Connection, low: int, high: int) -> bool:
    ends = {"low": low, "high": high}
    with conn.transaction():
        made = conn.execute(
            "INSERT INTO friendships (account_id, friend_id) VALUES (%(low)s, %(high)s), (%(high)s, %(low)s)"
            " ON CONFLICT DO NOTHING",
            ends,
        ).rowcount
        if made != 2:
            return False
        for account_id in (low, high):
            conn.execute(
                "INSERT INTO members AS m VALUES (%s, 1) ON CONFLICT (account_id)"
                " DO UPDATE SET friends_count = m.friends_count + 1",
                (account_id,),
            )
        conn.execute(
            "INSERT INTO ledger (task, queue, payload) VALUES ('suggestions.refresh', 'suggestions.live',"
            " jsonb_build_object('account_id', %(low)s::bigint, 'friend_id', %(high)s::bigint))",
            ends,
        )
    conn.execute("SELECT pg_notify('kodama_ledger_social_graph', '')")
    return True


def _until_refreshed(conn: psycopg.Connection, low: int, high: int) -> float:
    begun = time.monotonic()
    while time.monotonic() - begun < LIMIT_SECONDS:
        [(done,)] = conn.execute(
            "SELECT count(*) FROM refreshed_suggestions AS r JOIN friendships AS f USING (account_id)"
            " WHERE account_id IN (%(low)s, %(high)s) AND f.friend_id IN (%(low)s, %(high)s)"
            " AND r.computed_at >= f.created_at",
            {"low": low, "high": high},
        ).fetchall()
        if done == 2:
            return time.monotonic() - begun
        time.sleep(0.002)
    raise TimeoutError("a friendship changes nothing")


def postgresql_alone(bench: Bench) -> float:
    """Return the seconds that PostgreSQL takes to read all friendships and to write the same suggestions, by itself."""
    with bench.connect() as conn:
        begun = time.perf_counter()
        conn.execute(
            "COPY (SELECT account_id, string_agg(int8send(friend_id), ''::bytea ORDER BY friend_id)"
            " FROM social_graph.friendships GROUP BY account_id ORDER BY account_id) TO '/dev/null' (FORMAT binary)"
        )
        _write_again(conn)
        return time.perf_counter() - begun


def _write_again(conn: psycopg.Connection) -> None:
    [(generation,)] = conn.execute("SELECT max(id) FROM social_graph.generations WHERE state = 'done'").fetchall()
    conn.execute("CREATE TABLE social_graph.written_again (LIKE social_graph.suggestions INCLUDING ALL)")
    table = sql.Identifier("social_graph", f"suggestions_{generation}")
    conn.execute(sql.SQL("INSERT INTO social_graph.written_again SELECT * FROM {}").format(table))


def show(runs: list[Run], baseline: float, changes: list[float]) -> None:
    """Print the figures."""
    table = Table("", *(f"generation {number}" for number in range(1, len(runs) + 1)))
    rows: dict[str, list[Any]] = {
        "members": [f"{run.members:,}" for run in runs],
        "friendships": [f"{run.friendships:,}" for run in runs],
        "with at least ten suggestions": [f"{run.covered:.1%}" for run in runs],
        "snapshot, s": [f"{run.snapshot_seconds:.1f}" for run in runs],
        "model and blocks cut, s": [f"{run.model_seconds:.1f}" for run in runs],
        f"blocks ({runs[0].blocks}) and swap, s": [f"{run.compute_seconds:.1f}" for run in runs],
        "from the request to the first read, s": [f"{run.total_seconds:.1f}" for run in runs],
        "processors' time of the workers, s": [f"{run.worker_cpu_seconds:.1f}" for run in runs],
        "processors' time of PostgreSQL, s": [f"{run.postgresql_cpu_seconds:.1f}" for run in runs],
        "PostgreSQL alone (reading and writing the same), s": [f"{baseline:.1f}"] * len(runs),
        "ratio": [f"{run.total_seconds / baseline:.2f}" for run in runs],
        "a worker process, most resident, MiB": [f"{run.memory.resident:.0f}" for run in runs],
        "with its part of what is shared, MiB": [f"{run.memory.proportional:.0f}" for run in runs],
        "of that not shared, MiB": [f"{run.memory.own:.0f}" for run in runs],
    }
    for name, values in rows.items():
        table.add_row(name, *values)
    console.print(table)
    median, late = (percentile(changes, share) * 1000 for share in (0.5, 0.95))
    console.print(f"{len(changes)} new friendships: both ends' suggestions after {median:.0f} ms (p95 {late:.0f} ms).")


if __name__ == "__main__":
    typer.run(main)
