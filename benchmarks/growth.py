"""What a delivery costs as a network grows: `python -m benchmarks.growth`. What each figure means: benchmarks/README.md."""

import asyncio
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import psycopg
import typer
from rich.table import Table

from benchmarks.figures import Latency, latency_of
from benchmarks.growth_plot import draw
from benchmarks.report import console, host_facts, write_json
from chassis.database import Connection, Pool, connection, make_pool
from chassis.ids import MAX_ID, first_id_at
from chassis.migrate import migrate
from chassis.paging import Page
from chassis.settings import Settings
from deploy.local import postgres
from services.timeline import store
from services.timeline.clients import Friends
from services.timeline.domain import Entry
from services.timeline.fan_out import FanOut
from services.timeline.publications import Publications
from services.timeline.rows import Ids, all_members, make_rows, to_copy

MEMBERS = (1_000, 10_000, 100_000, 1_000_000)
FRIENDS = (10, 30, 130, 400, 1_000)
USUAL_MEMBERS, USUAL_FRIENDS = 100_000, 130
STORED_PER_MEMBER = 10
"""Entries that everybody has already, written one round after the other, so that the index is as loose as life makes it."""
AUTHORS = 4096
POSTS_PER_BATCH = 200
"""As many as the relay puts into one message at most."""
DORMANT_DAYS = 14
READS = 2_000
PAGE = Page(below=MAX_ID, above=0, limit=20, upwards=False)
QUIET_LOAD = 0.7
SECRET = "nobody can reach this network from outside of its benchmark"


@dataclass(frozen=True)
class Point:
    """What was measured at one size."""

    members: int
    friends: int
    stored_before: int
    deliveries: int
    deliveries_per_second: float
    microseconds_per_delivery: float
    """Of the wall clock, with all lanes together."""
    copy_per_second: float
    """COPY BINARY of rows of the same shape into an equal table that holds as much, over as many connections."""
    table_bytes: float
    """Per entry, of all that are stored in the end."""
    index_bytes: float
    """Likewise."""
    wal_bytes: float
    """Per delivery, long after a checkpoint: the pages that are written to were logged in full before."""
    wal_bytes_at_first: float
    """Per delivery, right after a checkpoint: every page is logged in full when it is written to for the first time."""
    read: Latency
    """The query of a home read's first page."""

    @property
    def ratio(self) -> float:
        """The share of COPY that was reached."""
        return self.deliveries_per_second / self.copy_per_second


class Network:
    """Authors with so many friends each among so many members: what a fan-out asks others for, without anybody to be asked."""

    def __init__(self, members: int, friends: int) -> None:
        chance = np.random.default_rng([members, friends])
        self._audiences = [
            np.sort(chance.choice(members, size=min(friends, members), replace=False)).astype(np.int64) + 1
            for _ in range(AUTHORS)
        ]
        self._numbers = count()
        self._first = first_id_at(int(time.time() * 1000))

    def next_posts(self, posts: int = POSTS_PER_BATCH) -> list[int]:
        """Return the ids of so many new posts."""
        return [self._first + (next(self._numbers) << 2) + 1 for _ in range(posts)]

    async def published(self, entry_ids: Sequence[int]) -> list[Entry]:
        """Return the posts, by the authors in turn."""
        return [Entry(entry_id, self._author_of(entry_id)) for entry_id in entry_ids]

    async def arrays_of(self, account_ids: Sequence[int]) -> dict[int, Ids]:
        """Return the friends of these authors."""
        return {account_id: self._audiences[account_id - 1] for account_id in account_ids}

    def _author_of(self, entry_id: int) -> int:
        return (entry_id - self._first >> 2) % AUTHORS + 1

    async def rows(self) -> Ids:
        """Return the rows of the next posts as a fan-out writes them."""
        entries = await self.published(self.next_posts())
        audiences = await self.arrays_of([entry.author_id for entry in entries])
        return make_rows(entries, audiences, all_members(audiences, audiences))


class Growth:
    """Measures one size after the other on one server."""

    def __init__(self, server: postgres.Postgres, settings: Settings, seconds: float, lanes: int) -> None:
        self._server = server
        self._settings = settings
        self._seconds = seconds
        self._lanes = lanes

    async def measure(self, members: int, friends: int) -> Point:
        """Fill the tables, deliver for the time given, and read."""
        with self._administrator() as admin:
            stored = self._fill(admin, members)
            network = Network(members, friends)
            wal_before = _wal(admin)
            async with make_pool(
                self._settings.service_database_url("timeline"), size=self._lanes, application="growth"
            ) as pool:
                at_first, seconds_at_first = await self._deliver(pool, network)
                wal_between = _wal(admin)
                later, seconds_later = await self._deliver(pool, network)
                wal_after = _wal(admin)
                table_size, index_size = _sizes(admin)
                admin.execute("VACUUM (ANALYZE) timeline.entries")
                read = await _read(pool, members)
            copied, copy_seconds = await self._copy(admin, network)
        assert read is not None
        deliveries, seconds = at_first + later, seconds_at_first + seconds_later
        return Point(
            members,
            friends,
            stored,
            deliveries,
            deliveries / seconds,
            seconds / deliveries * 1e6,
            copied / copy_seconds,
            table_size / (stored + deliveries),
            index_size / (stored + deliveries),
            (wal_after - wal_between) / later,
            (wal_between - wal_before) / at_first,
            read,
        )

    def _administrator(self) -> psycopg.Connection:
        return psycopg.connect(self._server.url, autocommit=True)

    def _fill(self, admin: psycopg.Connection, members: int) -> int:
        """Have everybody active, with some entries; return how many entries those are."""
        admin.execute("TRUNCATE timeline.entries, timeline.deliveries, timeline.homes")
        admin.execute(
            "INSERT INTO timeline.homes (account_id, pushed_from) SELECT generate_series(1, %s), 0", (members,)
        )
        chance, first = np.random.default_rng(members), first_id_at(int(time.time() * 1000) - 3_600_000)
        rows = np.empty((members, 3), dtype=np.int64)
        rows[:, 0] = np.arange(1, members + 1)
        for number in range(STORED_PER_MEMBER):
            rows[:, 1] = first + (number * members + chance.integers(0, members, members) << 2) + 1
            rows[:, 2] = chance.integers(1, members + 1, members)
            for part in np.array_split(rows, max(1, members // 100_000)):
                _copy_in(admin, part)
        admin.execute("VACUUM (ANALYZE) timeline.entries, timeline.homes")
        admin.execute("CHECKPOINT")  # otherwise the deliveries pay for the filling
        return members * STORED_PER_MEMBER

    async def _deliver(self, pool: Pool, network: Network) -> tuple[int, float]:
        """Deliver on all lanes for the time given; return how many entries were written, and how long it took."""
        fan_out = FanOut(
            pool,
            cast(Publications, network),
            cast(Friends, network),
            dormant_days=DORMANT_DAYS,
            max_pushed_friends=max(FRIENDS),
        )
        started = time.perf_counter()

        async def lane() -> int:
            written = 0
            while time.perf_counter() < started + self._seconds:
                written += await fan_out.deliver(network.next_posts())
            return written

        written = sum(await asyncio.gather(*(lane() for _ in range(self._lanes))))
        return written, time.perf_counter() - started

    async def _copy(self, admin: psycopg.Connection, network: Network) -> tuple[int, float]:
        """COPY rows of the same shape into the same table, with nothing around it."""
        batches = [await network.rows() for _ in range(16)]
        admin.execute("CHECKPOINT")
        shift = int(max(batch[:, 1].max() for batch in batches) - min(batch[:, 1].min() for batch in batches)) + 4
        shift += -shift % 4
        turns = count()

        def work() -> int:
            written = 0
            with self._administrator() as conn:
                while time.perf_counter() < started + self._seconds:
                    turn = next(turns)
                    rows = batches[turn % len(batches)].copy()
                    rows[:, 1] += turn // len(batches) * shift
                    _copy_in(conn, rows)
                    written += len(rows)
            return written

        started = time.perf_counter()
        written = sum(await asyncio.gather(*(asyncio.to_thread(work) for _ in range(self._lanes))))
        return written, time.perf_counter() - started


def _copy_in(conn: psycopg.Connection, rows: Ids) -> None:
    copying = "COPY timeline.entries (account_id, entry_id, author_id) FROM STDIN (FORMAT binary)"
    with conn.cursor().copy(copying) as copy:
        copy.write(to_copy(rows))


async def _read(pool: Pool, members: int) -> Latency | None:
    """Read the first pages of random members, one after the other."""
    milliseconds = []
    chance = np.random.default_rng(1)
    async with connection(pool) as conn:
        for account_id in chance.integers(1, members + 1, READS).tolist():
            milliseconds.append(await _read_one(conn, account_id))
    return latency_of(milliseconds)


async def _read_one(conn: Connection, account_id: int) -> float:
    started = time.perf_counter()
    home, entries = await store.read_home(conn, account_id, PAGE, DORMANT_DAYS)
    if home is None or not entries:
        raise RuntimeError(f"member {account_id} has no entries; this measured nothing")
    return (time.perf_counter() - started) * 1000


def _sizes(admin: psycopg.Connection) -> tuple[int, int]:
    """Return the bytes of all partitions, and of their indexes."""
    row = admin.execute(
        "SELECT sum(pg_table_size(inhrelid))::bigint, sum(pg_indexes_size(inhrelid))::bigint"
        " FROM pg_inherits WHERE inhparent = 'timeline.entries'::regclass"
    ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def _wal(admin: psycopg.Connection) -> int:
    row = admin.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint").fetchone()
    assert row is not None
    return int(row[0])


def sizes(most_members: int) -> list[tuple[int, int]]:
    """Return the sizes that are measured, (members, friends) each, once each."""
    usual = min(USUAL_MEMBERS, most_members)
    by_members = [(members, USUAL_FRIENDS) for members in MEMBERS if members <= most_members]
    by_friends = [(usual, friends) for friends in FRIENDS]
    return sorted({*by_members, *by_friends})


def markdown(points: Sequence[Point]) -> str:
    """Return the points as a table in Markdown."""
    lines = [
        "| members | friends | stored before | deliveries/s | µs per delivery | of COPY"
        " | bytes: table + index | WAL bytes (after a checkpoint) | read p50 / p99 ms |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += ["| " + " | ".join(cells(point)) + " |" for point in points]
    return "\n".join(lines) + "\n"


def about(facts: Mapping[str, Any]) -> str:
    """Return where the figures are from, and what they are good for."""
    load = facts["load_average_before"]
    text = f"{facts['cores']} cores ({facts['processor']}), load before the run {load}."
    if load > QUIET_LOAD:
        text += " The machine was busy with other work: compare bytes and the shares of COPY, not rates and latencies."
    return text


def cells(point: Point) -> list[str]:
    """Return a point as the cells of a table."""
    return [
        f"{point.members:,}",
        f"{point.friends:,}",
        f"{point.stored_before:,}",
        f"{point.deliveries_per_second:,.0f}",
        f"{point.microseconds_per_delivery:.1f}",
        f"{point.ratio:.2f}",
        f"{point.table_bytes:.0f} + {point.index_bytes:.0f}",
        f"{point.wal_bytes:.0f} ({point.wal_bytes_at_first:.0f})",
        f"{point.read.p50_ms:.2f} / {point.read.p99_ms:.2f}",
    ]


def measure(most_members: int, seconds: float, lanes: int, say: Callable[[Point], None]) -> list[Point]:
    """Measure all sizes on a durable server of their own."""
    with tempfile.TemporaryDirectory() as folder, postgres.temporary(Path(folder), durable=True) as server:
        settings = Settings(database_url=server.url, secret=SECRET)
        migrate(settings, ["timeline"])
        growth = Growth(server, settings, seconds, lanes)
        points = []
        for members, friends in sizes(most_members):
            points.append(asyncio.run(growth.measure(members, friends)))
            say(points[-1])
    return points


def main(
    json_path: Annotated[Path | None, typer.Option("--json", help="Write everything to this file.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write growth.svg and growth.md to this folder.")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, max=30, help="Length of each measurement.")] = 5,
    lanes: Annotated[int, typer.Option(min=1, max=16, help="Fan-outs at a time, and connections of COPY.")] = 2,
    members: Annotated[int, typer.Option(min=1_000, max=1_000_000, help="The largest network.")] = 1_000_000,
) -> None:
    """Measure deliveries, their bytes and WAL, and home reads from 1,000 to 1,000,000 members and 10 to 1,000 friends."""
    facts = host_facts()
    points = measure(members, seconds, lanes, lambda point: console.print("  ".join(cells(point)), style="dim"))
    table = Table(
        "members", "friends", "stored before", "deliveries/s", "µs each", "of COPY", "bytes", "WAL", "read ms"
    )
    for point in points:
        table.add_row(*cells(point))
    console.print(table)
    result: dict[str, Any] = {
        "machine": facts,
        "points": [{**asdict(point), "ratio": point.ratio} for point in points],
    }
    write_json(json_path, result)
    if plot is not None:
        plot.mkdir(parents=True, exist_ok=True)
        draw(points, plot / "growth.svg")
        (plot / "growth.md").write_text(f"{about(facts)}\n\n{markdown(points)}", "utf-8")


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    app()
